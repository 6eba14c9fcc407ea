/**
 * Goal: replaying a recording gives the very pages that the kernel listed. Method: recordings of
 * real programs with snapshots; every anonymous page must agree in presence, mapcount and sharers.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { replay, replayPath } from '../src/replay/index.js';
import { openRecording } from '../src/trace/open.js';
import type { Recording } from '../src/trace/recording.js';
import { openJsonlRecording } from '../src/trace/jsonl/jsonl_recording.js';
import { openRawRecording } from '../src/trace/raw/raw_recording.js';

const ROOT = join(import.meta.dirname, '..');

/** Snapshots and their numbers of anonymous pages. */
const EXACT: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'examples/redis': { loaded: 32_299, bgsave1: 66_213, bgsave2: 66_864, after: 37_412 },
  'examples/python-prefork': { built: 57_507, forked: 287_540, read: 287_540, end: 57_508 },
  'test/data/recordings/bash-fork': { end: 1801 },
  // No event tells of the pages of the pool.
  'test/data/recordings/hugetlb': { t1: 2583, t2: 5166, t3: 4654, t4: 2071 },
  // A cgroup that a second process joins; `join1` holds that one alone.
  'test/data/recordings/join': { start: 60, join1: 60, t1: 120, t2: 196, t3: 136 },
  // The same for a parent, whose pages were those of a stand-in before.
  'test/data/recordings/join-family': {
    start: 423,
    join1: 423,
    t1: 846,
    t2: 846,
    t3: 1269,
    t4: 846,
  },
  // Attached: siblings without their parent, one that called exec, mappings outside of it all.
  'test/data/recordings/orphans': { start: 4068, t1: 4267, t2: 4302, end: 4319 },
  'test/data/recordings/py-thp': { built: 42_151, forked: 126_453, read: 126_453, end: 42_151 },
};

describe('replay', () => {
  for (const [path, snapshots] of Object.entries(EXACT)) {
    test(`${path} agrees in every page of every snapshot`, { timeout: 120_000 }, async () => {
      expect(existsSync(join(ROOT, path))).toBe(true);
      const result = await replayPath(join(ROOT, path));
      const pages = result.snapshots.map(({ name, anonymousPages }) => [name, anonymousPages]);
      expect(Object.fromEntries(pages)).toEqual(snapshots);
      for (const snapshot of result.snapshots) {
        expect(snapshot).toMatchObject({ missing: 0, extra: 0, mapcountWrong: 0, sharersWrong: 0 });
        expect(snapshot.agree).toBe(snapshot.anonymousPages);
      }
      expect(result.lostEvents).toBe(0);
    });
  }

  for (const [name, path, thp] of [
    ['huge pages', 'test/data/recordings/py-thp', 'always madvise [never]'],
    ['small pages', 'examples/python-prefork', '[always] madvise never'],
  ] as const) {
    test(`${name} are what the faults got, whatever the knobs said before`, async () => {
      const recording = await openRecording(join(ROOT, path));
      const told: Recording = {
        ...recording,
        info: { ...recording.info, thp, settings: {} },
        path: recording.path,
        format: recording.format,
        events: (options) => recording.events(options),
        snapshot: (snapshot) => recording.snapshot(snapshot),
        positionOf: (event) => recording.positionOf(event),
      };
      const { snapshots } = await replay(told);
      expect(snapshots.length).toBeGreaterThan(0);
      for (const { agree, anonymousPages } of snapshots) expect(agree).toBe(anonymousPages);
    });
  }

  test('redis can start from a snapshot', { timeout: 120_000 }, async () => {
    const result = await replayPath(join(ROOT, 'examples/redis'), { from: 'loaded' });
    expect(result.snapshots.map(({ name }) => name)).toEqual([
      'loaded',
      'bgsave1',
      'bgsave2',
      'after',
    ]);
    for (const snapshot of result.snapshots) expect(snapshot.agree).toBe(snapshot.anonymousPages);
  });

  test.each(['from', 'until'])('%s a snapshot that is not there is an error', async (option) => {
    const path = join(ROOT, 'test/data/recordings/bash-fork');
    await expect(replayPath(path, { [option]: 'no' })).rejects.toThrow(
      /bash-fork: no snapshot "no"; it has end$/,
    );
  });

  test('stress reaches its figures in every phase', { timeout: 120_000 }, async () => {
    const result = await replayPath(join(ROOT, 'test/data/recordings/stress'));
    const shares = new Map(
      result.snapshots.map(({ name, agree, anonymousPages }) => [name, agree / anonymousPages]),
    );
    // Pages that GUP added without a fault have no address until the next snapshot.
    expect(shares.get('gup')).toBeGreaterThanOrEqual(0.988);
    shares.delete('gup');
    expect([...shares].filter(([, share]) => share !== 1)).toEqual([]);
    expect(shares.size).toBe(10);
    expect(result.findings).toMatchObject({ pagesMerged: 252 });
  });

  test('stress can start from each of its snapshots', { timeout: 240_000 }, async () => {
    const path = join(ROOT, 'test/data/recordings/stress');
    for (const from of ['fork3', 'threads', 'gup', 'thp', 'ksm']) {
      const { snapshots, findings } = await replayPath(path, { from, until: from });
      expect(snapshots).toMatchObject([
        { name: from, missing: 0, extra: 0, mapcountWrong: 0, sharersWrong: 0 },
      ]);
      expect(findings.pagesAttachedApart).toBe(0);
    }
  });

  test('a process that runs already is unknown where no snapshot shows it', async () => {
    const path = join(ROOT, 'test/data/recordings/raw-pages');
    const outcomes = [];
    for (const open of [openRawRecording, openJsonlRecording]) {
      const result = await replay(await open(path));
      expect(result.findings).toMatchObject({ processesUnknown: 1, eventsBeforeSnapshot: 0 });
      outcomes.push([result.findings, result.driver.machine.fingerprint()]);
    }
    expect(outcomes[0]).toEqual(outcomes[1]);
  });

  test('swap knows which pages are in memory', { timeout: 120_000 }, async () => {
    const result = await replayPath(join(ROOT, 'test/data/recordings/swap'));
    const pages = result.snapshots.map(({ agree, missing, extra }) => [agree, missing, extra]);
    // One page of the second was on its way back from swap when its process was held.
    expect(pages).toEqual([
      [890, 0, 0],
      [1369, 0, 0],
      [979, 0, 0],
      [979, 0, 0],
    ]);
    expect(result.snapshots.map((found) => found.swappedPages - found.swappedAgree)).toEqual([
      0, 0, 0, 0,
    ]);
    expect(result.snapshots[0]?.swappedPages).toBeGreaterThan(500);
    expect(result.findings.pagesSwappedOut).toBeGreaterThan(1000);
    expect(result.findings.freesUnexplained).toBe(0);
  });
});
