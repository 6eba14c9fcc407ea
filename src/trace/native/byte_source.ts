import { closeSync, openSync, readSync } from 'node:fs';
import { inputError, reasonOf } from '../input_error.js';
import { fileSizeBytes } from '../input_file.js';

/** A file that is read in pieces, at any place. */
export interface ByteSource {
  /** For messages. */
  readonly name: string;
  readonly sizeBytes: number;
  read(start: number, end: number): Uint8Array<ArrayBuffer>;
  /** Until something is read again. */
  close(): void;
}

/** Opens a file for reading in pieces. */
export function openFileSource(path: string): ByteSource {
  const sizeBytes = fileSizeBytes(path);
  let descriptor: number | undefined = openFile(path);
  return {
    name: path,
    sizeBytes,
    read(start, end) {
      if (start < 0 || end < start || end > sizeBytes) {
        throw inputError(`${path} offset ${start}: ${end - start} bytes are not in the file`);
      }
      descriptor ??= openFile(path);
      const bytes = new Uint8Array(end - start);
      for (let done = 0; done < bytes.length;) {
        const got = readSync(descriptor, bytes, done, bytes.length - done, start + done);
        if (got === 0) throw inputError(`${path} offset ${start + done}: the file was cut off`);
        done += got;
      }
      return bytes;
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw inputError(`${path}: ${reasonOf(error)}`, error);
  }
}
