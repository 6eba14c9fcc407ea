/** Performs scenarios with real processes on the running kernel and reads its structures. */
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { RmapError } from '../base/errors.js';
import type { Operation, OperationResult } from '../kernel/operation.js';
import { REGION_START_PAGE } from '../trace/scenario.js';
import type { MachineState, StateFile, StateResult } from '../trace/state.js';
import { actorScript } from './actor_script.js';
import { LineProcess } from './line_process.js';
import { fixedEnvironment, restingValues } from './live_settings.js';
import type { Observation } from './live_observation.js';
import { liveState } from './live_state.js';
import { nativePrograms } from './native_programs.js';
import { parseSmapsFields } from './smaps_fields.js';

/** Journal and lock of live runs; empty after a reboot, as the settings are. */
const RUN_DIRECTORY = '/run/rmap-live';
/** Files of kind `tmp` are made here. */
const WORK_DIRECTORY = '/var/tmp';
const EXT4_MAGIC = 0xef53;
const ZRAM_CONTROL = '/sys/class/zram-control/hot_add';
/** Pages from the start of the region that belong to scenarios. */
const REGION_PAGES = 2 ** 28;
/** Swap files are written in the background; a state is what they leave. */
const KPF_WRITEBACK = 1 << 8;
const WRITEBACK_POLL_MS = 2;
const MOST_WRITEBACK_MS = 2000;

export interface LiveServerOptions {
  /** Called once if another live run holds the lock; `open` then waits for it. */
  readonly onWait?: () => void;
}

/** What `run` may be asked to show besides its result. */
export interface LiveRunOptions {
  /** Raw observation of each state, for samples. */
  readonly onObservation?: (label: string, raw: RawObservation) => void;
}

/** Everything that one state was made of. */
export interface RawObservation {
  readonly observation: Observation;
  /** /proc/PID/smaps by process. */
  readonly smaps: ReadonlyMap<number, string>;
  readonly fileNames: ReadonlyMap<string, string>;
  readonly op: number;
}

/**
 * A server of live scenarios: an actor that performs operations in processes of its own, and an
 * observer. While it is open it holds the lock of live runs and the fixed environment's settings;
 * `close`, the death of this process, and a signal to the actor give both back.
 */
export class LiveServer {
  readonly #actor: LineProcess;
  readonly #observer: LineProcess;
  /** What a setting goes back to after a scenario. */
  readonly #restingValue: (path: string) => string;

  private constructor(
    actor: LineProcess,
    observer: LineProcess,
    restingValue: (path: string) => string,
  ) {
    this.#actor = actor;
    this.#observer = observer;
    this.#restingValue = restingValue;
  }

  /** Throws an `environment` error where this machine cannot do it. */
  static async open(options: LiveServerOptions = {}): Promise<LiveServer> {
    if (process.platform !== 'linux' || process.arch !== 'x64') {
      throw new RmapError('environment', 'live scenarios need Linux on x86-64');
    }
    if (process.getuid?.() !== 0) {
      throw new RmapError('environment', 'live scenarios need root: they read kernel memory');
    }
    const programs = await nativePrograms();
    const actor = new LineProcess('actor', programs.actor, [RUN_DIRECTORY, WORK_DIRECTORY]);
    let observer: LineProcess | undefined;
    try {
      const first = await actor.next();
      if (first['waiting'] !== undefined) {
        options.onWait?.();
        await actor.next();
      }
      // Under the lock: the settings of another run would change the pages that it starts from.
      observer = new LineProcess('observer', programs.observer, [
        programs.bpfObject,
        String(REGION_START_PAGE),
        String(REGION_PAGES),
      ]);
      await observer.next();
      // Only now: what a killed run left has been undone.
      if (readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1) {
        throw new RmapError('environment', 'live scenarios need a host without active swap areas');
      }
      const fixed = fixedEnvironment();
      const server = new LiveServer(actor, observer, restingValues(fixed));
      for (const { path, value } of fixed) await server.#set(path, value);
      return server;
    } catch (error) {
      await Promise.all([actor.close(), observer?.close()]);
      throw error;
    }
  }

