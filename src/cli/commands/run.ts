import { basename, join } from 'node:path';
import { mkdir, writeFile } from 'node:fs/promises';
import { RmapError } from '../../base/errors.js';
import { checkMachine } from '../../check/check_machine.js';
import { runScenarioFile, statePathOf } from '../../query/scenario.js';
import { formatStateFile } from '../../trace/state.js';
import { defineCommand } from '../command.js';
import { EXIT_OK } from '../exit_code.js';

interface RunOptions {
  readonly stateDir?: string;
  readonly check?: boolean;
}

export const command = defineCommand<[string[]], RunOptions>({
  configure(cli) {
    cli
      .argument('<files...>', 'scenarios (NAME.ops.jsonl)')
      .option('--state-dir <dir>', 'where to write NAME.state.json (default: beside the scenario)')
      .option('--check', 'check all invariants and the content of memory after every operation');
  },
  async run(cli, [files], options) {
    if (cli.json && files.length !== 1) {
      throw new RmapError('usage', `--json prints one state: give one file, not ${files.length}`);
    }
    if (options.stateDir !== undefined) await mkdir(options.stateDir, { recursive: true });
    for (const file of files) {
      const target = statePathOf(file);
      const run = await runScenarioFile(
        file,
        options.check === true ? { watch: checkMachine } : {},
      );
      if (cli.json) {
        cli.print(formatStateFile(run).trimEnd());
        continue;
      }
      const path =
        options.stateDir === undefined ? target : join(options.stateDir, basename(target));
      await writeFile(path, formatStateFile(run));
      cli.print(`${path}: ${run.results.length} results, ${run.states.length} states`);
    }
    if (files[0] !== undefined) cli.next(`rmap verify ${files[0]}`);
    return EXIT_OK;
  },
});
