import { expect, test } from 'vitest';
import { printedCli } from '../../test/support/printed_cli.js';
import type { RecordReport } from '../linux/recorder_options.js';
import { noteCleanUp, printFlagRecord, printRecord, snapshotLine } from './record_text.js';

const REPORT: RecordReport = {
  schemaVersion: 1,
  path: 'redis.rec',
  form: 'native',
  stopReason: 'command ended',
  durationMs: 6500,
  events: 201_821,
  lostEvents: 0,
  rawBytes: 9_000_000,
  unwrittenBytes: 0,
  writeFailure: undefined,
  sizeBytes: 3 << 20,
  mostWaitingBytes: 800_000,
  bufferBytes: 32 << 20,
  snapshots: [
    { name: 't1', processes: 1, anonPages: 10, pauseMs: 20, how: 'cgroup freezer' },
    { name: 't2', processes: 2, anonPages: 20, pauseMs: 95, how: 'cgroup freezer' },
  ],
  snapshotsLeftOut: 0,
  recorderCpuMs: 90,
  targetCpuMs: 5000,
  missingEvents: [],
  commandEnd: { exitCode: 0 },
  runningCommandPid: undefined,
  isCutShort: false,
};

function printed(report: RecordReport): { readonly text: string; readonly notes: string } {
  const cli = printedCli();
  printRecord(cli, report);
  return { text: cli.lines.join('\n'), notes: cli.notes.join('\n') };
}

test('three lines and the next command', () => {
  expect(printed(REPORT).text).toMatchInlineSnapshot(`
    "recorded  201,821 events in 6.5 s (31.0 k/s), 0 lost; 2 snapshots held it 115 ms in all, 95 ms at most
    overhead  recorder 90 ms CPU (1.4 % of one CPU); tracing 50 ms to 121 ms of 5.0 s CPU (at most 2.4 %, estimated)
    written   redis.rec, 3.0 MiB of tables; ended by: command ended (exit 0)
    next: rmap explain redis.rec"
  `);
});

test('losses and failures stand out', () => {
  expect(printed({ ...REPORT, form: 'raw' }).text).toContain('3.0 MiB of raw pages');
  expect(printed({ ...REPORT, snapshotsLeftOut: 2 }).text).toContain('95 ms at most, 2 left out');
  expect(printed({ ...REPORT, lostEvents: 1234 }).text).toContain('1,234 LOST');
  expect(printed({ ...REPORT, missingEvents: ['a:b'] }).notes).toContain('lacks a:b');
  expect(printed({ ...REPORT, snapshots: [] }).text).toContain('cannot be checked');
  expect(printed({ ...REPORT, commandEnd: { signal: 'SIGKILL' } }).text).toContain('(SIGKILL)');
  expect(printed({ ...REPORT, targetCpuMs: undefined }).text).not.toContain('estimated');
});

test('a failed write is named with the file, the call and what room there is now', () => {
  const path = 'redis.rec/cpu0.raw.gz';
  const writeFailure = { path, call: 'write', code: 'ENOSPC', freeBytes: 77 * 2 ** 30 };
  expect(printed({ ...REPORT, unwrittenBytes: 4096, writeFailure }).notes).toMatchInlineSnapshot(`
    "the recording ends early: 4.0 KiB of events could not be written
    redis.rec/cpu0.raw.gz: write: no space left on device (ENOSPC); 77.0 GiB are free now"
  `);
});

test('a command that was left to run is named', () => {
  expect(printed({ ...REPORT, stopReason: 'interrupted', runningCommandPid: 77 }).notes).toBe(
    'the command (process 77) still runs after SIGINT',
  );
  expect(printed({ ...REPORT, stopReason: 'time limit', runningCommandPid: 77 }).notes).toBe(
    'the command (process 77) still runs after SIGTERM',
  );
});

test('names that were recorded cannot drive the terminal', () => {
  expect(printed({ ...REPORT, path: 'a\u001b]0;x\u0007b.rec' }).text).toContain('ab.rec');
});

test('cleaning up is worth a line only if there was something', () => {
  const cli = printedCli();
  noteCleanUp(cli, { instances: [], cgroups: [], resumedPids: [] });
  expect(cli.notes).toEqual([]);
  noteCleanUp(cli, { instances: ['/x'], cgroups: [], resumedPids: [5, 6] });
  expect(cli.notes).toEqual([
    'cleaned up after a killed recorder: 1 trace instance, 0 cgroups, resumed 5 6',
  ]);
  expect(snapshotLine(REPORT.snapshots[1])).toBe(
    'snapshot t2: 20 anonymous pages in 2 processes, held 95 ms',
  );
});

test('flags over time', () => {
  const cli = printedCli();
  const sample = { name: 't1', processCount: 2, fileBytes: 0, pauseMs: 3 };
  printFlagRecord(cli, {
    schemaVersion: 1,
    path: 'x.rec',
    precision: 'inferred',
    stopReason: 'interrupted',
    runningCommandPid: undefined,
    writeFailure: undefined,
    samples: [{ ...sample, atMs: 250, ownBytes: 4096, sharedBytes: 8192 }],
  });
  expect(cli.lines.join('\n')).toMatchInlineSnapshot(`
    "anonymous memory over time (inferred)
      at      processes   shared      own  files  held for
      250 ms          2  8.0 KiB  4.0 KiB    0 B  3 ms
    written x.rec; ended by: interrupted
    next: rmap doctor"
  `);
});
