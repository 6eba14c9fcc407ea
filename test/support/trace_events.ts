import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { EventBatch } from '../../src/trace/event.js';
import { EVENT_NAMES, isInternedWord, wordRow } from '../../src/trace/event.js';
import type { EventReadOptions, Recording } from '../../src/trace/recording.js';
import type { StringTable, WordTable } from '../../src/trace/tables.js';

/** Path of a file under `test/data`. */
export function dataPath(name: string): string {
  return fileURLToPath(new URL(`../data/${name}`, import.meta.url));
}

/** A directory that is removed when the test ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'rmap-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Events of a batch as text: `kind time cpu tid text a b c d e f`, words in full. */
export function describeBatch(
  batch: EventBatch,
  { strings, words }: { readonly strings: StringTable; readonly words: WordTable },
): string[] {
  const lines: string[] = [];
  for (let row = 0; row < batch.length; row += 1) {
    const cells = [batch.a, batch.b, batch.c, batch.d, batch.e, batch.f].map((column) => {
      const cell = column[row] ?? 0;
      return isInternedWord(cell) ? `0x${words.word(wordRow(cell)).toString(16)}` : String(cell);
    });
    while (cells.at(-1) === '0') cells.pop();
    const text = batch.text[row] === -1 ? '-' : JSON.stringify(strings.text(batch.text[row] ?? -1));
    const kind = EVENT_NAMES[batch.kind[row] ?? 0] ?? '';
    const head = [kind, batch.timeNs[row], batch.cpu[row], batch.tid[row], text];
    lines.push([...head, ...cells].join(' '));
  }
  return lines;
}

/** All events of a recording as text. */
export async function describeEvents(
  recording: Recording,
  options: EventReadOptions = {},
): Promise<string[]> {
  const lines: string[] = [];
  for await (const batch of recording.events(options))
    lines.push(...describeBatch(batch, recording));
  return lines;
}
