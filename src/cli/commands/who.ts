import { answerWho } from '../../linux/who.js';
import type { WhoReport } from '../../linux/who.js';
import { parseWhoTarget } from '../../query/who_target.js';
import { defineCommand } from '../command.js';
import type { Cli } from '../command.js';
import { EXIT_OK } from '../exit_code.js';
import { printWhoFooter, printWhoObject, printWhoPage, printWhoProcess } from '../who_text.js';

export const command = defineCommand<[string], object>({
  configure(cli) {
    cli
      .argument('<target>', 'PID@0xADDR, pfn:N, memfd:NAME, file:PATH[@OFFSET], pid:N or shm:ID')
      .addHelpText('after', '\nExamples:\n  $ rmap who pid:4711\n  $ rmap who memfd:cache');
  },
  async run(cli, [text]) {
    const report = answerWho(text, parseWhoTarget(text));
    if (cli.json) {
      cli.printJson(report);
      return EXIT_OK;
    }
    print(cli, report);
    return EXIT_OK;
  },
});

function print(cli: Cli, report: WhoReport): void {
  switch (report.kind) {
    case 'page': {
      printWhoPage(cli, report);
      printWhoFooter(cli, report.elapsedMs, report.deniedPids);
      const pid = report.mappings[0]?.pid;
      if (pid !== undefined) cli.next(`rmap who pid:${pid}`);
      return;
    }
    case 'object': {
      printWhoObject(cli, report);
      printWhoFooter(cli, report.elapsedMs, report.deniedPids);
      const pid = report.objects[0]?.holders[0]?.pid;
      if (pid !== undefined) cli.next(`rmap who pid:${pid}`);
      return;
    }
    case 'process':
      printWhoProcess(cli, report);
      printWhoFooter(cli, report.elapsedMs, []);
      cli.next(`rmap live ${report.process.pid}`);
  }
}
