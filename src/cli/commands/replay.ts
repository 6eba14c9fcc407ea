import { beginReading } from '../../trace/threaded/reader_thread.js';
import { defineCommand } from '../command.js';

export interface ReplayCliOptions {
  readonly until?: string;
  readonly from?: string;
}

export const command = defineCommand<[string], ReplayCliOptions>({
  configure(cli) {
    cli
      .argument('<recording>', 'a recording directory')
      .option('--until <snapshot>', 'stop after this snapshot')
      .option('--from <snapshot>', 'start from this snapshot instead of the first event');
  },
  async run(cli, [path], options) {
    // The reader starts while the engine is loaded.
    const opening = beginReading(path);
    const [{ runReplay }, { withRecording }] = await Promise.all([
      import('./replay_run.js'),
      import('../../trace/threaded/with_recording.js'),
    ]);
    return withRecording(path, (recording) => runReplay(cli, recording, options), opening);
  },
});
