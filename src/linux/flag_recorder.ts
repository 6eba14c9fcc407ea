import { gzip } from 'node:zlib';
import { promisify } from 'node:util';
import { basename } from 'node:path';
import { PAGE_SIZE_BYTES } from '../base/units.js';
import { PAGE_FLAG } from '../query/page_map.js';
import { stopCommand } from './command_end.js';
import { guardedStop, openGuardedSession } from './guarded_session.js';
import { readHostSettings } from './host.js';
import { PagemapBuffer } from './pagemap_file.js';
import type { Pause } from './pause.js';
import { withDescendants } from './processes.js';
import { nextSnapshotMs } from './recorder_options.js';
import type { SnapshotSchedule, StopReason, WriteFailure } from './recorder_options.js';
import { RecordingDirectory, isOutOfRoom } from './recording_directory.js';
import { checkTarget } from './recording_target.js';
import { encodeSnapshot } from './snapshot_lines.js';
import { readFrozen } from './snapshot_reader.js';
import type { FrozenPicture } from './snapshot_reader.js';
import { prepareCommand } from './start_stub.js';
import type { PreparedCommand } from './start_stub.js';
import { Wishes, listenForSignals } from './wishes.js';

const gzipAsync = promisify(gzip);
const POLL_MS = 20;

export interface FlagRecordOptions {
  readonly target:
    | { readonly kind: 'command'; readonly command: readonly string[] }
    | { readonly kind: 'pids'; readonly pids: readonly number[] };
  readonly path: string;
  readonly mayReplace: boolean;
  readonly limitMs: number | undefined;
  readonly snapshots: SnapshotSchedule;
}

/** What the flags of all pages said at one moment. */
export interface FlagSample {
  readonly name: string;
  readonly atMs: number;
  readonly processCount: number;
  /** Anonymous pages that one process maps alone, and those that several map (each mapping). */
  readonly ownBytes: number;
  readonly sharedBytes: number;
  readonly fileBytes: number;
  readonly pauseMs: number;
}

export interface FlagRecordReport {
  readonly schemaVersion: 1;
  readonly path: string;
  /** Who shares with whom is hidden: only "mapped by nobody else" is known of each page. */
  readonly precision: 'inferred';
  readonly stopReason: StopReason;
  readonly samples: readonly FlagSample[];
  /** Why samples are missing in the end; `undefined` if everything was written. */
  readonly writeFailure: WriteFailure | undefined;
  /** Process of a command that still runs although it was told to end. */
  readonly runningCommandPid: number | undefined;
}

function sampleOf(picture: FrozenPicture, atMs: number, pauseMs: number): FlagSample {
  let own = 0;
  let shared = 0;
  let file = 0;
  for (const { rows } of picture.processes) {
    for (let row = 0; row < rows.length; row++) {
      const flags = rows.flags[row] ?? 0;
      if ((flags & PAGE_FLAG.file) !== 0) file++;
      else if ((flags & PAGE_FLAG.exclusive) !== 0) own++;
      else shared++;
    }
  }
  return {
    name: picture.name,
    atMs,
    processCount: picture.processes.length,
    ownBytes: own * PAGE_SIZE_BYTES,
    sharedBytes: shared * PAGE_SIZE_BYTES,
    fileBytes: file * PAGE_SIZE_BYTES,
    pauseMs,
  };
}

/** A recording without events: snapshots of page flags, taken with SIGSTOP. */
class FlagRecording {
  readonly #options: FlagRecordOptions;
  readonly #wishes: Wishes;
  readonly #directory: RecordingDirectory;
  readonly #command: PreparedCommand | undefined;
  readonly #pause: Pause;
  readonly #roots: readonly number[];
  readonly #buffer = new PagemapBuffer();
  readonly #samples: FlagSample[] = [];
  readonly #marks: string[] = [];
  readonly #startMs = performance.now();
  readonly #waitsForCommand: () => void;

  constructor(
    options: FlagRecordOptions,
    waitsForCommand: () => void,
    wishes: Wishes,
    directory: RecordingDirectory,
    makePause: (list: () => readonly number[]) => Pause,
  ) {
    this.#options = options;
    this.#waitsForCommand = waitsForCommand;
    this.#wishes = wishes;
    this.#directory = directory;
    const { target } = options;
    this.#command = target.kind === 'command' ? prepareCommand(target.command) : undefined;
    this.#roots = target.kind === 'pids' ? target.pids : [this.#command?.pid ?? 0];
    this.#pause = makePause(() => this.#pids());
  }

  async run(): Promise<FlagRecordReport> {
    try {
      return await this.#record();
    } finally {
      this.#command?.leave();
    }
  }

