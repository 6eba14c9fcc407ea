import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip, gzipSync } from 'node:zlib';
import { RmapError } from '../base/errors.js';
import { errorCodeOf } from './processes.js';
import type { WriteFailure } from './recorder_options.js';

const gzipAsync = promisify(gzip);

/** Fastest level: 170 MB/s and a factor of 6 on ring pages; higher ones gain a tenth. */
const GZIP_LEVEL = 1;
const RESERVE_FILE = 'reserve';
/** Freed when the disk is full, so that the manifest and open files can still be finished. */
const RESERVE_BYTES = 1 << 20;
/** Programs fill a disk for a moment and free it again: writing waits for room this long. */
const PATIENCE_MS = 10_000;
const RETRY_MS = 100;
export const MANIFEST_FILE = 'meta.json';
const NEW_MANIFEST_FILE = `${MANIFEST_FILE}.new`;
const NATIVE_MANIFEST_FILE = 'manifest.json';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

interface OpenStream {
  readonly fd: number;
  sizeBytes: number;
  tail: Promise<void>;
}

/** Whether a directory may be replaced by `-f`: it is empty or holds a recording. */
function isReplaceable(path: string): boolean {
  const names = readdirSync(path);
  const ours = [MANIFEST_FILE, RESERVE_FILE, NATIVE_MANIFEST_FILE];
  return names.length === 0 || ours.some((name) => names.includes(name));
}

/**
 * The directory of a recording while it is written. Files are 0600, the directory 0700; nothing
 * that exists is overwritten. While the disk is full writing waits; after the first write that
 * failed nothing more is written but the manifest. Every file ends at a whole gzip member.
 */
export class RecordingDirectory {
  readonly path: string;
  readonly #streams = new Map<string, OpenStream>();
  /** Why writing ended early, `undefined` as long as all is well. */
  failure: Omit<WriteFailure, 'freeBytes'> | undefined;
  /** Uncompressed bytes that could not be written. */
  droppedBytes = 0;
  /** Since when there has been no room, ms; `undefined` while there is. */
  #fullSinceMs: number | undefined;

  private constructor(path: string) {
    this.path = path;
  }

  /** Throws `RmapError('usage')` if the path exists and may not be replaced. */
  static check(path: string, mayReplace: boolean): void {
    if (!existsSync(path)) return;
    if (!mayReplace) {
      throw new RmapError('usage', `${path} exists: choose another name with -o, or use -f`);
    }
    if (!statSync(path).isDirectory() || !isReplaceable(path)) {
      throw new RmapError('usage', `${path} exists and is no recording: remove it yourself`);
    }
  }

