import { describe, expect, test } from 'vitest';
import { computeWhoObject } from './who_object.js';
import type { MemoryObject } from './who_object.js';
import { computeWhoPage } from './who_page.js';
import type { FrameFlagName, PageEvidence, PageMapping } from './who_page.js';
import { computeWhoProcess } from './who_process.js';
import { parseWhoTarget } from './who_target.js';
import { anon, testPicture, testProcess } from '../../test/support/page_map_picture.js';

function mapping(pid: number, more: Partial<PageMapping> = {}): PageMapping {
  return {
    pid,
    comm: 'worker',
    address: '0x1000',
    vmaStart: '0x1000',
    vmaEnd: '0x2000',
    vmaPermissions: 'rw-p',
    vmaName: '',
    level: 'pte',
    isWritable: true,
    isExclusive: false,
    pinnedBytes: 0,
    ...more,
  };
}

function evidence(
  flags: readonly FrameFlagName[],
  mapcount: number,
  mappings: readonly PageMapping[],
): PageEvidence {
  const page = { pfn: 5, mapcount, isMapcountExact: true, flags, chargedTo: '' };
  return { target: 'pfn:5', state: 'present', page, mappings, deniedPids: [], elapsedMs: 1 };
}

describe('targets', () => {
  test.each([
    ['12@0x1fff', { kind: 'address', pid: 12, vpn: 1 }],
    ['pfn:0x10', { kind: 'pfn', pfn: 16 }],
    ['pfn:16', { kind: 'pfn', pfn: 16 }],
    ['memfd:a:b', { kind: 'memfd', name: 'a:b' }],
    ['file:/a@b', { kind: 'file', path: '/a@b', pageIndex: undefined }],
    ['file:/a@0x2000', { kind: 'file', path: '/a', pageIndex: 2 }],
    ['pid:7', { kind: 'process', pid: 7 }],
    ['shm:3', { kind: 'shm', id: 3 }],
  ])('%s', (text, target) => {
    expect(parseWhoTarget(text)).toEqual(target);
  });

  test.each(['', '12', 'pid:', 'pid:x', 'pfn:-1', '12@1000', 'what:ever', 'pfn:1e3', 'shm:9e99'])(
    '%j is refused',
    (text) => {
      expect(() => parseWhoTarget(text)).toThrow(/expected one of|is no number/);
    },
  );
});

describe('a page', () => {
  test('is freed by its last process only', () => {
    const one = computeWhoPage(evidence(['lru', 'anonymous'], 1, [mapping(7)]));
    expect(one.releases).toEqual([{ pid: 7, freedBytes: 4096 }]);
    expect(one.precision).toBe('exact');
    const two = computeWhoPage(evidence(['lru', 'anonymous'], 2, [mapping(7), mapping(8)]));
    expect(two.releases.map((release) => release.freedBytes)).toEqual([0, 0]);
    expect(two.holders).toEqual([{ kind: 'mappings', count: 2, processCount: 2 }]);
  });

  test('is freed by a process that maps it twice and alone', () => {
    const report = computeWhoPage(evidence(['anonymous'], 2, [mapping(7), mapping(7)]));
    expect(report.releases).toEqual([{ pid: 7, freedBytes: 4096 }]);
  });

  test('of a file stays in the page cache', () => {
    const found = [mapping(7, { vmaName: '/bin/x' })];
    const report = computeWhoPage(evidence(['lru', 'mapped'], 1, found));
    expect(report.type).toBe('file');
    expect(report.releases).toEqual([{ pid: 7, freedBytes: 0 }]);
    expect(report.holders).toContainEqual({ kind: 'page cache', file: '/bin/x' });
  });

  test('with mappings that nobody was found for is not exact', () => {
    const report = computeWhoPage(evidence(['anonymous'], 3, [mapping(7)]));
    expect(report.missingMappings).toBe(2);
    expect(report.precision).toBe('estimated');
    expect(report.releases[0]?.freedBytes).toBe(0);
  });

  test('may be held by more than mappings', () => {
    const flags: FrameFlagName[] = ['anonymous', 'ksm', 'swap cache', 'unevictable', 'writeback'];
    const report = computeWhoPage(evidence(flags, 1, [mapping(7, { pinnedBytes: 8192 })]));
    expect(report.type).toBe('ksm');
    expect(report.holders.map((holder) => holder.kind)).toEqual([
      'mappings',
      'swap cache',
      'ksm',
      'mlock',
      'writeback',
      'possibly pinned',
    ]);
    expect(report.releases[0]?.freedBytes).toBe(0);
  });

  test('may be the zero page, free, or the kernel’s', () => {
    expect(computeWhoPage(evidence(['zero page'], 0, [])).holders).toEqual([{ kind: 'kernel' }]);
    const free = computeWhoPage(evidence(['buddy'], 0, []));
    expect([free.type, free.holders]).toEqual(['kernel', [{ kind: 'nothing visible' }]]);
  });

  test('may not be there', () => {
    const nothing = { ...evidence([], 0, []), page: undefined, state: 'swapped out' as const };
    expect(computeWhoPage(nothing)).toMatchObject({
      type: 'unknown',
      holders: [],
      state: 'swapped out',
    });
  });
});

