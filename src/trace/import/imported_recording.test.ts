import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  dataPath,
  describeEvents,
  temporaryDirectory,
} from '../../../test/support/trace_events.js';
import type { RecordingInfo } from '../recording.js';
import { importSource } from './import_source.js';
import type { ImportFormat } from './imported_recording.js';
import { detectImportFormat, openImport } from './imported_recording.js';

interface Imported {
  readonly events: string[];
  readonly info: RecordingInfo;
}

async function read(path: string, format?: ImportFormat): Promise<Imported> {
  const recording = await openImport(path, format);
  const events = await describeEvents(recording);
  return { events, info: recording.info };
}

/** Imports a text given as lines. */
async function readText(format: ImportFormat, ...lines: string[]): Promise<Imported> {
  const path = join(temporaryDirectory(), 'text.txt');
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return read(path, format);
}

function countByKind(events: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of events) {
    const kind = line.slice(0, line.indexOf(' '));
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

describe('samples of other tools', () => {
  it('perf script with tracepoints is exact', async () => {
    const { events, info } = await read(dataPath('imports/perf-script-tracepoints.txt.gz'));
    expect(countByKind(events)).toEqual({
      faultUser: 4904,
      faultKernel: 196,
      rss: 2637,
      callEnter: 143,
      callExit: 144,
      // Mappings of the new image only: those of mmap calls stand in the calls.
      mapped: 12,
      prepareExec: 1,
      exec: 1,
      newTask: 1,
      exit: 2,
    });
    expect(info).toMatchObject({ precision: 'exact', source: 'perf script', lostEvents: 0 });
    expect(info.unknowns).toEqual([
      'Page frames are not known: merged, swapped and pinned pages do not show.',
      'Whether one thread forked before or after another mapped memory is not known.',
    ]);
    expect(events.slice(0, 2)).toEqual([
      'prepareExec 0 1 14054 "python3.11"',
      'mapped 27000 1 14054 "[stack]" 140722577858560 135168 3 0 140737488216064 14054',
    ]);
    expect(events).toContain('newTask 42109000 1 14054 "python3.11" 14056 18874368');
    expect(events).toContain('callExit 42124000 1 14054 "clone" 14056');
  });

  it('perf script of page-fault samples is estimated', async () => {
    const { events, info } = await read(dataPath('imports/perf-script-pagefaults-u.txt.gz'));
    expect(countByKind(events)).toEqual({
      faultUser: 4895,
      mapped: 134,
      prepareExec: 1,
      exec: 1,
      newTask: 1,
      exit: 2,
    });
    expect(info.precision).toBe('estimated');
    expect(info.unknowns).toContain('The faults do not tell reads from writes.');
    expect(info.unknowns).toContain(
      'The records of perf do not tell vfork from fork: new processes count as forked.',
    );
    expect(events).toContain('faultUser 155000 0 14117 - 140720320167928 -1 140533813782432');
  });

  it('ftrace text is exact and has page frames', async () => {
    const { events, info } = await read(dataPath('imports/ftrace-trace.txt.gz'));
    expect(countByKind(events)).toEqual({
      faultUser: 4898,
      faultKernel: 195,
      rss: 2834,
      pageAlloc: 2875,
      callEnter: 144,
      callExit: 145,
      prepareExec: 1,
      exec: 1,
      newTask: 1,
      rename: 1,
      exit: 2,
      exitMm: 3,
    });
    expect(info).toMatchObject({ precision: 'exact', source: 'ftrace', cpus: 2 });
    expect(events[1]).toBe('pageAlloc 35000 1 14167 - 1291716 0 1314250');
  });

  it('strace is layout only', async () => {
    const { events, info } = await read(dataPath('imports/strace-small.txt.gz'));
    expect(countByKind(events)).toEqual({
      callEnter: 144,
      callExit: 144,
      prepareExec: 1,
      exec: 1,
      newTask: 1,
      exit: 2,
    });
    expect(info).toMatchObject({ precision: 'layout', source: 'strace' });
    expect(info.unknowns[0]).toMatch(/^No page fault is in the text/);
    expect(events).toContain('newTask 116036000 0 651 - 652 18874368');
    expect(events).toContain('callEnter 1546000 0 651 "mmap" 140364469469184 268600 3 50 -1');
    expect(events.at(-1)).toBe('exit 130828000 0 651 - 651 1');
  });

  it('perf trace is estimated and loses the faults in files', async () => {
    const { events, info } = await read(dataPath('imports/perf-trace.txt.gz'));
    expect(countByKind(events)).toEqual({
      faultUser: 3934,
      faultKernel: 197,
      callEnter: 143,
      callExit: 143,
    });
    expect(info.precision).toBe('estimated');
    expect(info.unknowns.join('\n')).toMatch(/962 faults in mapped files .* are left out/);
    expect(events).toContain('callEnter 4518000 0 14131 "mmap" 0 8192 3 34');
  });

  it('are told apart by their first lines', async () => {
    for (const [file, format] of [
      ['perf-script-tracepoints', 'perf-script'],
      ['perf-script-pagefaults-u', 'perf-script'],
      ['ftrace-trace', 'ftrace'],
      ['strace-small', 'strace'],
      ['perf-trace', 'perf-trace'],
    ]) {
      expect(await detectImportFormat(dataPath(`imports/${file}.txt.gz`))).toBe(format);
    }
    const path = join(temporaryDirectory(), 'letter.txt');
    writeFileSync(path, 'Dear Sir or Madam,\n');
    await expect(detectImportFormat(path)).rejects.toThrow(
      /letter\.txt: none of the first 1 lines/,
    );
  });

  it('become recordings that say what they could not know', async () => {
    const target = join(temporaryDirectory(), 'out');
    const report = await importSource(dataPath('imports/strace-small.txt.gz'), target);
    expect(report).toMatchObject({ schemaVersion: 1, events: 293, precision: 'layout' });
    const again = await importSource(target, join(temporaryDirectory(), 'copy'));
    expect(again).toMatchObject({ sourceFormat: 'native', unknowns: report.unknowns });
  });
});

describe('perf script', () => {
  it('takes names with blanks, colons and digits', async () => {
    const { events } = await readText(
      'perf-script',
      'Web Content: 12 77 [003] 10.000001: exceptions:page_fault_user: address=0x1000 ip=0x2000 error_code=0x6',
      '   a:b 78/79 [001] 10.000002: exceptions:page_fault_kernel: address=0x1000 ip=clear_user error_code=0x2',
    );
    expect(events).toEqual(['faultUser 0 3 77 - 4096 6 8192', 'faultKernel 1000 1 79 - 4096 2']);
  });

  it('makes tasks up from records only where the events are missing', async () => {
    const { events, info } = await readText(
      'perf-script',
      'a 5/5 [000] 1.000001: syscalls:sys_enter_vfork: ',
      'a 5/5 [000] 1.000002: PERF_RECORD_FORK(6:6):(5:5)',
      'a 6/6 [000] 1.000003: exceptions:page_fault_user: address=0x1000 ip=0x2000 error_code=0x6',
      'a 6/6 [000] 1.000004: PERF_RECORD_EXIT(6:6):(5:5)',
      'a 5/5 [000] 1.000005: syscalls:sys_exit_vfork: 0x6',
      'a 5/5 [000] 1.000006: PERF_RECORD_FORK(5:7):(5:5)',
      'a 5/5 [000] 1.000007: task:task_newtask: pid=7 comm=a b clone_flags=3d0f00 oom_score_adj=0',
      'a 7/7 [000] 1.000008: sched:sched_process_exit: comm=a b pid=7 prio=120 group_dead=false',
      'a 5/7 [000] 1.000009: PERF_RECORD_EXIT(5:7):(5:5)',
      'a 5/5 [000] 1.000010: PERF_RECORD_LOST lost 42',
      'a 5/5 [000] 1.000011: PERF_RECORD_FORK(8:8):(5:5)',
    );
    expect(events).toEqual([
      'callEnter 0 0 5 "vfork"',
      'newTask 2000 0 5 "a" 6 16640',
      'faultUser 2000 0 6 - 4096 6 8192',
      'exit 3000 0 6 "a" 6 1',
      'callExit 4000 0 5 "vfork" 6',
      'newTask 6000 0 5 "a b" 7 4001536',
      'exit 7000 0 7 "a b" 7',
      'lost 9000 0 0 - 42',
      'newTask 10000 0 5 "a" 8',
    ]);
    expect(info.lostEvents).toBe(42);
  });

  it('keeps the order of lines where times go back', async () => {
    const { events, info } = await readText(
      'perf-script',
      'a 5 [000] 1.000009: exceptions:page_fault_user: address=0x1000 ip=0x2000 error_code=0x6',
      'a 5 [001] 1.000002: exceptions:page_fault_user: address=0x3000 ip=0x2000 error_code=0x6',
    );
    expect(events).toEqual(['faultUser 0 0 5 - 4096 6 8192', 'faultUser 0 1 5 - 12288 6 8192']);
    expect(info.unknowns.join()).toMatch(/Times go back by up to 7 µs/);
  });

  it('names the line that it cannot read', async () => {
    const fault = 'a 5 [000] 1.000001: exceptions:page_fault_user: ';
    await expect(readText('perf-script', '# x', `${fault}address=0x1000`)).rejects.toThrow(
      /text\.txt:2: unexpected fields "address=0x1000"/,
    );
    await expect(
      readText('perf-script', `${fault}address=x ip=0x1 error_code=0x6`),
    ).rejects.toThrow(/:1: expected a number, found "x"/);
    await expect(readText('perf-script', 'a 5 1.000001: page-faults:u: 7fff')).rejects.toThrow(
      /:1: a page fault without address; record with -d/,
    );
    await expect(readText('perf-script', 'nothing here')).rejects.toThrow(/no event in 1 lines/);
  });
});

describe('ftrace text', () => {
  it('marks losses and marks, and takes lines of trace-cmd', async () => {
    const { events, info } = await readText(
      'ftrace',
      '# tracer: nop',
      '# entries-in-buffer/entries-written: 4/10   #P:2',
      'a-b c-5  (    5) [000] d..1.  1.000001: page_fault_user: address=0x1000 ip=0x2000 error_code=0x6',
      'CPU:1 [LOST 7 EVENTS]',
      '<...>-6 [001] 1.000002: sys_enter_munmap: addr: 0x1000, len: 0x2000',
      '<...>-6 [001] 1.000003: sys_exit_munmap: 0xffffffffffffffea',
      'x-6 [001] ..... 1.000004: tracing_mark_write: SNAP one',
      'x-6 [001] ..... 1.000005: mm_vmscan_write_folio: page=0000000000000000 pfn=0x77 flags=RECLAIM_WB_ANON',
      'x-6 [001] ..... 1.000006: mmap_lock_acquire_returned: mm=00000000abcdef01 memcg_id=1 write=true success=true',
      'x-6 [001] ..... 1.000007: mmap_lock_released: mm=00000000abcdef01 memcg_id=1 write=false',
    );
    expect(events.slice(0, 6)).toEqual([
      'lost 0 0 0 - 6',
      'faultUser 0 0 5 - 4096 6 8192',
      'lost 0 1 0 - 7',
      'callEnter 1000 1 6 "munmap" 4096 8192',
      'callExit 2000 1 6 "munmap" -22',
      'mark 3000 1 6 "SNAP one"',
    ]);
    expect(events[6]).toMatch(/^other 4000 1 6 "mm_vmscan_write_folio" \d+ 119 \d+$/);
    expect(events.slice(7)).toEqual(['lock 5000 1 6 - 2882400001']);
    expect(info.lostEvents).toBe(13);
  });
});

describe('strace', () => {
  it('joins calls that were interrupted and finds the parents of tasks', async () => {
    const { events, info } = await readText(
      'strace',
      '10 5.000001 vfork( <unfinished ...>',
      '11 5.000002 execve("/bin/l\\"s", ["ls"], 0x7ff /* 3 vars */) = 0',
      '11 5.000003 brk(NULL) = 0x1000',
      '10 5.000004 <... vfork resumed>) = 11',
      '10 5.000005 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x7f, stack_size=0x7}, 88) = 12',
      '12 5.000006 mmap(0x2000, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_HUGETLB|21<<MAP_HUGE_SHIFT, -1, 0) = -1 ENOMEM (Cannot allocate memory)',
      '12 5.000007 mremap(0x2000, 4096, 8192, MREMAP_MAYMOVE) = 0x9000',
      '12 5.000008 madvise(0x9000, 4096, MADV_DONTFORK) = 0',
      '12 5.000009 +++ exited with 0 +++',
      '10 5.000010 --- SIGCHLD {si_signo=SIGCHLD} ---',
      '10 5.000011 openat(AT_FDCWD, "/x", O_RDONLY) = 3</x>',
      '10 5.000012 +++ killed by SIGKILL +++',
    );
    expect(events).toEqual([
      'callEnter 0 0 10 "vfork"',
      'newTask 1000 0 10 - 11 16640',
      'callEnter 1000 0 11 "execve"',
      'prepareExec 1000 0 11 "/bin/l\\"s"',
      'exec 1000 0 11 "/bin/l\\"s" 11 11',
      'callExit 1000 0 11 "execve"',
      'callEnter 2000 0 11 "brk"',
      'callExit 2000 0 11 "brk" 4096',
      'callExit 3000 0 10 "vfork" 11',
      'callEnter 4000 0 10 "clone3"',
      'newTask 4000 0 10 - 12 65792',
      'callExit 4000 0 10 "clone3" 12',
      'callEnter 5000 0 12 "mmap" 8192 4096 3 1409548338 -1',
      'callExit 5000 0 12 "mmap" -12',
      'callEnter 6000 0 12 "mremap" 8192 4096 8192 1',
      'callExit 6000 0 12 "mremap" 36864',
      'callEnter 7000 0 12 "madvise" 36864 4096 10',
      'callExit 7000 0 12 "madvise"',
      'exit 8000 0 12 - 12',
      'exit 11000 0 10 - 10 1',
    ]);
    expect(info.precision).toBe('layout');
  });

  it('takes times of day, boxed pids, and no times at all', async () => {
    const day = await readText(
      'strace',
      '10:00:00.5 brk(NULL) = 0x1000',
      '[pid  7] 10:00:01 brk(0x2000) = 0x2000',
    );
    expect(day.events.at(-1)).toBe('callExit 500000000 0 7 "brk" 8192');
    const none = await readText('strace', 'brk(NULL) = 0x1000');
    expect(none.info.unknowns.join()).toMatch(/The lines have no times/);
  });
});
