/** Text of `strace -f -ttt`: address spaces and the tree of tasks, no page. */
import { CLONE_FLAG, EVENT } from '../event.js';
import { inputError } from '../input_error.js';
import type { ImportSink } from './import_sink.js';
import type { TextImporter } from './importer.js';
import {
  callCells,
  cloneFlagsOf,
  firstText,
  isMemoryCall,
  resultCell,
} from './strace_arguments.js';

/** `[pid 651] 1795371535.685490 rest`, or `651 1795371535.685490 rest`; both may be missing. */
const LINE =
  /^(?:\[pid\s+(?<boxed>\d{1,10})\]\s+|(?<tid>\d{1,10})\s+)?(?:(?<clock>(?:\d{2}:\d{2}:)?\d{1,10})(?:\.(?<fraction>\d{1,9}))?\s+)?(?<rest>\S.*)$/;
const WHOLE = /^(?<name>\w{1,32})\((?<args>.*)\)\s+= (?<result>.*)$/;
const BEGUN = /^(?<name>\w{1,32})\((?<args>.*?)\s*<unfinished \.\.\.>$/;
const RESUMED = /^<\.\.\. (?<name>\w{1,32}) resumed>(?<args>.*)\)\s+= (?<result>.*)$/;
const GONE = /^\+\+\+ (?:exited with|killed by) /;
const SIGNAL = /^--- /;

/** A call that has begun and whose end is further down. */
interface BegunCall {
  readonly name: string;
  readonly args: string;
}

/** True if a line looks like one of strace. */
export function isStraceLine(line: string): boolean {
  const rest = LINE.exec(line)?.groups?.['rest'] ?? '';
  return WHOLE.test(rest) || BEGUN.test(rest) || RESUMED.test(rest);
}

export class StraceImporter implements TextImporter {
  readonly source = 'strace';
  readonly #sink: ImportSink;
  readonly #begun = new Map<number, BegunCall>();
  /** Threads that have been seen, and the process of each. */
  readonly #processOf = new Map<number, number>();
  readonly #threads = new Map<number, number>();
  #firstTid: number | undefined;
  #hasTimes = true;
  #unreadCalls = 0;

  constructor(sink: ImportSink) {
    this.#sink = sink;
  }

  line(line: string): void {
    const groups = LINE.exec(line)?.groups;
    if (groups === undefined) return;
    const { boxed, tid: plain, clock, fraction = '0', rest = '' } = groups;
    const timeNs = clock === undefined ? this.#noTime() : this.#time(clock, fraction);
    const whole = WHOLE.exec(rest)?.groups;
    const begun = whole === undefined ? BEGUN.exec(rest)?.groups : undefined;
    const resumed = RESUMED.exec(rest)?.groups;
    const isGone = GONE.test(rest);
    if (whole === undefined && begun === undefined && resumed === undefined && !isGone) {
      if (!SIGNAL.test(rest) && !rest.startsWith('strace: ')) this.#sink.skippedLines += 1;
      return;
    }
    const digits = boxed ?? plain;
    if (digits === undefined && this.#processOf.size > 1) {
      throw inputError('a line without process among several; record with -f -o FILE');
    }
    const tid = digits === undefined ? (this.#firstTid ?? 1) : this.#sink.tid(digits);
    this.#meet(tid, timeNs);
    if (isGone) this.#gone(tid, timeNs);
    else if (begun !== undefined)
      this.#begin(tid, timeNs, begun['name'] ?? '', begun['args'] ?? '');
    else if (whole !== undefined) {
      this.#begin(tid, timeNs, whole['name'] ?? '', whole['args'] ?? '');
      this.#end(tid, timeNs, whole['name'] ?? '', whole['result'] ?? '');
    } else if (resumed !== undefined) {
      this.#resume(
        tid,
        timeNs,
        resumed['name'] ?? '',
        resumed['args'] ?? '',
        resumed['result'] ?? '',
      );
    }
  }

