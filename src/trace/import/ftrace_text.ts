/** The text of tracefs' `trace` and `trace_pipe`, and of `trace-cmd report`. */
import { EVENT } from '../event.js';
import type { ImportSink } from './import_sink.js';
import type { TextImporter } from './importer.js';
import { pushKernelEvent } from './kernel_event.js';
import { callArguments } from './perf_script.js';

/** `comm-tid (tgid) [cpu] flags seconds.micros: rest`; tgid and flags may be missing. */
const LINE =
  /^\s*(?<comm>\S.{0,15}?)-(?<tid>\d+)\s+(?:\(\s*[\d-]+\)\s+)?\[(?<cpu>\d{3,5})\]\s+(?:[^\s\d]\S{3,7}\s+)?(?<seconds>\d{1,10})\.(?<fraction>\d{6,9}):\s+(?<rest>\S.*)$/;
const EVENT_NAME = /^(?<name>\w+):\s*(?<text>.*)$/;
/** `sys_mmap(addr: 0, …)` and `sys_mmap -> 0x…`; trace-cmd prints `sys_enter_mmap: addr: …`. */
const CALL = /^sys_(?<name>\w+)\((?<args>.*)\)$/;
const RETURN = /^sys_(?<name>\w+) -> (?<value>\S+)$/;
const LOST = /^CPU:(?<cpu>\d{1,5}) \[LOST (?<count>\d+) EVENTS\]/;
const WRITTEN = /^# entries-in-buffer\/entries-written: (?<kept>\d+)\/(?<written>\d+)/;

/** True if a line looks like ftrace's. */
export function isFtraceLine(line: string): boolean {
  return line.startsWith('# tracer:') || LINE.test(line);
}

export class FtraceTextImporter implements TextImporter {
  readonly source = 'ftrace';
  readonly #sink: ImportSink;

  constructor(sink: ImportSink) {
    this.#sink = sink;
  }

  line(line: string): void {
    const groups = LINE.exec(line)?.groups;
    if (groups === undefined) {
      this.#note(line);
      return;
    }
    const { tid = '', cpu = '', seconds = '', fraction = '', rest = '' } = groups;
    const moment = {
      timeNs: this.#sink.time(seconds, fraction),
      cpu: Number(cpu),
      tid: this.#sink.tid(tid),
    };
    const call = CALL.exec(rest)?.groups;
    if (call !== undefined) {
      this.#enter(moment, call['name'] ?? '', call['args'] ?? '');
      return;
    }
    const result = RETURN.exec(rest)?.groups;
    if (result !== undefined) {
      this.#exit(moment, result['name'] ?? '', result['value'] ?? '');
      return;
    }
    const { name = '', text = '' } = EVENT_NAME.exec(rest)?.groups ?? {};
    if (name === '') this.#sink.skippedLines += 1;
    else if (name.startsWith('sys_enter_')) this.#enter(moment, name.slice(10), text);
    else if (name.startsWith('sys_exit_')) this.#exit(moment, name.slice(9), text.trim());
    else pushKernelEvent(this.#sink, moment, name, text);
  }

  finish(): string[] {
    return [];
  }

  #enter(
    { timeNs, cpu, tid }: { timeNs: number; cpu: number; tid: number },
    name: string,
    args: string,
  ): void {
    this.#sink.pushCall(timeNs, cpu, tid, name, callArguments(this.#sink, args));
  }

  #exit(
    { timeNs, cpu, tid }: { timeNs: number; cpu: number; tid: number },
    name: string,
    value: string,
  ): void {
    this.#sink.push(EVENT.callExit, timeNs, cpu, tid, name, [this.#sink.cell(value)]);
  }

  /** Lines without an event: losses, the header, and what nobody knows. */
  #note(line: string): void {
    const lost = LOST.exec(line)?.groups;
    const written = WRITTEN.exec(line)?.groups;
    const missing = Number(written?.['written'] ?? 0) - Number(written?.['kept'] ?? 0);
    if (lost !== undefined) {
      this.#sink.pushLost(this.#sink.lastNs, Number(lost['cpu']), Number(lost['count']));
    } else if (missing > 0) {
      this.#sink.pushLost(this.#sink.lastNs, 0, missing);
    } else if (!line.startsWith('#') && line.trim() !== '') {
      this.#sink.skippedLines += 1;
    }
  }
}
