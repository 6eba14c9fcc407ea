/** What the threads tell each other: requests with a number, and answers with the same one. */
import { RmapError, type ErrorCode } from '../../base/errors.js';
import type { EventBatch } from '../event.js';
import type { FieldName, RecordingInfo } from '../recording.js';
import type { SnapshotInfo, SnapshotLayout, SnapshotRuns } from '../snapshot.js';

export type Request =
  | { readonly kind: 'open'; readonly path: string }
  | { readonly kind: 'layout' | 'snapshot'; readonly name: string }
  /** All events, as many batches ahead as `credit` says; `more` raises it by one. */
  | { readonly kind: 'events'; readonly batchLength: number | undefined; readonly credit: number };

export type ToReader =
  | { readonly id: number; readonly request: Request }
  | { readonly id: number; readonly more: true }
  /** No more batches are wanted. */
  | { readonly id: number; readonly end: true }
  /** Nobody reads events of this recording any more. */
  | { readonly close: true };

export interface OpenedMessage {
  readonly info: RecordingInfo;
  readonly fields: ReadonlyMap<string, readonly FieldName[]>;
}

/** A batch, and the rows that the tables got since the last message with a batch. */
export interface BatchMessage {
  readonly batch: EventBatch;
  readonly texts: readonly string[];
  readonly words: BigUint64Array;
}

/** A snapshot without its layout: the receiver has that. */
export interface PagesMessage {
  readonly info: SnapshotInfo;
  readonly runs: SnapshotRuns;
  /** `runEnd` of each VMA; its runs start where those of the one before end. */
  readonly runEnds: Uint32Array;
}

/** An error that keeps its class: a copy between threads knows the built-in ones only. */
export type ErrorMessage =
  | { readonly code: ErrorCode; readonly text: string; readonly stack: string | undefined }
  | { readonly other: unknown };

export type Answer = OpenedMessage | SnapshotLayout | PagesMessage | BatchMessage;

export interface FromReader {
  readonly id: number;
  /** Undefined behind the last batch. */
  readonly answer?: Answer;
  readonly error?: ErrorMessage;
}

export function errorToMessage(error: unknown): ErrorMessage {
  if (!(error instanceof RmapError)) return { other: error };
  return { code: error.code, text: error.message, stack: error.stack };
}

export function errorFromMessage(message: ErrorMessage): unknown {
  if ('other' in message) return message.other;
  const error = new RmapError(message.code, message.text);
  if (message.stack !== undefined) error.stack = message.stack;
  return error;
}