  finish(): string[] {
    const sentences: string[] = [];
    if (!this.#hasTimes) sentences.push('The lines have no times (-ttt): only their order counts.');
    if (this.#unreadCalls > 0) {
      sentences.push(`${this.#unreadCalls} system calls had arguments that could not be read.`);
    }
    return sentences;
  }

  #noTime(): number {
    this.#hasTimes = false;
    return this.#sink.lastNs;
  }

  /** Seconds since 1970, or the time of day. */
  #time(clock: string, fraction: string): number {
    const [hours, minutes, seconds] = clock.split(':');
    if (seconds === undefined) return this.#sink.time(clock, fraction);
    const total = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
    return this.#sink.time(String(total), fraction);
  }

  /** A thread's first line: its creation may still be open in its parent. */
  #meet(tid: number, timeNs: number): void {
    if (this.#processOf.has(tid)) return;
    this.#firstTid ??= tid;
    for (const [parent, { name, args }] of this.#begun) {
      const flags = ['clone', 'clone3', 'fork', 'vfork'].includes(name)
        ? cloneFlagsOf(name, args)
        : undefined;
      if (flags === undefined) continue;
      this.#create(parent, tid, flags, timeNs);
      return;
    }
    this.#processOf.set(tid, tid);
    this.#threads.set(tid, 1);
  }

  #create(parent: number, child: number, flags: number, timeNs: number): void {
    const isThread = (flags & CLONE_FLAG.thread) !== 0;
    const process = isThread ? (this.#processOf.get(parent) ?? parent) : child;
    this.#processOf.set(child, process);
    this.#threads.set(process, (isThread ? (this.#threads.get(process) ?? 0) : 0) + 1);
    this.#sink.push(EVENT.newTask, timeNs, 0, parent, undefined, [child, flags]);
  }

  #begin(tid: number, timeNs: number, name: string, args: string): void {
    if (!isMemoryCall(name)) {
      if (name.startsWith('process_vm') || name === 'shmat') this.#unreadCalls += 1;
      return;
    }
    this.#begun.set(tid, { name, args });
    const cells = callCells(this.#sink, name, args);
    if (cells === undefined) this.#unreadCalls += 1;
    else this.#sink.pushCall(timeNs, 0, tid, name, cells);
  }

  #resume(tid: number, timeNs: number, name: string, args: string, result: string): void {
    const begun = this.#begun.get(tid);
    if (begun === undefined || begun.name !== name) return;
    // clone3 prints its flags at the begin, clone may print them at the end.
    this.#begun.set(tid, { name, args: `${begun.args}${args}` });
    this.#end(tid, timeNs, name, result);
  }

  #end(tid: number, timeNs: number, name: string, result: string): void {
    const begun = this.#begun.get(tid);
    this.#begun.delete(tid);
    if (begun === undefined) return;
    const cell = resultCell(this.#sink, result);
    if (cell === undefined) return;
    const flags = cloneFlagsOf(name, begun.args);
    const isClone = name === 'clone' || name === 'clone3' || name === 'fork' || name === 'vfork';
    if (isClone && cell > 0 && !this.#processOf.has(cell)) {
      this.#create(tid, cell, flags ?? 0, timeNs);
    }
    if ((name === 'execve' || name === 'execveat') && cell === 0) {
      const file = firstText(begun.args);
      this.#sink.push(EVENT.prepareExec, timeNs, 0, tid, file);
      this.#sink.push(EVENT.exec, timeNs, 0, tid, file, [tid, tid]);
    }
    this.#sink.push(EVENT.callExit, timeNs, 0, tid, name, [cell]);
  }

  #gone(tid: number, timeNs: number): void {
    const process = this.#processOf.get(tid) ?? tid;
    const left = (this.#threads.get(process) ?? 1) - 1;
    this.#threads.set(process, left);
    this.#processOf.delete(tid);
    this.#begun.delete(tid);
    this.#sink.push(EVENT.exit, timeNs, 0, tid, undefined, [tid, left <= 0 ? 1 : 0]);
  }
}
