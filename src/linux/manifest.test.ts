import { expect, test } from 'vitest';
import { manifestText } from './manifest.js';
import type { ManifestParts } from './manifest.js';
import { DEFAULT_SETS } from './trace_events.js';

const PARTS: ManifestParts = {
  options: {
    target: { kind: 'command', command: ['true'] },
    path: '/data/redis.rec',
    mayReplace: false,
    sets: DEFAULT_SETS,
    limitMs: undefined,
    bufferKib: 16_384,
    snapshots: undefined,
    snapshotAtFork: false,
  },
  description: 'true',
  settings: {
    kernel: 'Linux version 6.18',
    thp: { enabled: 'always [madvise] never' },
    khugepaged: {},
    ksm: {},
    vm: {},
    swaps: '',
    memTotalKib: 1,
  },
  cpuCount: 2,
  firstTimeNs: 5,
  report: {
    schemaVersion: 1,
    path: '/data/redis.rec',
    form: 'raw',
    stopReason: 'command ended',
    durationMs: 1,
    events: 70,
    lostEvents: 0,
    rawBytes: 4096,
    unwrittenBytes: 0,
    writeFailure: undefined,
    mostWaitingBytes: 0,
    bufferBytes: 0,
    snapshots: [],
    snapshotsLeftOut: 0,
    recorderCpuMs: 1,
    targetCpuMs: undefined,
    missingEvents: [],
    commandEnd: { exitCode: 0 },
    runningCommandPid: undefined,
    isCutShort: false,
  },
  totals: [],
};

type Report = NonNullable<ManifestParts['report']>;

function manifestOf(change: Partial<Report> | undefined): Record<string, unknown> {
  const report = change === undefined ? undefined : { ...(PARTS.report as Report), ...change };
  return JSON.parse(manifestText({ ...PARTS, report }));
}

test('a finished recording', () => {
  expect(manifestOf({})).toMatchObject({
    name: 'redis',
    complete: true,
    events: 70,
    lost: 0,
    thp: 'always [madvise] never',
    page_size: 4096,
    unknowns: [],
  });
});

test('a recording whose recorder was killed keeps its first manifest', () => {
  const manifest = manifestOf(undefined);
  expect(manifest['complete']).toBe(false);
  expect(manifest).not.toHaveProperty('events');
  expect(manifest['unknowns']).toEqual(['the recorder was killed: the last second is missing']);
});

test('what is missing is said', () => {
  const manifest = manifestOf({
    missingEvents: ['a:b', 'c:d'],
    writeFailure: { path: '/data/redis.rec/cpu0.raw.gz', call: 'write', code: 'EIO', freeBytes: 0 },
  });
  expect(manifest).not.toHaveProperty('events');
  expect(manifest['unknowns']).toEqual([
    'the kernel lacks a:b, c:d',
    'cpu0.raw.gz could not be written (EIO): the end is missing',
  ]);
});
