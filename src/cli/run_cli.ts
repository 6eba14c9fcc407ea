import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import type { AnyCommandModule, CommandEntry } from './command.js';
import { EXIT_OK, EXIT_USAGE, type ExitCode } from './exit_code.js';
import { describeFailure } from './failure.js';
import { type CommonOptions, Output, type Streams } from './output.js';
import { printable } from './sanitize.js';

const HELP_FOOTER = `
Exit status:
  0  ran, and what was asked about holds
  1  ran and found something (divergence, counterexample, failed budget)
  2  wrong usage or malformed input
  3  this machine cannot do it
  4  completed, but events were lost
  70 a bug in rmap
`;

/**
 * Runs one command line and returns the exit status. Never throws.
 * @param args Without the names of node and of the program.
 */
export async function runCli(
  args: readonly string[],
  table: readonly CommandEntry[],
  streams: Streams,
): Promise<ExitCode> {
  let replay = ['rmap', ...args.map(quoteForShell)].join(' ');
  let exitCode: ExitCode = EXIT_OK;
  const program = newProgram(streams, args);
  const chosen = chosenCommand(args, table);
  try {
    for (const entry of table) {
      // Who names a command first sees nothing of the others.
      if (entry !== chosen && args[0] === chosen?.name) continue;
      const command = declare(program, entry);
      if (entry !== chosen) continue;
      const module = (await entry.load()).command;
      module.configure(command);
      command.action(async () => {
        const output = new Output(streams, command.opts<CommonOptions>(), replay);
        try {
          exitCode = await runModule(module, command, output);
        } finally {
          replay = output.replay;
        }
      });
    }
    if (args.length === 0) {
      program.outputHelp({ error: true });
      return EXIT_USAGE;
    }
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    if ((streams.env['RMAP_DEBUG'] ?? '') !== '' && error instanceof Error) {
      streams.stderr.write(`${error.stack ?? error.message}\n`);
    }
    const failure = describeFailure(error, replay);
    streams.stderr.write(`rmap: ${failure.line}\n`);
    return failure.exitCode;
  }
}

function newProgram(streams: Streams, args: readonly string[]): Command {
  const program = new Command('rmap');
  program
    .description("Linux's reverse mapping: who shares this page, who broke the sharing, and why")
    .version(asksForVersion(args) ? version() : '', '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text),
      outputError: (text, write) => write(`rmap: ${oneLineUsageError(text)}\n`),
    })
    .addHelpText('after', HELP_FOOTER);
  return program;
}

/** Adds a row of the table to the help page, with the options that every command has. */
function declare(program: Command, entry: CommandEntry): Command {
  return program
    .command(entry.name)
    .summary(`${entry.summary}\n$ ${entry.example}`)
    .description(`${entry.summary}.`)
    .option('--json', 'print one JSON report on stdout')
    .option('--bytes', 'print exact sizes in bytes')
    .option('--no-color', 'print without colours (as NO_COLOR does)')
    .addHelpText('after', `\nExample:\n  $ ${entry.example}\n`);
}

function runModule(module: AnyCommandModule, command: Command, output: Output): Promise<ExitCode> {
  return module.run(output, command.processedArgs, command.opts());
}

/** The command that the line names, also behind `help`; undefined when it names none. */
function chosenCommand(
  args: readonly string[],
  table: readonly CommandEntry[],
): CommandEntry | undefined {
  const words = args.filter((arg) => !arg.startsWith('-'));
  const name = words[0] === 'help' ? words[1] : words[0];
  return table.find((entry) => entry.name === name);
}

/** The text of commander, without its prefix and on one line. */
function oneLineUsageError(text: string): string {
  return printable(
    text
      .replace(/^error: /, '')
      .trim()
      .replace(/\s*\n\s*/g, ' '),
  );
}

function quoteForShell(arg: string): string {
  return /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`;
}

/** Finding and parsing the manifest takes 3 ms: only on demand. */
function asksForVersion(args: readonly string[]): boolean {
  return args.some((arg) => arg === '--version' || /^-\w*V/.test(arg));
}

function version(): string {
  const manifest: unknown = createRequire(import.meta.url)('rmap/package.json');
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}
