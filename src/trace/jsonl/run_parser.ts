import { inputError } from '../input_error.js';
import type { RunKind } from '../snapshot.js';
import { RUN } from '../snapshot.js';
import type { SnapshotBuilder } from '../snapshot_builder.js';
import { StringTable, WordTable } from '../tables.js';
import { JsonCursor } from './cursor.js';

const NEWLINE = 10;
const COMMA = 44;
const BRACKET_OPEN = 91;
const BRACKET_CLOSE = 93;
const BRACE_CLOSE = 125;
const MOST_COUNT = 2 ** 31 - 1;

const RUN_KINDS: ReadonlyMap<string, RunKind> = new Map([
  ['A', RUN.anon],
  ['H', RUN.huge],
  ['K', RUN.ksm],
  ['Z', RUN.zero],
  ['F', RUN.file],
  ['?', RUN.special],
  ['swap', RUN.swap],
]);

/** Parser of `[["7f3fce000",512,"H","13f200",1,1], …]}` to the end of the line. */
export class RunParser {
  readonly #cursor = new JsonCursor(new StringTable(), new WordTable());
  /** Kind of each row of the string table, −1 for texts that are none. */
  readonly #kindOf: number[] = [];

  /** Adds the runs that start behind the opening bracket at `at`. */
  parse(builder: SnapshotBuilder, block: Buffer, at: number): void {
    const cursor = this.#cursor;
    cursor.bytes = block;
    cursor.at = at;
    if (block[at] === BRACKET_CLOSE) {
      cursor.at = at + 1;
    } else {
      do this.#parseRun(builder);
      while (this.#takeComma());
      cursor.expect(BRACKET_CLOSE, '"]"');
    }
    cursor.expect(BRACE_CLOSE, '"}" behind the runs, which are the last key');
    cursor.expect(NEWLINE, 'the end of the line');
  }

  #takeComma(): boolean {
    const isComma = this.#cursor.bytes[this.#cursor.at] === COMMA;
    if (isComma) this.#cursor.at += 1;
    return isComma;
  }

  #parseRun(builder: SnapshotBuilder): void {
    const cursor = this.#cursor;
    cursor.expect(BRACKET_OPEN, 'a run in brackets');
    const page = cursor.hexText('page');
    const count = cursor.nextInteger('number of pages', MOST_COUNT);
    const kind = this.#kind(cursor.nextText());
    if (kind === RUN.file || kind === RUN.special || kind === RUN.swap) {
      builder.addRun(page, count, kind, -1, 0, false);
    } else {
      cursor.expect(COMMA, '"," and a pfn');
      const pfn = cursor.hexText('pfn');
      const mapcount = cursor.nextInteger('mapcount', MOST_COUNT);
      const exclusive = cursor.nextInteger('bit', 1);
      builder.addRun(page, count, kind, pfn, mapcount, exclusive === 1);
    }
    cursor.expect(BRACKET_CLOSE, '"]" behind a run');
  }

  #kind(row: number): RunKind {
    const text = this.#cursor.strings.text(row);
    const known = (this.#kindOf[row] ??= RUN_KINDS.get(text) ?? -1);
    if (known === -1) throw inputError(`run of unknown type ${JSON.stringify(text)}`);
    return known as RunKind;
  }
}
