/** Reading of files that may be truncated, compressed, huge or hostile, in bounded memory. */
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { RmapError } from '../base/errors.js';
import { inputError, reasonOf } from './input_error.js';

/** Longest line of an event file; every honest line is below 64 KiB. */
export const MOST_EVENT_LINE_BYTES = 1 << 20;
/** Longest line of a snapshot: one VMA with millions of runs. */
export const MOST_SNAPSHOT_LINE_BYTES = 1 << 28;

const NEWLINE = 10;
const CHUNK_BYTES = 1 << 18;

/** The file of this name or the one with `.gz` behind it; undefined if there is neither. */
export function findPlainOrGzip(path: string): string | undefined {
  if (existsSync(path)) return path;
  return existsSync(`${path}.gz`) ? `${path}.gz` : undefined;
}

/** Size of a regular file; an input error for anything else. */
export function fileSizeBytes(path: string): number {
  let found: { isFile(): boolean; size: number };
  try {
    found = statSync(path);
  } catch (error) {
    throw inputError(`${path}: ${reasonOf(error)}`, error);
  }
  if (!found.isFile()) throw inputError(`${path}: not a regular file`);
  return found.size;
}

/** Content of a file, decompressed if its name ends in `.gz`, piece by piece. */
export async function* readChunks(path: string): AsyncGenerator<Buffer> {
  fileSizeBytes(path);
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  if (!path.endsWith('.gz')) {
    try {
      for await (const chunk of file) yield chunk;
    } catch (error) {
      throw inputError(`${path}: ${reasonOf(error)}`, error);
    }
    return;
  }
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  file.on('error', (error) => gunzip.destroy(error));
  file.pipe(gunzip);
  try {
    for await (const chunk of gunzip) yield chunk;
  } catch (error) {
    if (error instanceof RmapError) throw error;
    throw inputError(
      `${path} offset ${gunzip.bytesWritten}: bad gzip data (${reasonOf(error)})`,
      error,
    );
  } finally {
    file.destroy();
    gunzip.destroy();
  }
}

/** Whole content of a small file. */
export async function readAll(path: string, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of readChunks(path)) {
    sizeBytes += chunk.length;
    if (sizeBytes > mostBytes) throw inputError(`${path}: more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Reads a text file as blocks of whole lines, each ending with a newline; a last line without one
 * gets it. A line longer than `mostLineBytes` is an input error, found before it is in memory.
 */
export async function* readLineBlocks(path: string, mostLineBytes: number): AsyncGenerator<Buffer> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let offset = 0;
  for await (const chunk of readChunks(path)) {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    const headBytes = end === 0 ? chunk.length : chunk.indexOf(NEWLINE);
    if (pendingBytes + headBytes > mostLineBytes) {
      const start = offset - pendingBytes;
      throw inputError(`${path} text offset ${start}: line is longer than ${mostLineBytes} bytes`);
    }
    offset += chunk.length;
    if (end === 0) {
      pending.push(chunk);
      pendingBytes += chunk.length;
      continue;
    }
    const head = chunk.subarray(0, end);
    const bytes = pendingBytes === 0 ? head : Buffer.concat([...pending, head]);
    pending = end === chunk.length ? [] : [chunk.subarray(end)];
    pendingBytes = chunk.length - end;
    yield bytes;
  }
  if (pendingBytes > 0) yield Buffer.concat([...pending, Buffer.from('\n')]);
}

/** Reads a text file line by line, for formats where speed does not matter. */
export async function* readLines(path: string, mostLineBytes: number): AsyncGenerator<string> {
  for await (const block of readLineBlocks(path, mostLineBytes)) {
    let start = 0;
    for (let end = block.indexOf(NEWLINE); end !== -1; end = block.indexOf(NEWLINE, start)) {
      yield block.toString('utf8', start, end);
      start = end + 1;
    }
  }
}

/** Number of newlines in the first `end` bytes. */
export function countLines(bytes: Buffer, end: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1 && at < end;) {
    lines += 1;
    at = bytes.indexOf(NEWLINE, at + 1);
  }
  return lines;
}
