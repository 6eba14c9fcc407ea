import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip, gzipSync } from 'node:zlib';
import { RmapError } from '../base/errors.js';
import { errorCodeOf } from './processes.js';

const gzipAsync = promisify(gzip);

/** Fastest level: 170 MB/s and a factor of 6 on ring pages; higher ones gain a tenth. */
const GZIP_LEVEL = 1;
const RESERVE_FILE = 'reserve';
/** Freed when the disk is full, so that the manifest and open files can still be finished. */
const RESERVE_BYTES = 1 << 20;
export const MANIFEST_FILE = 'meta.json';
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
 * that exists is overwritten. After the first failed write (a full disk) nothing more is written
 * but the manifest; every file ends at a whole gzip member.
 */
export class RecordingDirectory {
  readonly path: string;
  readonly #streams = new Map<string, OpenStream>();
  /** Why writing ended early, `undefined` as long as all is well. */
  failure: string | undefined;
  /** Uncompressed bytes that could not be written. */
  droppedBytes = 0;

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
    directory.writeFile(RESERVE_FILE, new Uint8Array(RESERVE_BYTES).fill(0x5a));
    if (directory.failure !== undefined) {
      throw new RmapError('environment', `${path}: ${directory.failure}`);
    }
    return directory;
  }

  /** Starts a file of gzip members; it holds an empty one at first and so is valid at any time. */
  createStream(file: string): void {
    const fd = openSync(join(this.path, file), NEW_FILE, 0o600);
    const stream = { fd, sizeBytes: 0, tail: Promise.resolve() };
    this.#streams.set(file, stream);
    this.#appendMember(stream, gzipSync(''), 0);
  }

  /** Appends a gzip member; resolves when it is written or given up, never rejects. */
  append(file: string, bytes: Uint8Array): Promise<void> {
    const stream = this.#streams.get(file);
    if (stream === undefined) return Promise.resolve();
    const compressed = gzipAsync(bytes, { level: GZIP_LEVEL });
    stream.tail = stream.tail.then(async () => {
      this.#appendMember(stream, await compressed, bytes.length);
    });
    return stream.tail;
  }

  /** Waits for all appended members. */
  async settled(): Promise<void> {
    await Promise.all([...this.#streams.values()].map((stream) => stream.tail));
  }

  /** Writes a whole file; on failure the file is removed and false returned. */
  writeFile(file: string, bytes: Uint8Array): boolean {
    if (this.failure !== undefined && file !== MANIFEST_FILE) return false;
    const path = join(this.path, file);
    let fd: number;
    try {
      fd = openSync(path, NEW_FILE, 0o600);
    } catch (error) {
      this.#fail(error);
      return false;
    }
    try {
      writeAll(fd, bytes);
      return true;
    } catch (error) {
      this.#fail(error);
      unlinkSync(path);
      return false;
    } finally {
      closeSync(fd);
    }
  }

  /** Replaces the manifest; the room of the reserve is given up for it. */
  writeManifest(text: string): void {
    rmSync(join(this.path, RESERVE_FILE), { force: true });
    rmSync(join(this.path, MANIFEST_FILE), { force: true });
    if (!this.writeFile(MANIFEST_FILE, Buffer.from(text))) {
      throw new RmapError('environment', `${this.path}: ${this.failure ?? 'not writable'}`);
    }
  }

  /** Closes all streams and returns the size of the recording on disk. */
  close(): number {
    for (const { fd } of this.#streams.values()) {
      fsyncSync(fd);
      closeSync(fd);
    }
    this.#streams.clear();
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

  #appendMember(stream: OpenStream, member: Uint8Array, rawBytes: number): void {
    if (this.failure === undefined) {
      try {
        writeAll(stream.fd, member);
        stream.sizeBytes += member.length;
        return;
      } catch (error) {
        this.#fail(error);
        ftruncateSync(stream.fd, stream.sizeBytes);
      }
    }
    this.droppedBytes += rawBytes;
  }

  #fail(error: unknown): void {
    const code = errorCodeOf(error);
    // A file that is there already was planted: nobody else writes here.
    if (code === '' || code === 'EEXIST' || code === 'ELOOP') throw error;
    this.failure ??= code === 'ENOSPC' || code === 'EDQUOT' ? 'disk full' : `write failed: ${code}`;
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length;) {
    offset += writeSync(fd, bytes, offset, bytes.length - offset);
  }
}