  /** Makes the directory; an older recording is removed if it may be. */
  static create(path: string, mayReplace: boolean): RecordingDirectory {
    RecordingDirectory.check(path, mayReplace);
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { mode: 0o700, recursive: true });
    const directory = new RecordingDirectory(path);
    directory.#writeNow(RESERVE_FILE, new Uint8Array(RESERVE_BYTES).fill(0x5a));
    return directory;
  }

  /** Starts a file of gzip members; it holds an empty one at first and so is valid at any time. */
  createStream(file: string): void {
    const fd = openSync(join(this.path, file), NEW_FILE, 0o600);
    const stream: OpenStream = { fd, sizeBytes: 0, tail: Promise.resolve() };
    this.#streams.set(file, stream);
    stream.tail = this.#appendMember(file, stream, gzipSync(''), 0);
  }

  /** Appends a gzip member; resolves when it is written or given up, never rejects. */
  append(file: string, bytes: Uint8Array): Promise<void> {
    const stream = this.#streams.get(file);
    if (stream === undefined) return Promise.resolve();
    const compressed = gzipAsync(bytes, { level: GZIP_LEVEL });
    stream.tail = stream.tail.then(async () => {
      await this.#appendMember(file, stream, await compressed, bytes.length);
    });
    return stream.tail;
  }

  /** Waits for all appended members. */
  async settled(): Promise<void> {
    await Promise.all([...this.#streams.values()].map((stream) => stream.tail));
  }

  /**
   * Writes a whole file; on failure there is none and the answer is false. One without which the
   * recording cannot be read gets the room of the reserve, also after writing failed.
   */
  async writeFile(file: string, bytes: Uint8Array, isVital = false): Promise<boolean> {
    const write = (): void => this.#writeNow(file, bytes);
    if (this.failure === undefined && (await this.#whenThereIsRoom(file, write))) return true;
    if (!isVital) return false;
    rmSync(join(this.path, RESERVE_FILE), { force: true });
    return await this.#whenThereIsRoom(file, write);
  }

  /** Replaces the manifest: there is a complete one at any time. */
  async writeManifest(text: string): Promise<void> {
    if (!(await this.writeFile(NEW_MANIFEST_FILE, Buffer.from(text), true))) {
      const { call, code } = this.failure ?? { call: 'write', code: '' };
      throw new RmapError('environment', `${join(this.path, MANIFEST_FILE)}: ${call}: ${code}`);
    }
    renameSync(join(this.path, NEW_MANIFEST_FILE), join(this.path, MANIFEST_FILE));
  }

  /** Why writing ended early, and how much room there is now. */
  describeFailure(): WriteFailure | undefined {
    if (this.failure === undefined) return undefined;
    const { bavail, bsize } = statfsSync(this.path);
    return { ...this.failure, freeBytes: bavail * bsize };
  }

  /** Closes all streams and returns the size of the recording on disk. */
  close(): number {
    for (const { fd } of this.#streams.values()) {
      fsyncSync(fd);
      closeSync(fd);
    }
    this.#streams.clear();
    rmSync(join(this.path, RESERVE_FILE), { force: true });
    let sizeBytes = 0;
    for (const name of readdirSync(this.path)) sizeBytes += statSync(join(this.path, name)).size;
    return sizeBytes;
  }

  /** Removes the directory if the recording never began: there is no manifest yet. */
  discard(): void {
    if (existsSync(join(this.path, MANIFEST_FILE))) return;
    this.close();
    rmSync(this.path, { recursive: true });
  }

  async #appendMember(
    file: string,
    stream: OpenStream,
    member: Uint8Array,
    rawBytes: number,
  ): Promise<void> {
    const isWritten =
      this.failure === undefined &&
      (await this.#whenThereIsRoom(file, () => {
        try {
          writeAll(stream.fd, member, stream.sizeBytes);
        } catch (error) {
          ftruncateSync(stream.fd, stream.sizeBytes);
          throw error;
        }
      }));
    if (isWritten) stream.sizeBytes += member.length;
    else this.droppedBytes += rawBytes;
  }

  #writeNow(file: string, bytes: Uint8Array): void {
    const path = join(this.path, file);
    const fd = openSync(path, NEW_FILE, 0o600);
    try {
      writeAll(fd, bytes, 0);
    } catch (error) {
      unlinkSync(path);
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  /** Tries to write until it succeeds or is not worth another try; then that is the failure. */
  async #whenThereIsRoom(file: string, write: () => void): Promise<boolean> {
    do {
      try {
        write();
        this.#fullSinceMs = undefined;
        return true;
      } catch (error) {
        if (!this.#mayFindRoom(error)) {
          this.#fail(file, error);
          return false;
        }
      }
      await setTimeout(RETRY_MS);
    } while (this.failure === undefined);
    return false;
  }

  #mayFindRoom(error: unknown): boolean {
    if (this.failure !== undefined || !isOutOfRoom(errorCodeOf(error))) return false;
    const now = performance.now();
    this.#fullSinceMs ??= now;
    return now - this.#fullSinceMs < PATIENCE_MS;
  }

  #fail(file: string, error: unknown): void {
    const code = errorCodeOf(error);
    // A file that is there already was planted: nobody else writes here.
    if (code === '' || code === 'EEXIST' || code === 'ELOOP') throw error;
    const call = (error as NodeJS.ErrnoException).syscall ?? 'write';
    this.failure ??= { path: join(this.path, file), call, code };
  }
}

/** Whether an error says that there is no room for more. */
export function isOutOfRoom(code: string): boolean {
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** At a position of the file: a try that failed has moved the one of the descriptor. */
function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let offset = 0; offset < bytes.length;) {
    offset += writeSync(fd, bytes, offset, bytes.length - offset, position + offset);
  }
}
