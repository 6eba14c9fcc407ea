import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  SessionJournal,
  formatJournal,
  listJournals,
  listUnbornJournals,
  parseJournal,
  recorderOf,
  sessionName,
} from './session_journal.js';

const recorder = { pid: 4711, startTicks: 99 };

test('a journal says everything that must be undone', () => {
  const state = {
    recorder,
    instance: '/sys/kernel/tracing/instances/rmap-4711-99',
    cgroup: '/sys/fs/cgroup/a group/rmap-4711-99',
    homeCgroup: '/sys/fs/cgroup/a group',
    frozenCgroup: '/sys/fs/cgroup/b',
    stopped: [
      { pid: 5, startTicks: 6 },
      { pid: 7, startTicks: 8 },
    ],
  };
  expect(parseJournal(formatJournal(state))).toEqual(state);
});

test('a journal that is cut off or foreign is none', () => {
  expect(parseJournal('')).toBeUndefined();
  expect(parseJournal('instance /x\n')).toBeUndefined();
  expect(parseJournal('recorder x y\n')).toBeUndefined();
  expect(parseJournal('recorder 1 2\nstopped -3 4\n')).toBeUndefined();
  expect(parseJournal('recorder 1 2\nunknown thing\n')).toEqual({
    recorder: { pid: 1, startTicks: 2 },
    stopped: [],
  });
});

test('names of sessions lead back to their recorder', () => {
  expect(sessionName(recorder)).toBe('rmap-4711-99');
  expect(recorderOf('rmap-4711-99')).toEqual(recorder);
  expect(recorderOf('rmap-4711-99.journal')).toEqual(recorder);
  expect(recorderOf('rmap-live')).toBeUndefined();
  expect(recorderOf('trace-4711-99')).toBeUndefined();
});

test('updates are on disk at once and go with the journal', () => {
  const directory = mkdtempSync(join(tmpdir(), 'rmap-journal-'));
  try {
    const journal = new SessionJournal(recorder, directory);
    journal.update({ stopped: [{ pid: 5, startTicks: 6 }] });
    expect(listJournals(directory)[0]?.state?.stopped).toEqual([{ pid: 5, startTicks: 6 }]);
    expect(readdirSync(directory)).toEqual(['rmap-4711-99.journal']);
    // What a recorder leaves that is killed between writing and exchanging.
    writeFileSync(`${journal.path}.new`, 'recorder 47');
    expect(listJournals(directory)).toHaveLength(1);
    expect(listJournals(directory)[0]?.state?.stopped).toEqual([{ pid: 5, startTicks: 6 }]);
    expect(listUnbornJournals(directory)).toEqual([]);
    rmSync(journal.path);
    expect(listUnbornJournals(directory)).toEqual([journal.path]);
    journal.remove();
    expect(readdirSync(directory)).toEqual([]);
    expect(listJournals(directory)).toEqual([]);
    expect(listJournals(join(directory, 'missing'))).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
