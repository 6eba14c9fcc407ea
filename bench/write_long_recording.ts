/**
 * Writes a recording of as many events as wanted, as a key-value server would make them that forks
 * a child to save again and again: most are copies of shared pages. For measuring what grows with
 * the length of a recording.
 *
 *   node dist/bench/write_long_recording.js DIRECTORY [EVENTS]
 */
import { EventBatchBuilder } from '#rmap/trace/batch_builder.js';
import { EVENT, type EventKind } from '#rmap/trace/event.js';
import { FieldRegistry } from '#rmap/trace/field_registry.js';
import { RecordingWriter } from '#rmap/trace/native/native_writer.js';
import { StringTable, WordTable } from '#rmap/trace/tables.js';

const SERVER_PID = 1000;
const FIRST_CHILD_PID = 1001;
const MOST_PID = 2 ** 22;
/** Pages of the server's data set: 120 MB. */
const DATA_PAGES = 30_000;
const DATA_START_BYTES = 0x7f0000000000;
const PAGE_BYTES = 4096;
/** Writes of the server while a child lives. */
const WRITES_PER_CHILD = 6000;
const STEP_NS = 300;
const CLONE_FLAGS = 0x1200011;
const ZERO_FILL = 0x140dca;
const COPY = 0x140cca;
/** One child in this many calls exec, as shell scripts do all the time. */
const EXEC_EVERY = 4;

/** The state of the machine that the events tell of. */
class Server {
  private readonly strings = new StringTable();
  private readonly words = new WordTable();
  private readonly builder = new EventBatchBuilder();
  private readonly writer: RecordingWriter;
  private timeNs = 0;
  private random = 1;
  private readonly frames = new Int32Array(DATA_PAGES);
  private readonly freeFrames: number[] = [];
  private nextFrame = 0x100000;
  private anonPages = 0;
  private children = 0;

  constructor(directory: string) {
    const { strings, words } = this;
    const fields = new FieldRegistry();
    this.writer = new RecordingWriter(directory, { strings, words, fields: fields.all });
  }

  get events(): number {
    return this.builder.events;
  }

  start(): void {
    this.push(EVENT.prepareExec, SERVER_PID, this.strings.intern('/usr/bin/server'));
    this.push(EVENT.exec, SERVER_PID, this.strings.intern('/usr/bin/server'), SERVER_PID);
    this.map(SERVER_PID, DATA_START_BYTES, DATA_PAGES);
    for (let page = 0; page < DATA_PAGES; page += 1) {
      this.frames[page] = this.fault(SERVER_PID, page, 6, ZERO_FILL);
      this.anonPages += 1;
      this.push(EVENT.rss, SERVER_PID, -1, 77, 1, 1, this.anonPages);
    }
  }

  /** A child is forked, the server writes, the child ends and its pages are freed. */
  save(): void {
    const range = MOST_PID - FIRST_CHILD_PID;
    const child = FIRST_CHILD_PID + (this.children % range);
    this.children += 1;
    this.fork(child);
    if (this.children % EXEC_EVERY === 0) {
      this.exec(child);
      this.writeRandomly(undefined);
    } else {
      const before = this.frames.slice();
      this.writeRandomly(before);
      this.push(EVENT.exit, child, this.strings.intern('save'), child, 1);
      for (const [page, frame] of before.entries()) {
        if (frame !== this.frames[page]) this.free(child, frame);
      }
      return;
    }
    this.push(EVENT.exit, child, this.strings.intern('helper'), child, 1);
  }

  finish(): string {
    this.flush();
    const { path, events, sizeBytes } = this.writer.finish({
      name: 'long',
      description: 'made by bench/write_long_recording',
      source: 'tracefs',
      precision: 'exact',
      unknowns: [],
      kernel: '',
      pageSizeBytes: PAGE_BYTES,
      cpus: 1,
      thp: 'always [madvise] never',
      settings: {},
      clock: 'mono',
      startTimeNs: 0,
      lostEvents: 0,
    });
    return `${path}: ${events} events, ${(sizeBytes / 2 ** 20).toFixed(0)} MiB`;
  }