  /** Ends all processes and gives back settings and lock. */
  async close(): Promise<void> {
    await Promise.all([this.#actor.close(), this.#observer.close()]);
  }

  async #set(path: string, value: string): Promise<void> {
    const { err } = await this.#actor.ask(`set path=${path} value=${value}`);
    if (err !== undefined) {
      throw new RmapError(
        'environment',
        `${path} cannot be set to ${value}: ${JSON.stringify(err)}`,
      );
    }
  }

  /**
   * Performs a scenario. The answer has one state per `dump`, then `final`. A scenario that cannot
   * be performed is refused before it starts; an error while it runs closes the server.
   */
  async run(operations: readonly Operation[], options: LiveRunOptions = {}): Promise<StateFile> {
    const script = actorScript(operations, takenHugePages());
    checkHost(operations, script.settingPaths);
    for (const path of script.settingPaths) this.#restingValue(path);
    try {
      const file = await this.#perform(operations, script.lines, options);
      for (const path of script.settingPaths) await this.#set(path, this.#restingValue(path));
      return file;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #perform(
    operations: readonly Operation[],
    lines: readonly string[],
    options: LiveRunOptions,
  ): Promise<StateFile> {
    const results: StateResult[] = [];
    const states: MachineState[] = [];
    // Names of files by their identity in smaps, as the actor reports it.
    const fileNames = new Map<string, string>();
    await this.#actor.ask('begin');
    for (let start = 0; ;) {
      let end = start;
      while (end < operations.length && operations[end]?.op !== 'dump') end += 1;
      const part = lines.slice(start, end).map((line) => `${line}\n`);
      this.#actor.send(part.join(''));
      for (let i = start; i < end; i += 1) {
        const { file, ...result } = await this.#actor.next();
        const operation = operations[i];
        if (typeof file === 'string' && operation?.op === 'file') {
          fileNames.set(file, String(operation.id));
        }
        results.push({ i, ...(result as unknown as OperationResult) });
      }
      const dump = operations[end];
      const label = dump?.op === 'dump' ? dump.label : 'final';
      const raw = await this.#look(end, fileNames);
      options.onObservation?.(label, raw);
      states.push(stateOf(label, raw));
      if (dump === undefined) break;
      start = end + 1;
    }
    await this.#actor.ask('end');
    return { results, states };
  }

  /** Looks at the living processes of the scenario. */
  async #look(op: number, fileNames: ReadonlyMap<string, string>): Promise<RawObservation> {
    const { pids } = await this.#actor.ask('pids');
    const processes = pids as ReadonlyArray<readonly [number, number]>;
    const names = processes.map(([process, pid]) => `${process}:${pid}`).join(' ');
    const observation = await this.#observe(names);
    const smaps = new Map(
      processes.map(([process, pid]) => [process, readFileSync(`/proc/${pid}/smaps`, 'utf8')]),
    );
    return { op, fileNames, observation, smaps };
  }

  /** Observes, again while pages are being written. */
  async #observe(names: string): Promise<Observation> {
    for (let waitedMs = 0; ; waitedMs += WRITEBACK_POLL_MS) {
      const answer = await this.#observer.ask(`look ${names}`);
      const observation = answer as unknown as Observation;
      if (waitedMs >= MOST_WRITEBACK_MS || !isWriting(observation)) return observation;
      await setTimeout(WRITEBACK_POLL_MS);
    }
  }
}

/** Pages of the hugetlb pool that somebody uses or was promised. */
function takenHugePages(): number {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const count = (name: string): number =>
    Number(new RegExp(`^HugePages_${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return count('Total') - count('Free') + count('Rsvd');
}

/** Whether a page is on its way to a swap file. Kpageflags have more than 32 bits. */
function isWriting(observation: Observation): boolean {
  return observation.vmas.some(({ pages }) =>
    pages.some((page) => page.length > 6 && ((page[7] ?? 0) & KPF_WRITEBACK) !== 0),
  );
}

/** The state that a raw observation shows. */
export function stateOf(label: string, raw: RawObservation): MachineState {
  const smaps = new Map(
    [...raw.smaps].map(([process, text]) => [
      process,
      parseSmapsFields(text, REGION_START_PAGE, REGION_START_PAGE + REGION_PAGES),
    ]),
  );
  return liveState(raw.observation, { label, op: raw.op, smaps, fileNames: raw.fileNames });
}

/** Refuses scenarios with requirements that this host does not meet. */
function checkHost(operations: readonly Operation[], settingPaths: Iterable<string>): void {
  for (const path of settingPaths) {
    if (!existsSync(path)) throw new RmapError('environment', `this kernel has no ${path}`);
  }
  for (const operation of operations) {
    const missing = missingRequirement(operation);
    if (missing !== undefined) throw new RmapError('environment', `${operation.op} ${missing}`);
  }
}

function missingRequirement(operation: Operation): string | undefined {
  const needsDisk =
    (operation.op === 'file' && operation.kind === 'tmp') ||
    (operation.op === 'swapon' && operation.kind === 'file');
  if (needsDisk && statfsSync(WORK_DIRECTORY).type !== EXT4_MAGIC) {
    return `needs ext4 at ${WORK_DIRECTORY}`;
  }
  if (operation.op === 'swapon' && operation.kind !== 'file' && !existsSync(ZRAM_CONTROL)) {
    return 'needs zram (CONFIG_ZRAM)';
  }
  if (operation.op === 'memcg' && !hasMemoryCgroups()) {
    return 'needs the memory controller of cgroup version 1, which has memory.force_empty';
  }
  return undefined;
}

function hasMemoryCgroups(): boolean {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return mounts.some((line) => {
    const [, , kind, options] = line.split(' ');
    return kind === 'cgroup' && options?.split(',').includes('memory') === true;
  });
}
