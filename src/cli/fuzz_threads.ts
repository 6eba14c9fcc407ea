/** Random scenarios on the engine in several threads. */
import { errorFromMessage } from '../trace/threaded/messages.js';
import { type EngineFuzzCounts, type EngineFuzzOptions, findingOf } from './fuzz_engine.js';
import type { PlannedScenario } from './fuzz_plan.js';
import { type Answer, type Batch, FuzzThread } from './fuzz_thread.js';

/** A scenario with what came out of it, or with what ended its thread. */
interface Done {
  readonly planned: PlannedScenario;
  readonly answer: Answer | { readonly ended: unknown };
}

/**
 * The same as `fuzzEngine`, with several threads: scenarios are handed out in batches, and whatever
 * comes out of them is taken in the order of the scenarios. What has been handed out when
 * `scenarios` ends is waited for.
 */
export async function fuzzThreads(
  options: EngineFuzzOptions,
  threadCount: number,
): Promise<EngineFuzzCounts> {
  const work = new Work(options);
  const counts = { scenarios: 0, operations: 0 };
  try {
    work.start(threadCount);
    for (let done = await work.next(); done !== undefined; done = await work.next()) {
      const { planned, answer } = done;
      options.onStart(planned);
      if ('ended' in answer) throw answer.ended;
      if (!('operationCount' in answer)) throw errorFromMessage(answer);
      counts.scenarios += 1;
      counts.operations += answer.operationCount;
      const finding = findingOf(planned, answer);
      if (finding !== undefined && !(await options.onFinding(finding))) break;
    }
  } finally {
    await work.end();
  }
  return counts;
}

/** Hands scenarios out to threads, and keeps what comes back until it is its turn. */
class Work {
  private readonly options: EngineFuzzOptions;
  private readonly scenarios: Iterator<PlannedScenario>;
  private readonly threads: FuzzThread[] = [];
  private readonly done = new Map<number, Done>();
  private takenCount = 0;
  private doneCount = 0;
  /** Number of the scenario whose turn it is. */
  private turn = 0;
  private wake: () => void = () => undefined;

  constructor(options: EngineFuzzOptions) {
    this.options = options;
    this.scenarios = options.scenarios[Symbol.iterator]();
  }

  /** Starts threads, no more than get something to do. */
  start(mostThreads: number): void {
    for (let batch = this.take(1); batch !== undefined; batch = this.take(1)) {
      const thread = new FuzzThread(this.options.check);
      this.threads.push(thread);
      void this.perform(thread, batch);
      if (this.threads.length === mostThreads) break;
    }
    // While an answer is on its way, the thread has another batch.
    for (const thread of this.threads) void this.perform(thread, this.take(1));
  }

  async end(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.end()));
  }

  /** What comes next in the order of the scenarios; undefined behind the last one. */
  async next(): Promise<Done | undefined> {
    for (;;) {
      const done = this.done.get(this.turn);
      if (done !== undefined) {
        this.done.delete(this.turn);
        this.turn += 1;
        return done;
      }
      // Whoever brings something back takes more at once: nobody has anything to do any more.
      if (this.turn === this.takenCount) return undefined;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** The next scenarios, or undefined when there are no more. */
  private take(length: number): Batch | undefined {
    const first = this.takenCount;
    const scenarios: PlannedScenario[] = [];
    while (scenarios.length < length) {
      const next = this.scenarios.next();
      if (next.done === true) break;
      scenarios.push(next.value);
    }
    this.takenCount += scenarios.length;
    return scenarios.length === 0 ? undefined : { first, scenarios };
  }

  /** Gives a thread one batch after the other. */
  private async perform(thread: FuzzThread, firstBatch: Batch | undefined): Promise<void> {
    let batch = firstBatch;
    while (batch !== undefined) {
      const { first, scenarios }: Batch = batch;
      const answers = await thread.judge(batch).catch((ended: unknown) => ({ ended }));
      if ('ended' in answers) {
        // Answers to what came before it in its batch are lost with the thread.
        const planned = scenarios[thread.currentNumber() - first] ?? scenarios[0];
        if (planned !== undefined) this.done.set(first, { planned, answer: answers });
        batch = undefined;
      } else {
        for (const [i, planned] of scenarios.entries()) {
          const answer = answers[i];
          if (answer !== undefined) this.done.set(first + i, { planned, answer });
        }
        this.doneCount += answers.length;
        this.options.onScenario(this.doneCount);
        batch = this.take(thread.batchLength);
      }
      this.wake();
    }
  }
}
