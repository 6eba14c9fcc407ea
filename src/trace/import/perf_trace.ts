/** Text of `perf trace -F all`: system calls and faults, with files in place of addresses. */
import { EVENT } from '../event.js';
import type { FlagNames } from './flag_names.js';
import {
  CLONE_FLAGS,
  MADVISE_ADVICE,
  MAP_FLAGS,
  MLOCKALL_FLAGS,
  MLOCK2_FLAGS,
  MREMAP_FLAGS,
  PROT_FLAGS,
  flagsValue,
} from './flag_names.js';
import type { ImportSink } from './import_sink.js';
import type { TextImporter } from './importer.js';

/** `4.211 ( 0.013 ms): comm/tid rest`; times are `?` or empty for cut-off calls. */
const LINE =
  /^\s*(?<ms>\d{1,10}|\?)(?:\.(?<fraction>\d{3}))?\s+\(\s*(?:[\d.]+ ms)?\s*\):\s+(?<comm>\S.{0,15}?)\/(?<tid>\d{1,10})\s+(?<rest>\S.*)$/;
const FAULT = /^(?:min|maj)fault \[(?<symbol>[^\]]*)\] => (?<place>\S.*) \((?<map>.)(?<level>.)\)$/;
const CALL = /^(?<name>\w{1,32})\((?<args>.*)\)\s+= (?<result>\S.*)$/;
/** Regions that are named by their address. */
const ABSOLUTE = /^(?:(?:\/\/anon|\[(?:heap|stack)\])@)?0x(?<digits>[0-9a-f]{1,16})$/;

type Argument = readonly [name: string, flags?: FlagNames, prefix?: string];

/** Arguments in the order of the ABI; perf leaves out those that are 0. */
const CALL_ARGUMENTS: Readonly<Record<string, readonly Argument[]>> = {
  mmap: [['addr'], ['len'], ['prot', PROT_FLAGS], ['flags', MAP_FLAGS], ['fd'], ['off']],
  munmap: [['addr'], ['len']],
  mprotect: [['start'], ['len'], ['prot', PROT_FLAGS]],
  mremap: [['addr'], ['old_len'], ['new_len'], ['flags', MREMAP_FLAGS], ['new_addr']],
  brk: [['brk']],
  madvise: [['start'], ['len_in'], ['behavior', MADVISE_ADVICE, 'MADV_']],
  mlock: [['start'], ['len']],
  mlock2: [['start'], ['len'], ['flags', MLOCK2_FLAGS]],
  munlock: [['start'], ['len']],
  mlockall: [['flags', MLOCKALL_FLAGS]],
  clone: [['clone_flags', CLONE_FLAGS]],
};

/** True if a line looks like one of `perf trace`. */
export function isPerfTraceLine(line: string): boolean {
  const rest = LINE.exec(line)?.groups?.['rest'] ?? '';
  return FAULT.test(rest) || CALL.test(rest);
}

export class PerfTraceImporter implements TextImporter {
  readonly source = 'perf trace';
  readonly #sink: ImportSink;
  #faultsInFiles = 0;
  #unreadCalls = 0;

  constructor(sink: ImportSink) {
    this.#sink = sink;
  }

  line(line: string): void {
    const groups = LINE.exec(line)?.groups;
    if (groups === undefined) {
      if (line.trim() !== '') this.#sink.skippedLines += 1;
      return;
    }
    const { ms = '', fraction = '000', rest = '' } = groups;
    const tid = this.#sink.tid(groups['tid'] ?? '');
    const timeNs = ms === '?' ? this.#sink.lastNs : this.#time(ms, fraction);
    const fault = FAULT.exec(rest)?.groups;
    const call = CALL.exec(rest)?.groups;
    if (fault !== undefined) {
      this.#fault(timeNs, tid, fault['place'] ?? '', fault['level'] === 'k');
    } else if (call !== undefined) {
      this.#call(timeNs, tid, call['name'] ?? '', call['args'] ?? '', call['result'] ?? '');
    } else {
      this.#sink.skippedLines += 1;
    }
  }

  finish(): string[] {
    const sentences = ['perf trace does not show new, executed and ended tasks.'];
    if (this.#faultsInFiles > 0) {
      sentences.push(
        `${this.#faultsInFiles} faults in mapped files have a file offset in place of an address ` +
          'and are left out.',
      );
    }
    if (this.#unreadCalls > 0) {
      sentences.push(`${this.#unreadCalls} system calls had arguments that could not be read.`);
    }
    return sentences;
  }

  #time(ms: string, fraction: string): number {
    const whole = Number(ms);
    const micros = String((whole % 1000) * 1000 + Number(fraction)).padStart(6, '0');
    return this.#sink.time(String(Math.floor(whole / 1000)), micros);
  }

  #fault(timeNs: number, tid: number, place: string, isKernel: boolean): void {
    const digits = ABSOLUTE.exec(place)?.groups?.['digits'];
    if (digits === undefined) this.#faultsInFiles += 1;
    else this.#sink.pushFault(isKernel, timeNs, 0, tid, [this.#sink.hexCell(digits), -1, 0]);
  }

  #call(timeNs: number, tid: number, name: string, args: string, result: string): void {
    const rules = Object.hasOwn(CALL_ARGUMENTS, name) ? CALL_ARGUMENTS[name] : undefined;
    if (rules === undefined) return;
    const given = new Map(
      [...args.matchAll(/\b(\w{1,32}): ([^,()]{1,256})/g)].map(([, key, value]) => [key, value]),
    );
    const cells = rules.map(([key, flags, prefix]) => {
      const text = given.get(key)?.trim() ?? '0';
      if (flags !== undefined) return flagsValue(text, flags, prefix);
      return /^(-?\d{1,15}|0x[0-9a-f]{1,16})$/.test(text) ? this.#sink.cell(text) : undefined;
    });
    const [value = ''] = result.split(' ');
    const isReadable = /^(-?\d{1,15}|0x[0-9a-f]{1,16})$/.test(value);
    const known = cells.filter((cell) => cell !== undefined);
    if (known.length < cells.length || !isReadable) {
      this.#unreadCalls += 1;
      return;
    }
    this.#sink.pushCall(timeNs, 0, tid, name, known);
    this.#sink.push(EVENT.callExit, timeNs, 0, tid, name, [this.#sink.cell(value)]);
  }
}
