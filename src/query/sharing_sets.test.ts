import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SharingSetBuilder, joinPages } from './sharing_sets.js';
import { anon, testPicture, testProcess } from '../../test/support/page_map_picture.js';

test('pages are grouped by exactly who maps them', () => {
  const picture = testPicture([
    testProcess(1, anon(10, 11, 12, 13)),
    testProcess(2, anon(11, 12, 13)),
    testProcess(3, anon(12, 20)),
  ]);
  expect(joinPages(picture)).toEqual([
    { members: [0], isFile: false, pages: 1, outsideMappings: 0 },
    { members: [0, 1], isFile: false, pages: 2, outsideMappings: 0 },
    { members: [0, 1, 2], isFile: false, pages: 1, outsideMappings: 0 },
    { members: [2], isFile: false, pages: 1, outsideMappings: 0 },
  ]);
});

test('a page that a process maps twice counts twice', () => {
  const picture = testPicture([testProcess(1, anon(10, 10)), testProcess(2, anon(10))]);
  expect(joinPages(picture)).toEqual([
    { members: [0, 0, 1], isFile: false, pages: 1, outsideMappings: 0 },
  ]);
});

test('file pages and the zero page are kept apart', () => {
  const pages = [{ pfn: 10, file: true }, { pfn: 11 }, { pfn: 99 }];
  const picture = testPicture([testProcess(1, pages)], { zeroPfns: new Set([99]) });
  expect(joinPages(picture).map(({ isFile, pages: count }) => [isFile, count])).toEqual([
    [true, 1],
    [false, 1],
  ]);
});

test('kernel mapcounts tell of mappings from outside', () => {
  const picture = testPicture([testProcess(1, anon(10, 11, 12)), testProcess(2, anon(12))], {
    coversMachine: false,
    // 13 is nobody's here; 12 is mapped by both and no one else.
    mapcounts: { pfn: Uint32Array.of(11, 12, 13), mapcount: Uint32Array.of(4, 2, 9) },
  });
  expect(joinPages(picture)).toEqual([
    { members: [0], isFile: false, pages: 1, outsideMappings: 3 },
    { members: [0], isFile: false, pages: 1, outsideMappings: 0 },
    { members: [0, 1], isFile: false, pages: 1, outsideMappings: 0 },
  ]);
});

test('processes must come in order', () => {
  const builder = new SharingSetBuilder(new Set());
  builder.add(1, testProcess(1, anon(1)).rows);
  expect(() => builder.add(1, testProcess(1, anon(1)).rows)).toThrow('process 1 added after 1');
  expect(builder.membersOf(1)).toEqual([1]);
  expect(builder.membersOf(2)).toEqual([]);
});

/** The obvious way: a list of mappers for each frame. */
function bruteForce(processes: readonly (readonly number[])[]): Map<string, number> {
  const mappers = new Map<number, number[]>();
  for (const [index, pfns] of processes.entries()) {
    for (const pfn of pfns) mappers.set(pfn, [...(mappers.get(pfn) ?? []), index]);
  }
  const sets = new Map<string, number>();
  for (const members of mappers.values()) {
    const key = members.join(' ');
    sets.set(key, (sets.get(key) ?? 0) + 1);
  }
  return sets;
}

test('agrees with a list of mappers for each frame', () => {
  // Few frames at the edges of segments, so that sets collide often.
  const frame = fc.constantFrom(1, 2, 3, 65_535, 65_536, 131_072, 4_294_967_295);
  const processes = fc.array(fc.array(frame, { maxLength: 12 }), { maxLength: 9 });
  fc.assert(
    fc.property(processes, (list) => {
      const picture = testPicture(list.map((pfns, index) => testProcess(index + 1, anon(...pfns))));
      const found = joinPages(picture).map(({ members, pages }) => [members.join(' '), pages]);
      expect(new Map(found as [string, number][])).toEqual(bruteForce(list));
    }),
    { seed: 7, numRuns: 300 },
  );
});

test('more sets than there was room for at first', () => {
  const builder = new SharingSetBuilder(new Set());
  const members = 14;
  for (let process = 0; process < members; process++) {
    const pfns = Array.from({ length: 1 << members }, (_, pfn) => pfn);
    const mine = pfns.filter((pfn) => (pfn & (1 << process)) !== 0);
    builder.add(process, testProcess(process, anon(...mine)).rows);
  }
  // Every non-empty subset of the processes has one page.
  const sets = builder.finish(undefined);
  expect(sets.length).toBe((1 << members) - 1);
  expect(sets.every((set) => set.pages === 1)).toBe(true);
  expect(builder.membersOf(0b1010)).toEqual([1, 3]);
});
