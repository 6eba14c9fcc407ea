import { verifyScenarioFile } from '../../query/scenario.js';
import { describeDifference } from '../../trace/difference.js';
import { defineCommand } from '../command.js';
import { EXIT_FOUND, EXIT_OK } from '../exit_code.js';

interface VerifyOptions {
  readonly check?: boolean;
}

export const command = defineCommand<[string[]], VerifyOptions>({
  configure(cli) {
    cli
      .argument('<files...>', 'scenarios (NAME.ops.jsonl) with NAME.state.json beside them')
      .option('--check', 'check all invariants after every operation');
  },
  async run(cli, [files], options) {
    const report: Array<{ file: string; differences: number; listed: readonly unknown[] }> = [];
    const progress = await cli.progress('verify', files.length);
    let differing = 0;
    for (const file of files) {
      const comparison = await verifyScenarioFile(file, { check: options.check === true });
      const count = comparison.count;
      if (count > 0) differing += 1;
      report.push({ file, differences: count, listed: comparison.differences });
      if (!cli.json && count > 0) {
        cli.print(`${file}: ${count} differences`);
        for (const difference of comparison.differences) {
          cli.print(`  ${describeDifference(difference)}`);
        }
      }
      progress.update(report.length);
    }
    progress.stop();
    if (cli.json) {
      const summary = { schemaVersion: 1, scenarios: files.length, differing, files: report };
      cli.printJson(summary);
    } else {
      cli.print(`${files.length - differing} of ${files.length} scenarios agree with Linux (exact)`);
    }
    return differing > 0 ? EXIT_FOUND : EXIT_OK;
  },
});
