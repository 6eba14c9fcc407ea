import { writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { RmapError } from '../../base/errors.js';
import { readAnonVmaChains } from '../../linux/anon_vma_chains.js';
import { guardedFreeze, guardedStop, openGuardedSession } from '../../linux/guarded_session.js';
import { takePicture } from '../../linux/picture.js';
import { findGroup } from '../../linux/process_groups.js';
import type { ProcessGroup } from '../../linux/process_groups.js';
import { findCgroup } from '../../linux/recording_target.js';
import type { AnonVmaReading } from '../../query/anon_vma_view.js';
import { computeLive } from '../../query/live.js';
import type { LiveReport } from '../../query/live.js';
import type { PageMapPicture } from '../../query/page_map.js';
import { defineCommand } from '../command.js';
import type { Cli } from '../command.js';
import { EXIT_OK } from '../exit_code.js';
import { liveHtml } from '../live_html.js';
import { printLive } from '../live_text.js';
import { parseDurationMs, parsePids } from '../parse_duration.js';
import { withStopSignal } from '../until_stopped.js';

interface Options {
  readonly cgroup?: string;
  readonly all?: boolean;
  readonly children: boolean;
  readonly freeze?: boolean;
  readonly kernelPss: boolean;
  readonly anonVmas: boolean;
  readonly watch?: string;
  readonly html?: string;
}

export const command = defineCommand<[string[]], Options>({
  configure(cli) {
    cli
      .argument('[pids...]', 'processes, with all that they forked')
      .option('--cgroup <path>', 'the processes of a cgroup and of those below it')
      .option('--all', 'all processes of the machine')
      .option('--no-children', 'only the given processes')
      .option('--freeze', 'hold the processes while they are read (else: read twice what ran)')
      .option('--no-kernel-pss', "leave out the kernel's PSS, which takes longer than the rest")
      .option('--no-anon-vmas', "leave out the kernel's anon_vmas (read by BPF, as root)")
      .option('--watch <time>', 'repeat until ^C: 2s')
      .option('--html <file>', 'write a page instead of text');
  },
  async run(cli, [words], options) {
    const group = groupOf(words, options);
    const watchMs =
      options.watch === undefined ? undefined : parseDurationMs(options.watch, '--watch');
    const isRoot = process.getuid?.() === 0;
    const chains = new ChainReader(cli, options.anonVmas && isRoot);
    if (watchMs === undefined) {
      await show(cli, await readLive(group, options, chains), options, false);
    } else {
      await watch(watchMs, async () =>
        show(cli, await readLive(group, options, chains), options, true),
      );
    }
    return EXIT_OK;
  },
});

function groupOf(words: readonly string[], options: Options): ProcessGroup {
  const groups: ProcessGroup[] = [];
  if (words.length > 0) {
    groups.push({ kind: 'pids', pids: parsePids(words), withDescendants: options.children });
  }
  if (options.cgroup !== undefined) groups.push({ kind: 'cgroup', path: options.cgroup });
  if (options.all === true) groups.push({ kind: 'all' });
  const [group] = groups;
  if (groups.length === 1 && group !== undefined) return group;
  throw new RmapError('usage', 'give one of: PID…, --cgroup PATH, --all');
}

/** Takes the picture, with the group held if asked. Held processes run again even after a crash. */
function readPicture(group: ProcessGroup, options: Options): PageMapPicture {
  const pids = findGroup(group);
  const wantsKernelSums = options.kernelPss;
  if (options.freeze !== true) return takePicture({ pids, wantsKernelSums });
  if (pids === undefined) {
    throw new RmapError('usage', '--freeze and --all: the whole machine cannot be held');
  }
  const session = openGuardedSession();
  try {
    const pause =
      group.kind === 'cgroup'
        ? guardedFreeze(findCgroup(group.path), session.journal)
        : guardedStop(() => pids, session.journal);
    return takePicture({ pids, wantsKernelSums, pause });
  } finally {
    session.close();
  }
}

/** Reads chains until that has failed once: the reason is said, the rest of the report holds. */
class ChainReader {
  readonly #cli: Cli;
  #isWanted: boolean;

  constructor(cli: Cli, isWanted: boolean) {
    this.#cli = cli;
    this.#isWanted = isWanted;
  }

  async read(pids: readonly number[]): Promise<AnonVmaReading | undefined> {
    if (!this.#isWanted) return undefined;
    try {
      return await readAnonVmaChains(pids);
    } catch (error) {
      if (!(error instanceof RmapError) || error.code !== 'environment') throw error;
      this.#isWanted = false;
      this.#cli.note(`no anon_vmas: ${error.message} (--no-anon-vmas leaves them out)`);
      return undefined;
    }
  }
}

async function readLive(
  group: ProcessGroup,
  options: Options,
  chains: ChainReader,
): Promise<LiveReport> {
  const picture = readPicture(group, options);
  if (picture.processes.length === 0) {
    const denied = picture.method.deniedPids.length;
    if (denied === 0) throw new RmapError('usage', 'none of these processes has memory to read');
    throw new RmapError(
      'environment',
      `no right to read these ${denied} processes: needs CAP_SYS_PTRACE (rmap doctor tells more)`,
    );
  }
  const pids = picture.processes.map(({ pid }) => pid);
  return computeLive(picture, await chains.read(pids));
}

async function show(
  cli: Cli,
  report: LiveReport,
  options: Options,
  isRepeated: boolean,
): Promise<void> {
  if (options.html !== undefined) {
    await writeFile(options.html, liveHtml(report, cli.exactBytes), { mode: 0o600 });
    if (!isRepeated) cli.print(`${options.html}: ${report.processes.length} processes`);
    return;
  }
  if (cli.json) {
    // One line for each picture, so that a stream of them can be read.
    if (isRepeated) cli.print(JSON.stringify(report));
    else cli.printJson(report);
    return;
  }
  if (isRepeated && process.stdout.isTTY) cli.print('\u001b[H\u001b[2J');
  printLive(cli, report);
  const largest = report.processes[0]?.pid;
  if (!isRepeated && largest !== undefined) cli.next(`rmap who pid:${largest}`);
}

/** Calls `step` at a steady pace until SIGINT or SIGTERM. */
async function watch(intervalMs: number, step: () => Promise<void>): Promise<void> {
  await withStopSignal(async (signal) => {
    while (!signal.aborted) {
      const startMs = performance.now();
      await step();
      const restMs = Math.max(0, intervalMs - (performance.now() - startMs));
      await setTimeout(restMs, undefined, { signal }).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    }
  });
}
