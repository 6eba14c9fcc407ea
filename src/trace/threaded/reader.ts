/** The thread that reads a recording for another one. */
import { parentPort } from 'node:worker_threads';
import { RmapError, fail } from '../../base/errors.js';
import type { EventBatch } from '../event.js';
import { openNativeRecording } from '../native/native_recording.js';
import type { Recording } from '../recording.js';
import type { Snapshot } from '../snapshot.js';
import type { BatchMessage, FromReader, PagesMessage, Request, ToReader } from './messages.js';
import { errorToMessage } from './messages.js';

/** Events that are being read. */
interface Stream {
  readonly batches: AsyncIterableIterator<EventBatch>;
  /** Batches that may be sent before the next `more`. */
  credit: number;
}

interface Asked {
  readonly id: number;
  readonly request: Request;
}

const port = parentPort ?? fail('the reader is no program of its own');

/** What one recording needs; another takes its place when the next is opened. */
class Reader {
  private readonly requests: Asked[] = [];
  private readonly streams = new Map<number, Stream>();
  private recording: Recording | undefined = undefined;
  /** Rows of the tables that the other side has. */
  private textsSent = 0;
  private wordsSent = 0;
  private isWorking = false;

  take(message: ToReader): void {
    if ('request' in message) {
      this.requests.push(message);
    } else if ('more' in message) {
      const stream = this.streams.get(message.id);
      if (stream !== undefined) stream.credit += 1;
    } else if ('end' in message) {
      void this.end(message.id);
    } else {
      for (const id of this.streams.keys()) {
        void this.end(id);
        send({ id, error: errorToMessage(new RmapError('usage', 'the recording was closed')) });
      }
    }
    if (!this.isWorking) void this.work();
  }

  /** One request, then one batch, and so on: both are waited for. */
  private async work(): Promise<void> {
    this.isWorking = true;
    for (;;) {
      const asked = this.requests.shift();
      if (asked !== undefined) await answering(asked.id, () => this.serve(asked));
      const ready = [...this.streams].find(([, { credit }]) => credit > 0);
      if (ready !== undefined) await answering(ready[0], () => this.sendBatch(...ready));
      if (asked === undefined && ready === undefined) break;
      // Messages that have come meanwhile.
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    this.isWorking = false;
  }

  private async serve({ id, request }: Asked): Promise<void> {
    if (request.kind === 'open') {
      const { info, fields } = await this.open(request.path);
      send({ id, answer: { info, fields } });
      return;
    }
    const recording = this.recording ?? fail('nothing is open');
    if (request.kind === 'events') {
      const { batchLength, credit } = request;
      const batches = recording.events(batchLength === undefined ? {} : { batchLength });
      this.streams.set(id, { batches, credit });
    } else if (request.kind === 'layout') {
      const { name } = request;
      send({ id, answer: await (recording.layout?.(name) ?? recording.snapshot(name)) });
    } else {
      const pages = pagesOf(await recording.snapshot(request.name));
      send({ id, answer: pages }, buffersOf(pages.runs));
    }
  }

  private async open(path: string): Promise<Recording> {
    this.recording = undefined;
    this.textsSent = 0;
    this.wordsSent = 0;
    this.recording = await openNativeRecording(path);
    return this.recording;
  }

  private async sendBatch(id: number, stream: Stream): Promise<void> {
    stream.credit -= 1;
    let next: IteratorResult<EventBatch, unknown>;
    try {
      next = await stream.batches.next();
    } catch (error) {
      this.streams.delete(id);
      throw error;
    }
    if (next.done === true) {
      this.streams.delete(id);
      send({ id });
    } else {
      send({ id, answer: this.batchMessage(next.value) }, buffersOf(next.value));
    }
  }

  private batchMessage(batch: EventBatch): BatchMessage {
    const { strings, words } = this.recording ?? fail('nothing is open');
    const texts = strings.all().slice(this.textsSent);
    const newWords = BigUint64Array.from(words.all().slice(this.wordsSent));
    this.textsSent = strings.size;
    this.wordsSent = words.size;
    return { batch, texts, words: newWords };
  }

  private async end(id: number): Promise<void> {
    const stream = this.streams.get(id);
    this.streams.delete(id);
    await stream?.batches.return?.();
  }
}

async function answering(id: number, answer: () => Promise<void>): Promise<void> {
  try {
    await answer();
  } catch (error) {
    send({ id, error: errorToMessage(error) });
  }
}

function pagesOf({ procs: _procs, vmas, runs, ...info }: Snapshot): PagesMessage {
  return { info, runs, runEnds: Uint32Array.from(vmas, ({ runEnd }) => runEnd) };
}

function send(message: FromReader, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

/** The memory of columns, which goes over without a copy. */
function buffersOf(columns: object): ArrayBuffer[] {
  const views: unknown[] = Object.values(columns);
  return views.flatMap((view) =>
    ArrayBuffer.isView(view) && view.buffer instanceof ArrayBuffer ? [view.buffer] : [],
  );
}

const reader = new Reader();
port.on('message', (message: ToReader) => reader.take(message));
