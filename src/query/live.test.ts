import { expect, test } from 'vitest';
import { computeLive } from './live.js';
import { anon, testPicture, testProcess } from '../../test/support/page_map_picture.js';

const PAGE = 4096;

/** A parent (1) and two workers (2, 3): 12 for all, 11 for parent and 2, one of its own each. */
function family() {
  return testPicture([
    testProcess(1, anon(10, 11, 12), { ppid: 50, comm: 'master' }),
    testProcess(2, [...anon(11, 12), { pfn: 21, exclusive: true }], { ppid: 1 }),
    testProcess(3, [...anon(12), { pfn: 31, file: true }], { ppid: 1, pageTableBytes: 8192 }),
  ]);
}

test('every page is paid for once in the sum of PSS', () => {
  const report = computeLive(family());
  // Each process is rounded to whole bytes.
  expect(Math.abs(report.total.pssBytes - report.total.distinctBytes)).toBeLessThanOrEqual(3);
  expect(report.total.distinctBytes).toBe(5 * PAGE);
  expect(report.total.rssBytes).toBe(8 * PAGE);
  expect(report.total.overstatement).toBe(8 / 5);
  expect(report.precision).toBe('exact');
});

test('each process: proportional, unique, shared', () => {
  const byPid = new Map(computeLive(family()).processes.map((entry) => [entry.pid, entry]));
  expect(byPid.get(1)).toMatchObject({
    rssBytes: 3 * PAGE,
    pssBytes: Math.round((1 + 1 / 2 + 1 / 3) * PAGE),
    ussBytes: PAGE,
    sharedInsideBytes: 2 * PAGE,
    sharedOutsideBytes: 0,
  });
  // The file page of 3 stays in the page cache: only page tables are freed.
  expect(byPid.get(3)).toMatchObject({ ussBytes: PAGE, freedIfKilledBytes: 8192 });
  expect(byPid.get(2)?.freedIfKilledBytes).toBe(PAGE);
});

test('the matrix: shared by two, own on the diagonal', () => {
  const { matrix } = computeLive(family());
  const cell = (left: number, right: number): number | undefined =>
    matrix.bytes[matrix.pids.indexOf(left)]?.[matrix.pids.indexOf(right)];
  expect(cell(1, 2)).toBe(2 * PAGE);
  expect(cell(2, 1)).toBe(2 * PAGE);
  expect(cell(1, 3)).toBe(PAGE);
  expect(cell(1, 1)).toBe(PAGE);
  expect(matrix.omittedCount).toBe(0);
});

test('mappings from outside lower PSS and are no gain when the group is killed', () => {
  const picture = testPicture([testProcess(1, anon(10, 11))], {
    coversMachine: false,
    mapcounts: { pfn: Uint32Array.of(11), mapcount: Uint32Array.of(4) },
  });
  const report = computeLive(picture);
  expect(report.processes[0]).toMatchObject({
    pssBytes: 1.25 * PAGE,
    ussBytes: PAGE,
    sharedOutsideBytes: PAGE,
    freedIfKilledBytes: PAGE,
  });
  expect(report.total.freedIfKilledBytes).toBe(PAGE);
  const averaged = computeLive({ ...picture, mapcountsAreExact: false });
  expect(averaged.precision).toBe('estimated');
});

test('a swap slot is freed with its only user', () => {
  const report = computeLive(
    testPicture([
      testProcess(1, [], { swapEntries: Float64Array.of(5, 6) }),
      testProcess(2, [], { swapEntries: Float64Array.of(6) }),
    ]),
  );
  const byPid = new Map(report.processes.map((entry) => [entry.pid, entry]));
  expect(byPid.get(1)).toMatchObject({ swapBytes: 2 * PAGE, freedIfKilledBytes: PAGE });
  expect(byPid.get(2)).toMatchObject({ swapBytes: PAGE, freedIfKilledBytes: 0 });
  expect(report.total).toMatchObject({ swapBytes: 2 * PAGE, freedIfKilledBytes: 2 * PAGE });
});

test('without frames the flags still tell what is unique', () => {
  const pages = [{ pfn: 0, exclusive: true }, { pfn: 0, exclusive: true, file: true }, { pfn: 0 }];
  const picture = testPicture([
    testProcess(1, pages, {
      kernelSums: { rssBytes: 3 * PAGE, pssBytes: 9000, ussBytes: 2 * PAGE },
    }),
  ]);
  const method = { ...picture.method, hasFrames: false };
  const report = computeLive({ ...picture, method, coversMachine: false });
  expect(report.precision).toBe('inferred');
  expect(report.processes[0]).toMatchObject({
    rssBytes: 3 * PAGE,
    pssBytes: 9000,
    ussBytes: 2 * PAGE,
    freedIfKilledBytes: PAGE,
  });
  expect(report.sharedBy).toEqual([]);
});

test('the next worker costs what its siblings came to own', () => {
  const worker = (pid: number, pages: number): ReturnType<typeof testProcess> =>
    testProcess(pid, anon(...Array.from({ length: pages }, (_, index) => pid * 100 + index)), {
      ppid: 77,
      pageTableBytes: 4096,
    });
  const { nextWorker } = computeLive(testPicture([worker(5, 1), worker(6, 3), worker(7, 10)]));
  expect(nextWorker).toEqual({
    bytes: 3 * PAGE + 4096 + 16_384,
    ussBytes: 3 * PAGE,
    pageTableBytes: 4096,
    kernelStackBytes: 16_384,
    leastBytes: PAGE + 4096 + 16_384,
    mostBytes: 10 * PAGE + 4096 + 16_384,
    siblingPids: [5, 6, 7],
    comm: 'worker',
  });
  expect(computeLive(testPicture([worker(5, 1)])).nextWorker).toBeUndefined();
});
