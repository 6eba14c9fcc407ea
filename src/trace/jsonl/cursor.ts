import { inputError } from '../input_error.js';
import type { StringTable, WordTable } from '../tables.js';

const NEWLINE = 10;
const QUOTE = 34;
const COMMA = 44;
const MINUS = 45;
const DIGIT_0 = 48;
const DIGIT_9 = 57;
const BACKSLASH = 92;
const LETTER_A = 97;
const LETTER_F = 102;
const LETTER_X = 120;

/** Hexadecimal digits whose value is exact in a double. */
const EXACT_DIGITS = 13;

/**
 * Place in a block of whole lines of JSON arrays. Works on bytes, since a JSON parser and an array
 * per event would cost more than the whole replay.
 */
export class JsonCursor {
  readonly strings: StringTable;
  readonly words: WordTable;
  bytes: Buffer = Buffer.alloc(0);
  at = 0;

  constructor(strings: StringTable, words: WordTable) {
    this.strings = strings;
    this.words = words;
  }

  /** Takes one byte that must be there. */
  expect(byte: number, what: string): void {
    if (this.bytes[this.at] !== byte) throw inputError(`expected ${what} ${this.found()}`);
    this.at += 1;
  }

  /** What stands at the place, for messages. */
  found(): string {
    const end = this.bytes.indexOf(NEWLINE, this.at);
    if (end === this.at || end === -1) return 'but the line ends';
    const rest = this.bytes.toString('utf8', this.at, Math.min(end, this.at + 24));
    return `but found ${JSON.stringify(rest)}`;
  }

  /** A number from 0 to `most` after a comma. */
  nextInteger(what: string, most: number): number {
    this.expect(COMMA, `"," and a ${what}`);
    const start = this.at;
    const value = this.#readDigits();
    if (this.at === start || value > most) {
      this.at = start;
      throw inputError(`expected a ${what} from 0 to ${most} ${this.found()}`);
    }
    return value;
  }

  /** A word after a comma: a number, or a text of hexadecimal digits after 0x. */
  nextWord(): number {
    this.expect(COMMA, '"," and a number');
    const start = this.at;
    const first = this.bytes[start];
    if (first === QUOTE) return this.#readHex();
    const isNegative = first === MINUS;
    if (isNegative) this.at += 1;
    const digitsAt = this.at;
    const value = this.#readDigits();
    if (this.at === digitsAt || value > Number.MAX_SAFE_INTEGER) {
      this.at = start;
      throw inputError(`expected a number or a text like "0x10" ${this.found()}`);
    }
    return isNegative ? this.words.cellOf(BigInt(-value)) : value;
  }

  /** A text of hexadecimal digits without 0x, exact in a double. */
  hexText(what: string): number {
    const bytes = this.bytes;
    const start = this.at + 1;
    let at = start;
    let value = 0;
    for (let digit = hexDigit(bytes[at] ?? 0); digit >= 0; digit = hexDigit(bytes[at] ?? 0)) {
      value = value * 16 + digit;
      at += 1;
    }
    const digits = at - start;
    const isQuoted = bytes[start - 1] === QUOTE && bytes[at] === QUOTE;
    if (!isQuoted || digits < 1 || digits > EXACT_DIGITS) {
      throw inputError(`expected a ${what} in hexadecimal digits ${this.found()}`);
    }
    this.at = at + 1;
    return value;
  }

  /** A text after a comma; returns its row in the string table. */
  nextText(): number {
    this.expect(COMMA, '"," and a text');
    const bytes = this.bytes;
    const start = this.at;
    this.expect(QUOTE, 'a text in quotes');
    let at = start + 1;
    let isPlain = true;
    for (; bytes[at] !== QUOTE; at += 1) {
      const byte = bytes[at] ?? NEWLINE;
      if (byte < 32) throw inputError(`text without end ${this.found()}`);
      if (byte >= 128) isPlain = false;
      if (byte === BACKSLASH) {
        isPlain = false;
        if (bytes[at + 1] !== NEWLINE) at += 1;
      }
    }
    this.at = at + 1;
    if (isPlain) return this.strings.intern(bytes.toString('latin1', start + 1, at));
    const text = parseJson(bytes.toString('utf8', start, at + 1));
    if (typeof text !== 'string') throw inputError('malformed text');
    return this.strings.intern(text);
  }

  /** Text from here to one byte before the end of the line, which is taken. */
  restOfArray(): string {
    const lineEnd = this.bytes.indexOf(NEWLINE, this.at);
    const rest = this.bytes.toString('utf8', this.at, lineEnd - 1);
    this.at = lineEnd - 1;
    return rest;
  }

  #readDigits(): number {
    const bytes = this.bytes;
    let at = this.at;
    let value = 0;
    for (;;) {
      const byte = bytes[at] ?? 0;
      if (byte < DIGIT_0 || byte > DIGIT_9) break;
      value = value * 10 + byte - DIGIT_0;
      at += 1;
    }
    this.at = at;
    return value;
  }

  #readHex(): number {
    const bytes = this.bytes;
    const start = this.at + 3;
    let at = start;
    let value = 0;
    if (bytes[start - 2] === DIGIT_0 && bytes[start - 1] === LETTER_X) {
      for (;;) {
        const digit = hexDigit(bytes[at] ?? 0);
        if (digit < 0) break;
        value = value * 16 + digit;
        at += 1;
      }
    }
    const digits = at - start;
    if (bytes[at] !== QUOTE || digits < 1 || digits > 16) {
      throw inputError(`expected a text of 1 to 16 hexadecimal digits after 0x ${this.found()}`);
    }
    this.at = at + 1;
    if (digits <= EXACT_DIGITS) return value;
    const lower = parseInt(bytes.toString('latin1', at - 8, at), 16);
    const upper = parseInt(bytes.toString('latin1', start, at - 8), 16);
    return this.words.cell(lower, upper);
  }
}

function hexDigit(byte: number): number {
  if (byte >= DIGIT_0 && byte <= DIGIT_9) return byte - DIGIT_0;
  return byte >= LETTER_A && byte <= LETTER_F ? byte - LETTER_A + 10 : -1;
}

/** Parses a small JSON text; a syntax error is an input error. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw inputError(`malformed JSON ${JSON.stringify(text.slice(0, 24))}`);
  }
}
