/** Kernel events as `perf script` and ftrace print them: `address=0x… ip=0x… error_code=0x6`. */
import { CLONE_FLAG, EVENT, RSS_MEMBER } from '../event.js';
import { inputError } from '../input_error.js';
import { GFP_FLAGS, flagsValue } from './flag_names.js';
import type { ImportSink } from './import_sink.js';

/** Where and when an event happened. */
export interface Moment {
  readonly timeNs: number;
  readonly cpu: number;
  readonly tid: number;
}

const PAGE_BYTES = 4096;
const MOST_FIELDS = 6;

const RSS_MEMBERS: Readonly<Record<string, number>> = {
  MM_FILEPAGES: RSS_MEMBER.file,
  MM_ANONPAGES: RSS_MEMBER.anon,
  MM_SWAPENTS: RSS_MEMBER.swapEntries,
  MM_SHMEMPAGES: RSS_MEMBER.shmem,
};

type Handler = (sink: ImportSink, moment: Moment, text: string) => void;

/**
 * Adds a kernel event given its name without the subsystem. Events of no meaning to memory that
 * have plain `name=value` fields are kept as `other`.
 */
export function pushKernelEvent(
  sink: ImportSink,
  moment: Moment,
  name: string,
  text: string,
): void {
  const handler = Object.hasOwn(HANDLERS, name) ? HANDLERS[name] : undefined;
  if (handler === undefined) pushOther(sink, moment, name, text);
  else handler(sink, moment, text);
}

const HANDLERS: Readonly<Record<string, Handler>> = {
  page_fault_user: (sink, moment, text) => pushFault(sink, moment, text, false),
  page_fault_kernel: (sink, moment, text) => pushFault(sink, moment, text, true),
  rss_stat(sink, { timeNs, cpu, tid }, text) {
    const [, mm = '', current = '', name = '', bytes = ''] = match(
      text,
      /^mm_id=(\d+) curr=(\d) type=(\w+) size=(-?\d+)B/,
    );
    const member = RSS_MEMBERS[name];
    if (member === undefined) throw inputError(`unknown memory counter ${name}`);
    const cells = [sink.cell(mm), Number(current), member, Number(bytes) / PAGE_BYTES];
    sink.push(EVENT.rss, timeNs, cpu, tid, undefined, cells);
  },
  mm_page_alloc(sink, { timeNs, cpu, tid }, text) {
    const [, pfn = '', order = '', names = ''] = match(
      text,
      /pfn=(0x[0-9a-f]+|\d+) order=(\d+) migratetype=-?\d+ gfp_flags=(\S+)/,
    );
    const flags = flagsValue(names, GFP_FLAGS);
    if (flags === undefined) throw inputError(`unknown gfp_flags ${names}`);
    sink.push(EVENT.pageAlloc, timeNs, cpu, tid, undefined, [sink.cell(pfn), Number(order), flags]);
  },
  mm_page_free(sink, { timeNs, cpu, tid }, text) {
    const [, pfn = '', order = ''] = match(text, /pfn=(0x[0-9a-f]+|\d+) order=(\d+)/);
    sink.push(EVENT.pageFree, timeNs, cpu, tid, undefined, [sink.cell(pfn), Number(order)]);
  },
  task_newtask(sink, { timeNs, cpu, tid }, text) {
    const [, child = '', comm = '', flags = ''] = match(
      text,
      /^pid=(\d+) comm=(.*) clone_flags=([0-9a-f]+) oom_score_adj=/,
    );
    sink.push(EVENT.newTask, timeNs, cpu, tid, comm, [sink.tid(child), sink.hexCell(flags)]);
  },
  task_rename(sink, { timeNs, cpu, tid }, text) {
    const [, subject = String(tid), comm = ''] = match(
      text,
      /^(?:pid=(\d+) )?oldcomm=.* newcomm=(.*) oom_score_adj=/,
    );
    sink.push(EVENT.rename, timeNs, cpu, tid, comm, [sink.tid(subject)]);
  },
  sched_prepare_exec(sink, { timeNs, cpu, tid }, text) {
    const [, file = ''] = match(text, /^interp=.* filename=(.*) pid=\d+ comm=/);
    sink.push(EVENT.prepareExec, timeNs, cpu, tid, file);
  },
  sched_process_exec(sink, { timeNs, cpu, tid }, text) {
    const [, file = '', subject = '', before = ''] = match(
      text,
      /^filename=(.*) pid=(\d+) old_pid=(\d+)/,
    );
    sink.push(EVENT.exec, timeNs, cpu, tid, file, [sink.tid(subject), sink.tid(before)]);
  },
  sched_process_exit(sink, { timeNs, cpu, tid }, text) {
    const [, comm = '', subject = '', isLast] = match(
      text,
      /^comm=(.*) pid=(\d+) prio=-?\d+(?: group_dead=(true|false))?/,
    );
    const last = isLast === undefined ? -1 : isLast === 'true' ? 1 : 0;
    sink.push(EVENT.exit, timeNs, cpu, tid, comm, [sink.tid(subject), last]);
  },
  // The text has a hash of another address than the lock events have: it names no mm.
  exit_mmap: (sink, { timeNs, cpu, tid }) => sink.push(EVENT.exitMm, timeNs, cpu, tid, undefined),
  mmap_lock_acquire_returned: (sink, moment, text) => pushLock(sink, moment, text, EVENT.lock),
  mmap_lock_released: (sink, moment, text) => pushLock(sink, moment, text, EVENT.unlock),
  tracing_mark_write: pushMark,
  print: pushMark,
};

