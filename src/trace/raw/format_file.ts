import { inputError } from '../input_error.js';

/** One field of an event, at a byte offset from the start of its payload. */
export interface FormatField {
  readonly name: string;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly isSigned: boolean;
  /** Plain number, characters in place, or a reference (`__data_loc`) to characters behind. */
  readonly layout: 'number' | 'characters' | 'reference';
}

/** A tracefs `format` file: how the kernel of the recording lays out one event. */
export interface EventFormat {
  /** `kmem:rss_stat` */
  readonly fullName: string;
  readonly name: string;
  readonly id: number;
  /** Without the common ones. */
  readonly fields: readonly FormatField[];
}

const ID_LINE = /^ID:\s*(\d+)$/m;
const FIELD_LINE =
  /^\s*field:(?<declaration>[^;]{1,256});\s*offset:(?<offset>\d+);\s*size:(?<size>\d+);(?:\s*signed:(?<signed>[01]);)?/gm;
const MOST_FIELDS = 64;
const MOST_EVENT_BYTES = 1 << 16;
/** Of the 16 bits of `common_type`. */
const MOST_ID = 65_535;

/** Parses the text of a format file. */
export function parseEventFormat(fullName: string, text: string): EventFormat {
  const id = Number(ID_LINE.exec(text)?.[1] ?? NaN);
  if (!(id > 0 && id <= MOST_ID))
    throw inputError(`format of ${fullName}: no ID from 1 to ${MOST_ID}`);
  const fields: FormatField[] = [];
  for (const { groups } of text.matchAll(FIELD_LINE)) {
    const { declaration = '', offset = '', size = '', signed } = groups ?? {};
    const field = parseField(declaration, Number(offset), Number(size), signed === '1');
    if (field.name.startsWith('common_')) continue;
    if (field.offset + field.sizeBytes > MOST_EVENT_BYTES || fields.length === MOST_FIELDS) {
      throw inputError(`format of ${fullName}: field ${field.name} is out of bounds`);
    }
    fields.push(field);
  }
  const name = fullName.slice(fullName.indexOf(':') + 1);
  return { fullName, name, id, fields };
}

function parseField(
  declaration: string,
  offset: number,
  sizeBytes: number,
  isSigned: boolean,
): FormatField {
  const name = /(\w+)(?:\[[^\]]*\])?\s*$/.exec(declaration)?.[1] ?? declaration;
  const isArray = declaration.trimEnd().endsWith(']') || sizeBytes > 8;
  const isReference = declaration.includes('__data_loc') || declaration.includes('__rel_loc');
  const layout = isReference ? 'reference' : isArray ? 'characters' : 'number';
  return { name, offset, sizeBytes, isSigned, layout };
}

/** Bytes of one sub-buffer, from the text of tracefs' `events/header_page`. */
export function subBufferBytes(headerPage: string): number {
  const data = /field:\s*char data;\s*offset:(\d+);\s*size:(\d+);/.exec(headerPage);
  const bytes = Number(data?.[1] ?? NaN) + Number(data?.[2] ?? NaN);
  if (!Number.isInteger(bytes) || bytes % 4096 !== 0 || bytes < 4096 || bytes > 1 << 22) {
    throw inputError('header_page: expected "field: char data; offset:16; size:4080;"');
  }
  return bytes;
}
