import { beginReading } from '../../trace/threaded/reader_thread.js';
import { defineCommand } from '../command.js';

export interface ExplainCliOptions {
  readonly html?: string;
  readonly force?: boolean;
  readonly from?: string;
  readonly to?: string;
  readonly failIf?: readonly string[];
}

export const command = defineCommand<[string], ExplainCliOptions>({
  configure(cli) {
    cli
      .argument('<recording>', 'a recording')
      .option('--html <file>', 'write the report as one page that needs nothing else')
      .option('-f, --force', 'overwrite the file of --html')
      .option('--from <time>', 'look at the recording from here on, such as 2.5s')
      .option('--to <time>', 'look at the recording up to here')
      .option(
        '--fail-if <condition>',
        "exit with 1 if it holds: 'shared_after(60s) < 70%', 'unshared_bytes > 64MiB'; repeatable",
        (condition: string, before: readonly string[]) => [...before, condition],
        [],
      );
  },
  async run(cli, [path], options) {
    // The reader starts while the engine is loaded.
    const opening = beginReading(path);
    const { runExplain } = await import('./explain_run.js');
    return runExplain(cli, path, options, opening);
  },
});
