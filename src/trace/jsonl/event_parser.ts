import type { EventBatchBuilder } from '../batch_builder.js';
import { EVENT } from '../event.js';
import type { FieldRegistry } from '../field_registry.js';
import { inputError } from '../input_error.js';
import type { StringTable, WordTable } from '../tables.js';
import { JsonCursor, parseJson } from './cursor.js';

const NEWLINE = 10;
const QUOTE = 34;
const COMMA = 44;
const BRACKET_OPEN = 91;
const BRACKET_CLOSE = 93;

const MOST_CPU = 65_535;
const MOST_TID = 2 ** 31 - 1;
const MOST_ARGUMENTS = 6;
const HEX_WORD = /^0x[0-9a-f]{1,16}$/;

/** Kinds of the format; the numbers serve the parser only. */
const LINE_KINDS = [
  'pfu',
  'pfk',
  'rss',
  'al',
  'fr',
  'se',
  'sx',
  'new',
  'pex',
  'exec',
  'exit',
  'xmm',
  'ren',
  'lk',
  'ul',
  'mark',
  'ev',
  'lost',
] as const;
type LineKind = (typeof LINE_KINDS)[number];

/** The letters of a kind as one number. */
function kindCode(kind: string): number {
  let code = 0;
  for (let i = 0; i < kind.length; i += 1) code = code * 256 + kind.charCodeAt(i);
  return code;
}

const KIND_BY_CODE: ReadonlyMap<number, LineKind> = new Map(
  LINE_KINDS.map((kind) => [kindCode(kind), kind]),
);
const PFU = kindCode('pfu');
const PFK = kindCode('pfk');
const RSS = kindCode('rss');
const AL = kindCode('al');
const FR = kindCode('fr');

/** Parser of the lines of `trace.jsonl`: `[kind, t, cpu, tid, …]`. */
export class JsonlEventParser {
  readonly #cursor: JsonCursor;
  readonly #fields: FieldRegistry;

  constructor(strings: StringTable, words: WordTable, fields: FieldRegistry) {
    this.#cursor = new JsonCursor(strings, words);
    this.#fields = fields;
  }

  /** Starts a block of whole lines. */
  start(block: Buffer): void {
    this.#cursor.bytes = block;
    this.#cursor.at = 0;
  }

  /** Parses lines until the batch is full or the block ends; true if the block has more. */
  parseInto(builder: EventBatchBuilder): boolean {
    const end = this.#cursor.bytes.length;
    while (this.#cursor.at < end) {
      if (builder.isFull) return true;
      this.#parseLine(builder);
    }
    return false;
  }