  async #record(): Promise<FlagRecordReport> {
    const stopReason = await this.#loop();
    if (this.#pids().length > 0) await this.#sample('end');
    await this.#finish(stopReason);
    const command = stopReason === 'command ended' ? undefined : this.#command;
    const stopped =
      command === undefined
        ? undefined
        : await stopCommand(command, stopReason, this.#wishes, this.#waitsForCommand);
    return {
      schemaVersion: 1,
      path: this.#directory.path,
      precision: 'inferred',
      stopReason,
      samples: this.#samples,
      writeFailure: this.#directory.describeFailure(),
      runningCommandPid: stopped?.runningCommandPid,
    };
  }

  /** The processes of the recording that run and have memory. */
  #pids(): readonly number[] {
    return withDescendants(this.#roots).filter((pid) => pid !== process.pid);
  }

  async #loop(): Promise<StopReason> {
    const { limitMs, snapshots } = this.#options;
    let dueMs = snapshots.firstMs;
    void this.#command?.ended.then(() => this.#wishes.add({ stop: 'command ended' }));
    this.#command?.go();
    for (let count = 1; ;) {
      const elapsedMs = performance.now() - this.#startMs;
      const wish = this.#wishes.take();
      if (wish !== undefined && wish !== 'snapshot') return wish.stop;
      const { failure } = this.#directory;
      if (failure !== undefined) return isOutOfRoom(failure.code) ? 'disk full' : 'write failed';
      if (limitMs !== undefined && elapsedMs >= limitMs) return 'time limit';
      if (elapsedMs >= dueMs || wish === 'snapshot') {
        const isTaken = await this.#sample(`t${count}`);
        if (!isTaken && this.#command === undefined) return 'processes ended';
        count++;
        while (dueMs <= elapsedMs) dueMs = nextSnapshotMs(snapshots, dueMs);
      }
      await this.#wishes.wait(POLL_MS);
    }
  }

  /** False if there was nobody left to look at. */
  async #sample(name: string): Promise<boolean> {
    const heldMs = performance.now();
    let picture: FrozenPicture;
    try {
      picture = readFrozen(name, this.#pause.hold(), this.#buffer, undefined);
    } finally {
      this.#pause.release();
    }
    const pauseMs = performance.now() - heldMs;
    if (picture.processes.length === 0) return false;
    const atMs = heldMs - this.#startMs;
    const encoding = encodeSnapshot(picture);
    let step = encoding.next();
    while (step.done !== true) step = encoding.next();
    const bytes = await gzipAsync(Buffer.concat(step.value.pieces), { level: 1 });
    if (!(await this.#directory.writeFile(`snap-${name}.jsonl.gz`, bytes))) return true;
    for (const mark of [`SNAP ${name}`, `SNAPEND ${name}`]) {
      this.#marks.push(JSON.stringify(['mark', Math.round(atMs * 1e6), 0, 0, mark]));
    }
    this.#samples.push(sampleOf(picture, atMs, pauseMs));
    return true;
  }

  async #finish(stopReason: StopReason): Promise<void> {
    const settings = readHostSettings();
    await this.#directory.writeFile(
      'trace.jsonl',
      Buffer.from(`${this.#marks.join('\n')}\n`),
      true,
    );
    const manifest = {
      name: basename(this.#options.path).replace(/\.rec$/, ''),
      description: this.#roots.join(' '),
      format: 'jsonl',
      formatVersion: 1,
      complete: true,
      precision: 'layout',
      unknowns: [
        'page frames are hidden without privileges: of each page only "mapped by nobody else" is known',
        'no events: what happened between two snapshots is not known',
      ],
      kernel: settings.kernel,
      thp: settings.thp['enabled'] ?? '',
      page_size: PAGE_SIZE_BYTES,
      clock: 'mono',
      t0_ns: 0,
      cpus: 1,
      events: this.#marks.length,
      lost: 0,
      settings,
      stopReason,
      samples: this.#samples,
    };
    await this.#directory.writeManifest(`${JSON.stringify(manifest, undefined, 1)}\n`);
    this.#directory.close();
  }
}

/**
 * Records how much memory stays shared over time, without privileges, from page flags alone.
 * Processes are held with SIGSTOP while they are read, and run again even if this one is killed.
 * `waitsForCommand` is called if the command takes its time to end after the recording.
 */
export async function recordFlags(
  options: FlagRecordOptions,
  waitsForCommand: () => void,
): Promise<FlagRecordReport> {
  RecordingDirectory.check(options.path, options.mayReplace);
  checkTarget(options.target);
  const guarded = openGuardedSession();
  const wishes = new Wishes();
  const stopListening = listenForSignals(wishes);
  try {
    const directory = RecordingDirectory.create(options.path, options.mayReplace);
    const makePause = (list: () => readonly number[]): Pause => guardedStop(list, guarded.journal);
    return await new FlagRecording(options, waitsForCommand, wishes, directory, makePause).run();
  } finally {
    guarded.close();
    stopListening();
  }
}
