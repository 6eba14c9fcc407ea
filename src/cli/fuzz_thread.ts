/** A thread that judges scenarios, seen from the one that hands them out. */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type { ErrorMessage } from '../trace/threaded/messages.js';
import type { Judged } from './fuzz_judge.js';
import type { PlannedScenario } from './fuzz_plan.js';

/** Scenarios with consecutive numbers. */
export interface Batch {
  /** Number of the first one. */
  readonly first: number;
  readonly scenarios: readonly PlannedScenario[];
}

/** What came out of a scenario; an error is one of the judge itself. */
export type Answer = Judged | ErrorMessage;

export interface FromThread {
  /** One for each scenario of a batch. */
  readonly answers: readonly Answer[];
  readonly elapsedMs: number;
}

export interface ThreadData {
  readonly check: boolean;
  /** One cell: the number of the scenario that is being performed. */
  readonly current: Float64Array;
}

/** A batch should take about so long: who stops waits for no more, and a slow one holds up few. */
const BATCH_MS = 30;
const MOST_IN_BATCH = 100;

interface Waiting {
  resolve(message: FromThread): void;
  reject(error: Error): void;
}

export class FuzzThread {
  /** How many scenarios the next batch should have, as the last one tells. */
  batchLength = 1;
  private readonly worker: Worker;
  private readonly current = new Float64Array(new SharedArrayBuffer(8));
  /** Who waits for a batch, in the order in which they were sent. */
  private readonly waiting: Waiting[] = [];
  private failure: Error | undefined = undefined;

  constructor(check: boolean) {
    const workerData: ThreadData = { check, current: this.current };
    this.worker = new Worker(workerFile(), { workerData });
    this.worker.on('message', (message: FromThread) => this.waiting.shift()?.resolve(message));
    this.worker.on('messageerror', (error) => this.fail(error));
    this.worker.on('error', (error) => this.fail(error));
    this.worker.on('exit', (code) => this.fail(new Error(`a thread ended (${code})`)));
  }

  /** One answer for each scenario; batches wait for each other. Throws when the thread ends. */
  async judge(batch: Batch): Promise<readonly Answer[]> {
    const { answers, elapsedMs } = await new Promise<FromThread>((resolve, reject) => {
      if (this.failure === undefined) this.worker.postMessage(batch);
      else reject(this.failure);
      this.waiting.push({ resolve, reject });
    });
    const eachMs = elapsedMs / answers.length;
    this.batchLength = Math.max(1, Math.min(MOST_IN_BATCH, Math.floor(BATCH_MS / eachMs)));
    return answers;
  }

  /** Number of the scenario that the thread performs, or performed last. */
  currentNumber(): number {
    return this.current[0] ?? 0;
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const waiting of this.waiting) waiting.reject(this.failure);
  }
}

/** Beside this file, so of the same build; tests run the sources, and take that of a build. */
function workerFile(): string | URL {
  return import.meta.url.endsWith('.ts')
    ? createRequire(import.meta.url).resolve('#rmap/cli/fuzz_worker.js')
    : new URL('fuzz_worker.js', import.meta.url);
}
