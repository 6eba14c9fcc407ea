import picocolors from 'picocolors';
import type { Colors } from 'picocolors/types.js';
import type { Cli } from './command.js';
import { type Progress, startProgress } from './progress.js';

/** Where a command prints, and what decides how. */
export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly bytes?: boolean;
  readonly color?: boolean;
}

/** The `Cli` of one run of one command. */
export class Output implements Cli {
  readonly json: boolean;
  readonly exactBytes: boolean;
  readonly colors: Colors;
  readonly #streams: Streams;
  #replay: string;

  /** @param replay Command that runs the same again. */
  constructor(streams: Streams, options: CommonOptions, replay: string) {
    this.json = options.json === true;
    this.exactBytes = options.bytes === true;
    this.colors = picocolors.createColors(options.color !== false && wantsColor(streams));
    this.#streams = streams;
    this.#replay = replay;
  }

  get replay(): string {
    return this.#replay;
  }

  print(line: string): void {
    this.#streams.stdout.write(`${line}\n`);
  }

  printJson(report: { readonly schemaVersion: number }): void {
    this.#streams.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  }

  note(line: string): void {
    this.#streams.stderr.write(`${line}\n`);
  }

  next(command: string): void {
    if (!this.json) this.print(`${this.colors.dim('next:')} ${command}`);
  }

  progress(label: string, totalCount?: number): Promise<Progress> {
    return startProgress(this.#streams.stderr, label, totalCount);
  }

  setReplay(command: string): void {
    this.#replay = command;
  }
}

/** `NO_COLOR` (any value but the empty one) wins, then `FORCE_COLOR`, then the terminal. */
function wantsColor({ stdout, env }: Streams): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  if ((env['FORCE_COLOR'] ?? '') !== '') return env['FORCE_COLOR'] !== '0';
  return stdout.isTTY && env['TERM'] !== 'dumb';
}
