import { inputError } from '../input_error.js';
import type { StringTable, WordTable } from '../tables.js';
import type { EventFormat, FormatField } from './format_file.js';

/** Bytes of pages and the place of one event's payload in them. Numbers are little endian. */
export class Payload {
  readonly strings: StringTable;
  readonly words: WordTable;
  bytes: Buffer = Buffer.alloc(0);
  /** First byte of the payload, and the first one behind it. */
  start = 0;
  end = 0;

  constructor(strings: StringTable, words: WordTable) {
    this.strings = strings;
    this.words = words;
  }

  /** `common_type`: the ID of the format. */
  get type(): number {
    return this.bytes.readUInt16LE(this.start);
  }

  /** `common_pid`: the thread that was running. */
  get tid(): number {
    return this.bytes.readInt32LE(this.start + 4);
  }

  /** Cell of the 64-bit word at an offset. */
  word64(offset: number): number {
    const at = this.start + offset;
    const upper = this.bytes.readUInt32LE(at + 4);
    const lower = this.bytes.readUInt32LE(at);
    return upper < 0x200000 ? upper * 2 ** 32 + lower : this.words.cell(lower, upper);
  }

  /** Row of the text at an offset, which ends at a NUL or after `mostBytes`. */
  text(offset: number, mostBytes: number): number {
    const start = this.start + offset;
    const most = Math.min(start + mostBytes, this.end);
    if (start > most) throw inputError('a text starts behind the end of its event');
    const nul = this.bytes.indexOf(0, start);
    const end = nul === -1 || nul > most ? most : nul;
    return this.strings.intern(this.bytes.toString('utf8', start, end));
  }
}

/** Reads one field of a payload as a cell. */
export type FieldReader = (payload: Payload) => number;

/** Reader of a field of a format; `undefined` if the format has no such field. */
export function findReader(format: EventFormat, name: string): FieldReader | undefined {
  const field = format.fields.find((candidate) => candidate.name === name);
  return field === undefined ? undefined : fieldReader(format, field);
}

/** Reader of a field that the format must have. */
export function needReader(format: EventFormat, name: string): FieldReader {
  const reader = findReader(format, name);
  if (reader === undefined) throw inputError(`format of ${format.fullName}: no field ${name}`);
  return reader;
}

export function fieldReader(format: EventFormat, field: FormatField): FieldReader {
  const { offset, sizeBytes, isSigned, layout } = field;
  if (layout === 'characters') return (payload) => payload.text(offset, sizeBytes);
  if (layout === 'reference') {
    return (payload) => {
      const place = payload.bytes.readUInt32LE(payload.start + offset);
      return payload.text(place & 0xffff, place >>> 16);
    };
  }
  switch (sizeBytes) {
    case 8:
      return (payload) => payload.word64(offset);
    case 4:
      return isSigned
        ? (payload) => signedCell(payload, payload.bytes.readInt32LE(payload.start + offset))
        : (payload) => payload.bytes.readUInt32LE(payload.start + offset);
    case 2:
      return isSigned
        ? (payload) => signedCell(payload, payload.bytes.readInt16LE(payload.start + offset))
        : (payload) => payload.bytes.readUInt16LE(payload.start + offset);
    case 1:
      return (payload) => payload.bytes.readUInt8(payload.start + offset);
  }
  throw inputError(`format of ${format.fullName}: field ${field.name} has ${sizeBytes} bytes`);
}

/** Cell of a signed number: small negatives are themselves. */
function signedCell(payload: Payload, value: number): number {
  return value >= -4096 ? value : payload.words.cellOf(BigInt(value));
}