function match(text: string, pattern: RegExp): RegExpExecArray {
  const found = pattern.exec(text);
  if (found === null) throw inputError(`unexpected fields ${JSON.stringify(text.slice(0, 60))}`);
  return found;
}

function pushMark(sink: ImportSink, { timeNs, cpu, tid }: Moment, text: string): void {
  sink.push(EVENT.mark, timeNs, cpu, tid, text.trim());
}

function pushFault(sink: ImportSink, moment: Moment, text: string, isKernel: boolean): void {
  const [, address = '', ip = '', code = ''] = match(
    text,
    /^address=(\S+) ip=(\S+) error_code=(0x[0-9a-f]+)/,
  );
  const { timeNs, cpu, tid } = moment;
  sink.pushFault(isKernel, timeNs, cpu, tid, [
    sink.cell(address),
    sink.cell(code),
    // Instructions of the kernel are printed as symbols.
    ip.startsWith('0x') ? sink.cell(ip) : 0,
  ]);
}

function pushLock(
  sink: ImportSink,
  { timeNs, cpu, tid }: Moment,
  text: string,
  kind: typeof EVENT.lock | typeof EVENT.unlock,
): void {
  const [, mm = '', isWrite = ''] = match(text, /^mm=([0-9a-f]+) .*?\bwrite=(true|false)/);
  if (isWrite === 'true') sink.push(kind, timeNs, cpu, tid, undefined, [sink.hexCell(mm)]);
}

function pushOther(sink: ImportSink, moment: Moment, name: string, text: string): void {
  const cells: number[] = [];
  for (const [, field = '', value = ''] of text.matchAll(/\b(\w{1,64})=(\S+)/g)) {
    if (cells.length === MOST_FIELDS) break;
    const digits = value.replace(/,$/, '');
    const isWord = /^(-?\d{1,15}|0x[0-9a-f]{1,16})$/.test(digits);
    const cell = sink.fields.cell(name, field, isWord ? 'word' : 'text');
    while (cells.length <= cell) cells.push(0);
    cells[cell] = isWord ? sink.cell(digits) : sink.strings.intern(value);
  }
  const { timeNs, cpu, tid } = moment;
  sink.push(EVENT.other, timeNs, cpu, tid, name, cells);
}

/** Clone flags of a new task whose creation a tool reports without them. */
export function guessCloneFlags(isThread: boolean): number {
  return isThread ? CLONE_FLAG.vm | CLONE_FLAG.thread : 0;
}
