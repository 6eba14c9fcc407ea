/** Text of `perf script`: tracepoints, page-fault samples, records of mappings and tasks. */
import { CLONE_FLAG, EVENT, isInternedWord } from '../event.js';
import { inputError } from '../input_error.js';
import type { ImportSink } from './import_sink.js';
import type { TextImporter } from './importer.js';
import type { Moment } from './kernel_event.js';
import { pushKernelEvent } from './kernel_event.js';
import { TaskRecords } from './task_records.js';

/**
 * `comm pid/tid [cpu] seconds.micros: rest`. A comm has 15 characters at most and may contain
 * blanks, colons and digits.
 */
const LINE =
  /^\s*(?<comm>\S.{0,15}?)\s+(?:(?<process>-?\d+)\/)?(?<tid>-?\d+)\s+(?:\[(?<cpu>\d{3,5})\]\s+)?(?<seconds>\d{1,10})\.(?<fraction>\d{6,9}):\s+(?:\d+\s+)?(?<rest>\S.*)$/;
const TRACEPOINT = /^(?<system>[\w-]+):(?<name>\w+):\s*(?<text>.*)$/;
const FAULT_SAMPLE = /^(?:page-faults|faults|minor-faults|major-faults)(?::\w+)?:\s+(?<text>.*)$/;
const MAPPING =
  /^PERF_RECORD_MMAP2? (?<process>-?\d+)\/(?<tid>-?\d+): \[0x(?<start>[0-9a-f]+)\(0x(?<length>[0-9a-f]+)\) @ (?<offset>0x[0-9a-f]+|\d+)(?<device>[^\]]*)\]: (?<perms>[rwxsp-]+) (?<name>.*)$/;
const TASK =
  /^PERF_RECORD_(?<kind>FORK|EXIT)\((?<pid>\d+):(?<tid>\d+)\):\((?<ppid>\d+):(?<ptid>\d+)\)/;
const COMM = /^PERF_RECORD_COMM(?<exec> exec)?: (?<comm>.*):(?<pid>-?\d+)\/(?<tid>-?\d+)$/;
const LOST = /^PERF_RECORD_LOST(?:_SAMPLES)?:? lost (?<count>\d+)/;

/** Bits of the `mapped` event's protection. */
const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;

/** True if a line looks like one of `perf script`. */
export function isPerfScriptLine(line: string): boolean {
  const rest = LINE.exec(line)?.groups?.['rest'] ?? '';
  return TRACEPOINT.test(rest) || FAULT_SAMPLE.test(rest) || rest.startsWith('PERF_RECORD_');
}

export class PerfScriptImporter implements TextImporter {
  readonly source = 'perf script';
  readonly #sink: ImportSink;
  readonly #tasks: TaskRecords;
  /** Threads inside a system call that maps memory: its mapping records repeat the call. */
  readonly #inCall = new Set<number>();

  constructor(sink: ImportSink) {
    this.#sink = sink;
    this.#tasks = new TaskRecords(sink);
  }

