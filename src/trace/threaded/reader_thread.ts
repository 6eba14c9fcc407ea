/**
 * The thread that reads, seen from the one that asks. This file loads nothing of ours, so that the
 * thread starts before everything else does.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { FromReader, Request, ToReader } from './messages.js';

/** Below this many events the start of a thread costs what it saves. */
const LEAST_EVENTS = 100_000;
/** What it decodes is young when it goes over; with less room it is moved about before. */
const YOUNG_MB = 96;
/** A thread without work is kept for this long: the next recording finds it warm. */
const IDLE_MS = 2000;

/** Answers to one request, in their order. */
export class Answers {
  private readonly waiting: FromReader[] = [];
  private wake: (() => void) | undefined = undefined;
  private failure: Error | undefined = undefined;

  push(message: FromReader): void {
    this.waiting.push(message);
    this.wake?.();
  }

  fail(error: Error): void {
    this.failure = error;
    this.wake?.();
  }

  async next(): Promise<FromReader> {
    for (;;) {
      const message = this.waiting.shift();
      if (message !== undefined) return message;
      if (this.failure !== undefined) throw this.failure;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
  }
}

/** Reads one recording at a time; afterwards it may read another. */
export class ReaderThread {
  private static idle: ReaderThread | undefined = undefined;

  readonly worker: Worker;
  private readonly asked = new Map<number, Answers>();
  private lastId = 0;
  private waiters = 0;
  private failure: Error | undefined = undefined;
  private idleTimer: NodeJS.Timeout | undefined = undefined;

  private constructor(file: string) {
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MB };
    this.worker = new Worker(file, { resourceLimits });
    this.worker.unref();
    this.worker.on('message', (message: FromReader) => this.asked.get(message.id)?.push(message));
    this.worker.on('messageerror', (error) => this.fail(error));
    this.worker.on('error', (error) => this.fail(error));
    this.worker.on('exit', (code) => this.fail(new Error(`the reader thread ended (${code})`)));
  }

  /** The thread that waits for work, or a new one. */
  static take(): ReaderThread {
    const { idle } = ReaderThread;
    ReaderThread.idle = undefined;
    if (idle === undefined || idle.failure !== undefined) {
      const file = createRequire(import.meta.url).resolve('#rmap/trace/threaded/reader.js');
      return new ReaderThread(file);
    }
    clearTimeout(idle.idleTimer);
    return idle;
  }

  ask(request: Request): { readonly id: number; readonly answers: Answers } {
    this.lastId += 1;
    const id = this.lastId;
    const answers = new Answers();
    this.asked.set(id, answers);
    if (this.failure === undefined) this.send({ id, request });
    else answers.fail(this.failure);
    return { id, answers };
  }

  send(message: ToReader): void {
    this.worker.postMessage(message);
  }

  /** The next answer. Only who waits for one keeps the process alive. */
  async next(answers: Answers): Promise<FromReader> {
    this.waiters += 1;
    if (this.waiters === 1) this.worker.ref();
    try {
      return await answers.next();
    } finally {
      this.waiters -= 1;
      if (this.waiters === 0) this.worker.unref();
    }
  }

  /** Nobody waits for answers to a request any more. */
  forget(id: number): void {
    this.asked.delete(id);
  }

  /** Gives the thread back. What was asked is answered, but events end. */
  release(): void {
    if (this.failure !== undefined || ReaderThread.idle === this) return;
    this.send({ close: true });
    ReaderThread.idle ??= this;
    this.endLater();
  }

  private endLater(): void {
    this.idleTimer = setTimeout(() => {
      if (this.waiters > 0) {
        this.endLater();
        return;
      }
      if (ReaderThread.idle === this) ReaderThread.idle = undefined;
      void this.worker.terminate();
    }, IDLE_MS);
    this.idleTimer.unref();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const answers of this.asked.values()) answers.fail(this.failure);
  }
}

/** A recording that is being opened: `answers` will hold what it says about itself. */
export interface OpeningRecording {
  readonly path: string;
  readonly thread: ReaderThread;
  readonly id: number;
  readonly answers: Answers;
}

/**
 * Begins to read a recording in a thread of its own. Undefined where that does not pay or nobody
 * can tell: it is short or not in the native format, or there is one processor only.
 */
export function beginReading(path: string): OpeningRecording | undefined {
  if (availableParallelism() < 2 || !(eventsOf(path) >= LEAST_EVENTS)) return undefined;
  try {
    return openInThread(path);
  } catch {
    // Node may have been told to allow no threads.
    return undefined;
  }
}

/** Begins to read a native recording in a thread, whatever its length. */
export function openInThread(path: string): OpeningRecording {
  const thread = ReaderThread.take();
  return { path, thread, ...thread.ask({ kind: 'open', path }) };
}

/** Number of events of a native recording as it says itself; whoever opens it checks. */
function eventsOf(path: string): number {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'));
    if (typeof manifest !== 'object' || manifest === null || !('events' in manifest)) return 0;
    return Number(manifest.events);
  } catch {
    return 0;
  }
}
