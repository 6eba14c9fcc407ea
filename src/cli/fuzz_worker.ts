/** The thread that judges the scenarios that it is given, batch by batch. */
import { parentPort, workerData } from 'node:worker_threads';
import { fail } from '../base/errors.js';
import { errorToMessage } from '../trace/threaded/messages.js';
import { loadJudge } from './fuzz_judge.js';
import type { Answer, Batch, FromThread, ThreadData } from './fuzz_thread.js';

const port = parentPort ?? fail('the judge is no program of its own');
const { check, current } = workerData as ThreadData;
const judge = await loadJudge(check);

port.on('message', ({ first, scenarios }: Batch) => {
  const startMs = performance.now();
  const answers = scenarios.map((planned, i): Answer => {
    current[0] = first + i;
    try {
      return judge(planned, first + i);
    } catch (error) {
      return errorToMessage(error);
    }
  });
  const message: FromThread = { answers, elapsedMs: performance.now() - startMs };
  port.postMessage(message);
});