describe('an object', () => {
  const object = (more: Partial<MemoryObject>): MemoryObject => ({
    name: '/memfd:cache',
    device: '00:01',
    inode: 5,
    type: 'memory file',
    isDeleted: true,
    sizeBytes: 64 << 20,
    memoryBytes: 16 << 20,
    mappings: [],
    descriptors: [],
    ...more,
  });
  const window = {
    pid: 7,
    comm: 'w',
    vmaStart: '0x0',
    vmaEnd: '0x1000',
    vmaPermissions: 'r--s',
    offsetBytes: 0,
    lengthBytes: 4096,
    touchedBytes: 4096,
    copiedBytes: 0,
  };

  test('goes with its last holder, however little that maps', () => {
    const report = computeWhoObject('memfd:cache', [object({ mappings: [window] })], [], 1);
    expect(report.objects[0]?.holders).toEqual([
      {
        pid: 7,
        comm: 'w',
        mappingCount: 1,
        mappedBytes: 4096,
        descriptorCount: 0,
        freedBytes: 16 << 20,
      },
    ]);
    expect(report.objects[0]?.keptBy).toBe('processes');
  });

  test('stays with a second holder, or with a name', () => {
    const descriptors = [{ pid: 8, comm: 'x', fd: 3 }];
    const two = computeWhoObject('t', [object({ mappings: [window], descriptors })], [], 1);
    expect(two.objects[0]?.holders.map((holder) => holder.freedBytes)).toEqual([0, 0]);
    const named = computeWhoObject('t', [object({ mappings: [window], isDeleted: false })], [], 1);
    expect(named.objects[0]).toMatchObject({ keptBy: 'name', holders: [{ freedBytes: 0 }] });
  });

  test('of one name there may be many: the largest comes first', () => {
    const found = [object({ inode: 1, memoryBytes: 1 }), object({ inode: 2, memoryBytes: 2 })];
    const report = computeWhoObject('t', found, [], 1);
    expect(report.objects.map(({ inode }) => inode)).toEqual([2, 1]);
    expect(report.objects[0]?.keptBy).toBe('nothing visible');
  });
});

test('a process: its regions and whom it shares with', () => {
  const picture = testPicture([
    testProcess(1, anon(10, 11, 12)),
    testProcess(2, [...anon(11, 12), { pfn: 20, exclusive: true }]),
    testProcess(3, anon(12)),
  ]);
  const report = computeWhoProcess('pid:2', 2, picture, 4, 1);
  expect(report?.partners).toEqual([
    { pid: 1, comm: 'worker', sharedBytes: 8192 },
    { pid: 3, comm: 'worker', sharedBytes: 4096 },
  ]);
  expect(report?.regions).toEqual([
    { name: '[heap]', mappingCount: 1, rssBytes: 3 * 4096, ussBytes: 4096 },
  ]);
  expect(report?.unreadRelatives).toBe(4);
  expect(computeWhoProcess('pid:9', 9, picture, 0, 1)).toBeUndefined();
});

test('a process that shares in more ways than a report lists', () => {
  // Page k is shared with the relatives whose bits are set in k + 1: 255 different sets.
  const pfns = Array.from({ length: 255 }, (_, k) => 1000 + k);
  const relatives = Array.from({ length: 8 }, (_, bit) =>
    testProcess(10 + bit, anon(...pfns.filter((_pfn, k) => (((k + 1) >> bit) & 1) === 1))),
  );
  const report = computeWhoProcess(
    'pid:2',
    2,
    testPicture([testProcess(2, anon(...pfns)), ...relatives]),
    0,
    1,
  );
  expect(report?.partners.map(({ pid }) => pid)).toEqual([10, 11, 12, 13, 14, 15, 16, 17]);
  expect(report?.partners.every(({ sharedBytes }) => sharedBytes === 128 * 4096)).toBe(true);
});