  line(line: string): void {
    const groups = LINE.exec(line)?.groups;
    if (groups === undefined) {
      // Call chains, blank lines and comments.
      if (line.trim() !== '') this.#sink.skippedLines += 1;
      return;
    }
    const { comm = '', tid = '', cpu = '0', seconds = '', fraction = '', rest = '' } = groups;
    if (tid.startsWith('-')) return;
    // perf gives the time 0 to the records that it makes up at the start.
    const isMadeUp = /^0+$/.test(seconds + fraction);
    const timeNs = isMadeUp ? this.#sink.lastNs : this.#sink.time(seconds, fraction);
    const moment = { timeNs, cpu: Number(cpu), tid: this.#sink.tid(tid) };
    if (rest.startsWith('PERF_RECORD_')) {
      this.#record(moment, comm, rest);
      return;
    }
    const sample = FAULT_SAMPLE.exec(rest)?.groups?.['text'];
    if (sample !== undefined) {
      this.#tasks.touch(moment, true);
      this.#sample(moment, sample);
      return;
    }
    const event = TRACEPOINT.exec(rest)?.groups;
    if (event === undefined) this.#sink.skippedLines += 1;
    else this.#tracepoint(moment, event['system'] ?? '', event['name'] ?? '', event['text'] ?? '');
  }

  finish(): string[] {
    this.#tasks.flush();
    if (!this.#tasks.hasGuessedForks) return [];
    return ['The records of perf do not tell vfork from fork: new processes count as forked.'];
  }

  /** A sample of the software event: data address, then instruction. */
  #sample(moment: Moment, text: string): void {
    const [address = '', ip] = text.trim().split(/\s+/);
    if (ip === undefined) {
      throw inputError('a page fault without address; record with -d, print with -F +addr');
    }
    const place = /^[0-9a-f]{1,16}$/.test(ip) ? this.#sink.hexCell(ip) : 0;
    const { timeNs, cpu, tid } = moment;
    // Instructions of the kernel are beyond what a double holds.
    const cells = [this.#sink.hexCell(address), -1, place] as const;
    this.#sink.pushFault(isInternedWord(place), timeNs, cpu, tid, cells);
  }

  #tracepoint(moment: Moment, system: string, name: string, text: string): void {
    const { timeNs, cpu, tid } = moment;
    if (name === 'task_newtask') this.#tasks.newTask(tid);
    else if (name === 'sched_process_exec') this.#tasks.exec(tid);
    else this.#tasks.touch(moment, name === 'page_fault_user');
    if (system === 'syscalls' && name.startsWith('sys_enter_')) {
      const call = name.slice('sys_enter_'.length);
      const args = callArguments(this.#sink, text);
      if (call !== 'execve' && call !== 'execveat') this.#inCall.add(tid);
      if (call === 'clone') this.#tasks.enterClone(tid, args[0]);
      else if (call === 'vfork') this.#tasks.enterClone(tid, CLONE_FLAG.vm | CLONE_FLAG.vfork);
      else if (call === 'fork') this.#tasks.enterClone(tid, 0);
      this.#sink.pushCall(timeNs, cpu, tid, call, args);
    } else if (system === 'syscalls' && name.startsWith('sys_exit_')) {
      this.#inCall.delete(tid);
      this.#tasks.exitClone(tid);
      const call = name.slice('sys_exit_'.length);
      this.#sink.push(EVENT.callExit, timeNs, cpu, tid, call, [this.#sink.cell(text.trim())]);
    } else {
      pushKernelEvent(this.#sink, moment, name, text);
      if (name === 'sched_process_exit') this.#tasks.exited(tid);
    }
  }

  #record(moment: Moment, comm: string, rest: string): void {
    const task = TASK.exec(rest)?.groups;
    if (task !== undefined) {
      const tid = this.#sink.tid(task['tid'] ?? '');
      const process = this.#sink.tid(task['pid'] ?? '');
      const parent = this.#sink.tid(task['ptid'] ?? '');
      if (task['kind'] === 'FORK') {
        const byParent = { ...moment, tid: parent };
        this.#tasks.fork(byParent, process, tid, this.#sink.tid(task['ppid'] ?? ''), comm);
      } else {
        this.#tasks.touch({ ...moment, tid }, false);
        this.#tasks.exit(moment, process, tid, comm);
      }
      return;
    }
    const name = COMM.exec(rest)?.groups;
    if (name !== undefined) {
      if (name['exec'] === undefined) return;
      this.#tasks.prepareExec(
        { ...moment, tid: this.#sink.tid(name['tid'] ?? '') },
        name['comm'] ?? '',
      );
      return;
    }
    const lost = LOST.exec(rest)?.groups;
    if (lost !== undefined) {
      this.#sink.pushLost(moment.timeNs, moment.cpu, Number(lost['count']));
      return;
    }
    const mapping = MAPPING.exec(rest)?.groups;
    if (mapping !== undefined) this.#mapping(moment, mapping);
    else this.#sink.skippedLines += 1;
  }

  #mapping(moment: Moment, groups: Record<string, string>): void {
    const { process = '', tid = '', start = '', length = '', offset = '' } = groups;
    // Records of process −1 list the kernel itself.
    if (process.startsWith('-') || tid.startsWith('-')) return;
    const thread = this.#sink.tid(tid);
    if (this.#inCall.has(thread)) return;
    const { perms = '', name = '' } = groups;
    const prot =
      (perms.includes('r') ? PROT_READ : 0) |
      (perms.includes('w') ? PROT_WRITE : 0) |
      (perms.includes('x') ? PROT_EXEC : 0);
    this.#sink.push(EVENT.mapped, moment.timeNs, moment.cpu, thread, name, [
      this.#sink.hexCell(start),
      this.#sink.hexCell(length),
      prot,
      perms.includes('s') ? 1 : 0,
      this.#sink.cell(offset),
      this.#sink.tid(process),
    ]);
  }
}

/** Values of `name: 0x…, name: 0x…`, in their order. */
export function callArguments(sink: ImportSink, text: string): number[] {
  const cells: number[] = [];
  for (const [, value = ''] of text.matchAll(/\b\w{1,32}: (0x[0-9a-f]{1,16}|-?\d{1,15})/g)) {
    if (cells.length < 6) cells.push(sink.cell(value));
  }
  return cells;
}