  #parseLine(builder: EventBatchBuilder): void {
    const cursor = this.#cursor;
    cursor.expect(BRACKET_OPEN, '"["');
    const kind = this.#readKind();
    const timeNs = cursor.nextInteger('time', Number.MAX_SAFE_INTEGER);
    if (timeNs < builder.lastTimeNs) {
      throw inputError(`time ${timeNs} is before ${builder.lastTimeNs} of the event above`);
    }
    const cpu = cursor.nextInteger('cpu', MOST_CPU);
    const tid = cursor.nextInteger('tid', MOST_TID);
    if (kind === PFU || kind === PFK) {
      const address = cursor.nextWord();
      const errorCode = cursor.nextWord();
      const ip = cursor.nextWord();
      const kindOfFault = kind === PFU ? EVENT.faultUser : EVENT.faultKernel;
      builder.push(kindOfFault, timeNs, cpu, tid, -1, address, errorCode, ip);
    } else if (kind === AL) {
      const pfn = cursor.nextWord();
      const order = cursor.nextWord();
      builder.push(EVENT.pageAlloc, timeNs, cpu, tid, -1, pfn, order, cursor.nextWord());
    } else if (kind === RSS) {
      const mm = cursor.nextWord();
      const current = cursor.nextWord();
      const member = cursor.nextWord();
      builder.push(EVENT.rss, timeNs, cpu, tid, -1, mm, current, member, cursor.nextWord());
    } else if (kind === FR) {
      const pfn = cursor.nextWord();
      builder.push(EVENT.pageFree, timeNs, cpu, tid, -1, pfn, cursor.nextWord());
    } else {
      this.#parseRare(KIND_BY_CODE.get(kind), builder, timeNs, cpu, tid);
    }
    cursor.expect(BRACKET_CLOSE, '"]"');
    cursor.expect(NEWLINE, 'the end of the line');
  }

  #parseRare(
    kind: LineKind | undefined,
    builder: EventBatchBuilder,
    timeNs: number,
    cpu: number,
    tid: number,
  ): void {
    const cursor = this.#cursor;
    switch (kind) {
      case 'se': {
        const name = cursor.nextText();
        const [a, b, c, d, e, f] = this.#nextArguments();
        builder.push(EVENT.callEnter, timeNs, cpu, tid, name, a, b, c, d, e, f);
        return;
      }
      case 'sx': {
        const name = cursor.nextText();
        builder.push(EVENT.callExit, timeNs, cpu, tid, name, cursor.nextWord());
        return;
      }
      case 'new': {
        const child = cursor.nextInteger('tid', MOST_TID);
        const flags = cursor.nextWord();
        builder.push(EVENT.newTask, timeNs, cpu, tid, cursor.nextText(), child, flags);
        return;
      }
      case 'pex':
        builder.push(EVENT.prepareExec, timeNs, cpu, tid, cursor.nextText());
        return;
      case 'exec': {
        const subject = cursor.nextInteger('tid', MOST_TID);
        const before = cursor.nextInteger('tid', MOST_TID);
        builder.push(EVENT.exec, timeNs, cpu, tid, cursor.nextText(), subject, before);
        return;
      }
      case 'exit': {
        const subject = cursor.nextInteger('tid', MOST_TID);
        const isLast = cursor.nextWord();
        builder.push(EVENT.exit, timeNs, cpu, tid, cursor.nextText(), subject, isLast);
        return;
      }
      case 'ren': {
        const subject = cursor.nextInteger('tid', MOST_TID);
        builder.push(EVENT.rename, timeNs, cpu, tid, cursor.nextText(), subject);
        return;
      }
      case 'xmm':
        builder.push(EVENT.exitMm, timeNs, cpu, tid, -1, cursor.nextWord());
        return;
      case 'lk':
        builder.push(EVENT.lock, timeNs, cpu, tid, -1, cursor.nextWord());
        return;
      case 'ul':
        builder.push(EVENT.unlock, timeNs, cpu, tid, -1, cursor.nextWord());
        return;
      case 'mark':
        builder.push(EVENT.mark, timeNs, cpu, tid, cursor.nextText());
        return;
      case 'lost':
        builder.push(EVENT.lost, timeNs, cpu, tid, -1, cursor.nextWord());
        return;
      case 'ev': {
        const name = cursor.nextText();
        const [a, b, c, d, e, f] = this.#nextFields(cursor.strings.text(name));
        builder.push(EVENT.other, timeNs, cpu, tid, name, a, b, c, d, e, f);
        return;
      }
      default:
        throw inputError(`unknown event kind, expected one of ${LINE_KINDS.join(' ')}`);
    }
  }

  #readKind(): number {
    const cursor = this.#cursor;
    cursor.expect(QUOTE, 'an event kind in quotes');
    const bytes = cursor.bytes;
    let at = cursor.at;
    let code = 0;
    // Five letters cannot be a kind, and keep the number exact.
    for (const end = at + 5; bytes[at] !== QUOTE && at < end; at += 1) {
      code = code * 256 + (bytes[at] ?? 0);
    }
    if (bytes[at] !== QUOTE) throw inputError(`unknown event kind ${cursor.found()}`);
    cursor.at = at + 1;
    return code;
  }

  /** The arguments of a system call: words until the line ends. */
  #nextArguments(): readonly number[] {
    const cursor = this.#cursor;
    const cells: number[] = [];
    while (cursor.bytes[cursor.at] === COMMA) {
      if (cells.length === MOST_ARGUMENTS) {
        throw inputError(`a system call has ${MOST_ARGUMENTS} arguments at most`);
      }
      cells.push(cursor.nextWord());
    }
    return cells;
  }

  /** The object of an `ev` line: named numbers, words or texts. */
  #nextFields(event: string): readonly number[] {
    const cursor = this.#cursor;
    cursor.expect(COMMA, '"," and an object of fields');
    const fields = parseJson(cursor.restOfArray());
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
      throw inputError('expected an object of fields');
    }
    const cells: number[] = [];
    for (const [name, value] of Object.entries(fields)) {
      const isWord = typeof value === 'number' || HEX_WORD.test(String(value));
      const cell = this.#fields.cell(event, name, isWord ? 'word' : 'text');
      while (cells.length <= cell) cells.push(0);
      cells[cell] = this.#fieldCell(name, value);
    }
    return cells;
  }

  #fieldCell(name: string, value: unknown): number {
    const { words, strings } = this.#cursor;
    if (typeof value === 'number' && Number.isSafeInteger(value)) {
      return words.cellOf(BigInt(value));
    }
    if (typeof value !== 'string') {
      throw inputError(`field ${name}: expected an integer or a text`);
    }
    return HEX_WORD.test(value) ? words.cellOf(BigInt(value)) : strings.intern(value);
  }

  /** Newlines before the place of an error, in the current block. */
  get offset(): number {
    return this.#cursor.at;
  }
}
