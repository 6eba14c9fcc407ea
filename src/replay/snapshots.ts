import { RmapError } from '../base/errors.js';
import type { Recording } from '../trace/recording.js';
import type { Snapshot, SnapshotLayout } from '../trace/snapshot.js';

/** 256 GiB in page-table entries: a larger number is damage. */
const MOST_SNAPSHOT_PAGES = 2 ** 26;

/**
 * The snapshots of a recording, each read once: first their layouts, where the recording can give
 * those alone, and the pages while events are replayed. Errors are as if everything were read
 * first: that of an earlier snapshot before that of a later one.
 */
export class Snapshots {
  private readonly recording: Recording;
  private readonly known = new Map<string, Snapshot>();
  private readonly reading = new Map<string, Promise<void>>();
  private layoutsByName: ReadonlyMap<string, SnapshotLayout> | undefined = undefined;

  constructor(recording: Recording) {
    this.recording = recording;
  }

  /** What each shows besides pages, in the order of the recording. */
  async layouts(): Promise<ReadonlyMap<string, SnapshotLayout>> {
    if (this.layoutsByName !== undefined) return this.layoutsByName;
    const layouts = new Map<string, SnapshotLayout>();
    const { recording } = this;
    // Asked for together, where it is another thread that reads.
    const asked = recording.info.snapshots.map(({ name }) => recording.layout?.(name));
    for (const layout of asked) layout?.catch(() => {});
    try {
      for (const [i, { name }] of recording.info.snapshots.entries()) {
        layouts.set(name, (await asked[i]) ?? (await this.whole(name)));
      }
    } catch (error) {
      await this.readAll();
      throw error;
    }
    this.layoutsByName = layouts;
    return layouts;
  }

  /** Begins to read all of them. */
  readAhead(): void {
    for (const { name } of this.recording.info.snapshots) void this.start(name);
  }

  /** Waits until a snapshot is there, if the recording has one of that name. */
  async read(name: string): Promise<void> {
    const isListed = this.recording.info.snapshots.some((info) => info.name === name);
    if (isListed) await this.start(name);
  }

  /** Waits for all of them. */
  async readAll(): Promise<void> {
    for (const { name } of this.recording.info.snapshots) await this.start(name);
  }

  /** A snapshot that has been read. */
  find(name: string): Snapshot | undefined {
    return this.known.get(name);
  }

  private async whole(name: string): Promise<Snapshot> {
    await this.start(name);
    return this.known.get(name) ?? this.recording.snapshot(name);
  }

  private start(name: string): Promise<void> {
    let reading = this.reading.get(name);
    if (reading === undefined) {
      reading = this.take(name);
      // Whoever waits for it hears of its failure, if only at the end.
      reading.catch(() => {});
      this.reading.set(name, reading);
    }
    return reading;
  }

  private async take(name: string): Promise<void> {
    const snapshot = await this.recording.snapshot(name);
    const pages = snapshot.anonPages + snapshot.swapPages + snapshot.zeroPages;
    if (pages > MOST_SNAPSHOT_PAGES) {
      throw new RmapError(
        'input',
        `${this.recording.path}: snapshot "${name}" lists ${pages} anonymous pages, ` +
          `more than ${MOST_SNAPSHOT_PAGES}`,
      );
    }
    this.known.set(name, snapshot);
  }
}
