import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openRecording } from '../open.js';
import { RUN } from '../snapshot.js';

/** Anonymous pages by mapcount, over all processes of a snapshot. */
async function pagesByMapcount(example: string, snapshot: string): Promise<Map<number, number>> {
  const path = fileURLToPath(new URL(`../../../examples/${example}`, import.meta.url));
  const { runs } = await (await openRecording(path)).snapshot(snapshot);
  const pages = new Map<number, number>();
  for (let row = 0; row < runs.length; row += 1) {
    const kind = runs.kind[row];
    if (kind !== RUN.anon && kind !== RUN.huge && kind !== RUN.ksm) continue;
    const mapcount = runs.mapcount[row] ?? 0;
    pages.set(mapcount, (pages.get(mapcount) ?? 0) + (runs.count[row] ?? 0));
  }
  return pages;
}

describe('examples', () => {
  it('hold what was measured when they were recorded', async () => {
    expect(await pagesByMapcount('redis', 'bgsave1')).toEqual(
      new Map([
        [1, 41_153],
        [2, 25_060],
      ]),
    );
    expect(await pagesByMapcount('redis', 'bgsave2')).toEqual(
      new Map([
        [1, 49_430],
        [2, 17_434],
      ]),
    );
    const read = await pagesByMapcount('python-prefork', 'read');
    expect([read.get(1), read.get(4), read.get(5)]).toEqual([51_774, 157_964, 77_780]);
  });
});
