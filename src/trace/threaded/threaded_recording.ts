import { fail } from '../../base/errors.js';
import type { EventBatch } from '../event.js';
import { nativePosition } from '../native/tables.js';
import type { EventReadOptions, Recording } from '../recording.js';
import type { Snapshot, SnapshotLayout } from '../snapshot.js';
import { StringTable, WordTable } from '../tables.js';
import type { BatchMessage, FromReader, OpenedMessage, PagesMessage, Request } from './messages.js';
import { errorFromMessage } from './messages.js';
import type { OpeningRecording, ReaderThread } from './reader_thread.js';

/** Batches that the reader may be ahead. */
const BATCHES_AHEAD = 3;

/** A native recording that another thread reads, a few batches ahead. */
export class ThreadedRecording implements Recording {
  readonly format = 'native';
  readonly strings = new StringTable();
  readonly words = new WordTable();
  readonly path: string;
  readonly info: Recording['info'];
  readonly fields: Recording['fields'];
  /** Undefined when it was given back. */
  private thread: ReaderThread | undefined;
  private direct: Promise<Recording> | undefined = undefined;
  private readonly layouts = new Map<string, Promise<SnapshotLayout>>();

  private constructor({ path, thread }: OpeningRecording, { info, fields }: OpenedMessage) {
    this.path = path;
    this.thread = thread;
    this.info = info;
    this.fields = fields;
  }

  static async open(opening: OpeningRecording): Promise<ThreadedRecording> {
    return new ThreadedRecording(opening, await only<OpenedMessage>(opening.thread, opening));
  }

  async *events(options: EventReadOptions = {}): AsyncIterableIterator<EventBatch> {
    const { thread } = this;
    if (thread === undefined) {
      yield* (await this.openHere()).events(options);
      return;
    }
    const { batchLength } = options;
    const { id, answers } = thread.ask({ kind: 'events', batchLength, credit: BATCHES_AHEAD });
    try {
      for (;;) {
        const message = await thread.next(answers);
        if (message.answer === undefined && message.error === undefined) return;
        const { batch, texts, words } = answerOf(message) as BatchMessage;
        for (const text of texts) this.strings.intern(text);
        for (const word of words) this.words.cellOf(word);
        thread.send({ id, more: true });
        yield batch;
      }
    } finally {
      thread.forget(id);
      thread.send({ id, end: true });
    }
  }

  async layout(name: string): Promise<SnapshotLayout> {
    let layout = this.layouts.get(name);
    if (layout === undefined) {
      if (this.thread === undefined) {
        const direct = await this.openHere();
        return direct.layout?.(name) ?? direct.snapshot(name);
      }
      layout = this.ask<SnapshotLayout>(this.thread, { kind: 'layout', name });
      this.layouts.set(name, layout);
    }
    return layout;
  }

  async snapshot(name: string): Promise<Snapshot> {
    if (this.thread === undefined) return (await this.openHere()).snapshot(name);
    const asked = this.ask<PagesMessage>(this.thread, { kind: 'snapshot', name });
    const [{ procs, vmas }, { info, runs, runEnds }] = await Promise.all([
      this.layout(name),
      asked,
    ]);
    let runStart = 0;
    const withRuns = vmas.map((vma, i) => {
      const start = runStart;
      runStart = runEnds[i] ?? 0;
      return { ...vma, runStart: start, runEnd: runStart };
    });
    return { ...info, procs, vmas: withRuns, runs };
  }

  positionOf(eventIndex: number): string {
    return nativePosition(eventIndex);
  }

  /** From here on the recording is read in the thread that asks. */
  leaveThread(): void {
    this.thread = undefined;
  }

  /** Reads on with the same tables, so that rows keep their numbers. */
  private openHere(): Promise<Recording> {
    this.direct ??= import('../native/native_recording.js').then(({ openNativeRecording }) =>
      openNativeRecording(this.path, this),
    );
    return this.direct;
  }

  private ask<T>(thread: ReaderThread, request: Request): Promise<T> {
    return only<T>(thread, thread.ask(request));
  }
}

/** The only answer to a request. */
async function only<T>(
  thread: ReaderThread,
  { id, answers }: Pick<OpeningRecording, 'id' | 'answers'>,
): Promise<T> {
  try {
    return answerOf(await thread.next(answers)) as T;
  } finally {
    thread.forget(id);
  }
}

function answerOf({ answer, error }: FromReader): NonNullable<FromReader['answer']> {
  if (error !== undefined) throw errorFromMessage(error);
  return answer ?? fail('the reader thread answered nothing');
}