  private fork(child: number): void {
    this.call(SERVER_PID, 'clone', [CLONE_FLAGS]);
    this.push(EVENT.newTask, SERVER_PID, this.strings.intern('save'), child, CLONE_FLAGS);
    this.push(EVENT.callExit, SERVER_PID, this.strings.intern('clone'), child);
  }

  /** A loader that maps two libraries. */
  private exec(child: number): void {
    const file = this.strings.intern('/usr/bin/helper');
    this.call(child, 'execve', []);
    this.push(EVENT.prepareExec, child, file);
    this.push(EVENT.exec, child, file, child, child);
    this.push(EVENT.callExit, child, this.strings.intern('execve'), 0);
    for (let library = 0; library < 2; library += 1) {
      this.call(child, 'openat', []);
      this.push(EVENT.callExit, child, this.strings.intern('openat'), 3);
      const at = DATA_START_BYTES + library * 0x10000000;
      this.call(child, 'mmap', [0, 64 * PAGE_BYTES, 3, 2, 3, 0]);
      this.push(EVENT.callExit, child, this.strings.intern('mmap'), at);
      this.call(child, 'close', [3]);
      this.push(EVENT.callExit, child, this.strings.intern('close'), 0);
      for (let page = 0; page < 16; page += 1) {
        this.free(child, this.fault(child, library * 0x10000 + page, 6, COPY));
      }
    }
  }

  /** With a child that shares `before`, the first write to a page copies it. */
  private writeRandomly(before: Int32Array | undefined): void {
    for (let i = 0; i < WRITES_PER_CHILD; i += 1) {
      const page = this.nextRandom() % DATA_PAGES;
      if (before?.[page] !== this.frames[page]) continue;
      this.frames[page] = this.fault(SERVER_PID, page, 7, COPY);
    }
    this.map(SERVER_PID, DATA_START_BYTES + 0x100000000, 16);
    this.call(SERVER_PID, 'munmap', [DATA_START_BYTES + 0x100000000, 16 * PAGE_BYTES]);
    this.push(EVENT.callExit, SERVER_PID, this.strings.intern('munmap'), 0);
  }

  private map(tid: number, address: number, pages: number): void {
    this.call(tid, 'mmap', [0, pages * PAGE_BYTES, 3, 0x22, -1, 0]);
    this.push(EVENT.callExit, tid, this.strings.intern('mmap'), address);
  }

  private call(tid: number, name: string, args: readonly number[]): void {
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = args;
    this.push(EVENT.callEnter, tid, this.strings.intern(name), a, b, c, d, e, f);
  }

  private fault(tid: number, page: number, error: number, gfp: number): number {
    const address = DATA_START_BYTES + page * PAGE_BYTES;
    this.push(EVENT.faultUser, tid, -1, address, error, 0x400000 + (this.nextRandom() % 200));
    const frame = this.freeFrames.pop() ?? this.newFrame();
    this.push(EVENT.pageAlloc, tid, -1, frame, 0, gfp);
    return frame;
  }

  private newFrame(): number {
    this.nextFrame += 1;
    return this.nextFrame;
  }

  private free(tid: number, frame: number): void {
    this.freeFrames.push(frame);
    this.push(EVENT.pageFree, tid, -1, frame, 0);
  }

  private push(kind: EventKind, tid: number, text: number, ...cells: readonly number[]): void {
    if (this.builder.isFull) this.flush();
    this.timeNs += STEP_NS;
    this.builder.push(kind, this.timeNs, 0, tid, text, ...cells);
  }

  private flush(): void {
    this.writer.writeEvents(this.builder.take());
  }

  private nextRandom(): number {
    this.random = (Math.imul(this.random, 1_103_515_245) + 12_345) & 0x7fffffff;
    return this.random >>> 8;
  }
}

const [directory, wanted = '10000000'] = process.argv.slice(2);
if (directory === undefined || !(Number(wanted) > 0)) {
  process.stderr.write('write_long_recording DIRECTORY [EVENTS]\n');
  process.exitCode = 2;
} else {
  const server = new Server(directory);
  server.start();
  while (server.events < Number(wanted)) server.save();
  process.stdout.write(`${server.finish()}\n`);
}
