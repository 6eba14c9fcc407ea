import { examineHost } from '../../linux/doctor.js';
import type { DoctorReport } from '../../linux/doctor.js';
import { defineCommand } from '../command.js';
import type { Cli } from '../command.js';
import { EXIT_OK } from '../exit_code.js';
import { printable } from '../sanitize.js';

export const command = defineCommand<[], object>({
  configure() {},
  async run(cli) {
    const report = examineHost();
    if (cli.json) cli.printJson(report);
    else print(cli, report);
    return EXIT_OK;
  },
});

function print(cli: Cli, report: DoctorReport): void {
  const { colors } = cli;
  const mark = (state: string): string => {
    const text = state.padEnd(8);
    if (state === 'yes') return colors.green(text);
    return state === 'no' ? colors.red(text) : colors.yellow(text);
  };
  cli.print(printable(report.kernel));
  cli.print('');
  for (const rung of report.rungs) {
    cli.print(`${mark(rung.state)}${colors.bold(rung.name)}: ${printable(rung.found)}`);
    cli.print(`        unlocks ${rung.unlocks}`);
    if (rung.todo !== undefined) cli.print(`        to do: ${rung.todo}`);
  }
  cli.print('');
  for (const { command: name, state, note } of report.commands) {
    cli.print(`${mark(state)}rmap ${name}: ${note}`);
  }
  const options = Object.entries(report.options).map(([name, value]) => `${name}=${value}`);
  cli.print('');
  cli.print(colors.dim(options.length > 0 ? options.join(' ') : 'kernel options unknown'));
  cli.next(report.commands[0]?.state === 'yes' ? 'rmap record -- COMMAND' : 'rmap live PID');
}
