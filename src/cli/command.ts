import type { Command } from 'commander';
import type { Colors } from 'picocolors/types.js';
import type { ExitCode } from './exit_code.js';
import type { Progress } from './progress.js';

/** What a command gets in order to talk to the person or program that started it. */
export interface Cli {
  /** `--json`: print one report with `printJson` and nothing else. */
  readonly json: boolean;
  /** `--bytes`: print exact sizes instead of binary units. */
  readonly exactBytes: boolean;
  /** Colours of stdout; they do nothing with `NO_COLOR` or when stdout is not a terminal. */
  readonly colors: Colors;
  /** Prints one line of the result on stdout. Text from files goes through `printable` first. */
  print(line: string): void;
  /** Prints the report as JSON on stdout. */
  printJson(report: { readonly schemaVersion: number }): void;
  /** Prints one line on stderr: warnings and what is being done. */
  note(line: string): void;
  /** Names the next useful command; the last line of the text output. Nothing under `--json`. */
  next(command: string): void;
  /** Starts a progress line on stderr (on a terminal only). */
  progress(label: string, totalCount?: number): Promise<Progress>;
  /** Says which command replays a failure, should one come. Default: the command line itself. */
  setReplay(command: string): void;
}

/** The arguments and options of a command, and what it does. */
export interface CommandModule<Args extends readonly unknown[], Options extends object> {
  /** Declares arguments and options. `--json`, `--bytes` and `--no-color` are there already. */
  configure(command: Command): void;
  /** Runs the command. Throws RmapError for everything that the user can act on. */
  run(cli: Cli, args: Args, options: Options): Promise<ExitCode>;
}

/** A command whose types have been checked where it was defined. */
export type AnyCommandModule = CommandModule<readonly unknown[], object>;

/**
 * Defines a command. `Args` and `Options` must describe what `configure` declares: commander
 * parses by the declaration and cannot be asked for its type.
 */
export function defineCommand<Args extends readonly unknown[], Options extends object>(
  module: CommandModule<Args, Options>,
): AnyCommandModule {
  return {
    configure: (command) => module.configure(command),
    run: (cli, args, options) => module.run(cli, args as Args, options as Options),
  };
}

/** One row of the command table: all that `rmap --help` needs without loading the command. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly example: string;
  load(): Promise<{ readonly command: AnyCommandModule }>;
}
