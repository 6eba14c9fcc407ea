/**
 * Goal: what events tell about a fault or a call outweighs what descriptors and settings said
 * before. Method: recordings of a few events made by hand.
 */
import { describe, expect, test } from 'vitest';
import { replay, type ReplayResult } from '../src/replay/index.js';
import { EventBatchBuilder } from '../src/trace/batch_builder.js';
import { EVENT, FAULT_ERROR, RSS_MEMBER } from '../src/trace/event.js';
import type { Recording } from '../src/trace/recording.js';
import { StringTable, WordTable } from '../src/trace/tables.js';
import { EMPTY_INFO } from './support/made_recording.js';

const PID = 1000;
const OTHER_TID = 1001;
const THREAD = 0x10000;
const READ = FAULT_ERROR.user;
const WRITE = FAULT_ERROR.user | FAULT_ERROR.write;
const COPY = WRITE | FAULT_ERROR.present;
const PAGE = 4096;
/** Where the program maps: the start of a block of 2 MiB. */
const AT = 0x7000_0000_0000;
const BLOCK = 512 * PAGE;
const MM = 7;
const PRIVATE = 2;
const DROPPABLE = 8;
const ANONYMOUS = 0x20;
const POPULATE = 0x8000;
const DENYWRITE = 0x800;
const MADV_PAGEOUT = 21;

/** Writes events of one program down. */
class Script {
  readonly strings = new StringTable();
  private readonly builder = new EventBatchBuilder(256);
  private timeNs = 0;

  constructor() {
    this.exec();
  }

  exec(): this {
    const program = this.strings.intern('/bin/program');
    this.push(EVENT.prepareExec, PID, program);
    return this.push(EVENT.exec, PID, program, PID);
  }

  /** The second thread execs: the first one ends, and the other goes on under its id. */
  execOfThread(): this {
    const program = this.strings.intern('/bin/other');
    this.push(EVENT.prepareExec, OTHER_TID, program);
    this.push(EVENT.exit, PID, program, PID, 0);
    // As execve maps and fills memory before its event.
    this.map(4, ANONYMOUS).fault(0, FAULT_ERROR.write).alloc(42).count(1);
    return this.push(EVENT.exec, PID, program, PID, OTHER_TID);
  }

  thread(): this {
    return this.push(EVENT.newTask, PID, this.strings.intern('program'), OTHER_TID, THREAD);
  }

  fork(): this {
    return this.push(EVENT.newTask, PID, this.strings.intern('program'), OTHER_TID, 0);
  }

  call(name: string, args: readonly number[], returned = 0): this {
    return this.enter(name, args).exit(name, returned);
  }

  enter(name: string, args: readonly number[]): this {
    return this.push(EVENT.callEnter, PID, this.strings.intern(name), ...args);
  }

  exit(name: string, returned: number): this {
    return this.push(EVENT.callExit, PID, this.strings.intern(name), returned);
  }

  lock(): this {
    return this.push(EVENT.lock, PID, -1, MM);
  }

  map(lengthPages: number, flags: number, descriptor = -1): this {
    const args = [0, lengthPages * PAGE, 3, PRIVATE | flags, descriptor, 0];
    return this.call('mmap', args, AT);
  }

  fault(page: number, error: number, tid = PID): this {
    return this.push(EVENT.faultUser, tid, -1, AT + page * PAGE, error);
  }

  alloc(pfn: number, order = 0, tid = PID): this {
    return this.push(EVENT.pageAlloc, tid, -1, pfn, order);
  }

  free(pfn: number, tid = PID): this {
    return this.push(EVENT.pageFree, tid, -1, pfn, 0);
  }

  count(pages: number, member: number = RSS_MEMBER.anon): this {
    return this.push(EVENT.rss, PID, -1, MM, 1, member, pages);
  }

  replay(thp = ''): Promise<ReplayResult> {
    const { events } = this.builder;
    const batch = this.builder.take();
    const recording: Recording = {
      path: 'made.rec',
      format: 'native',
      info: { ...EMPTY_INFO, events, durationNs: this.timeNs, thp },
      strings: this.strings,
      words: new WordTable(),
      fields: new Map(),
      async *events() {
        yield await Promise.resolve(batch);
      },
      snapshot: (name) => Promise.reject(new Error(name)),
      positionOf: (event) => `event ${event}`,
    };
    return replay(recording);
  }

  private push(kind: number, tid: number, text: number, ...cells: number[]): this {
    this.timeNs += 1;
    this.builder.push(kind as 0, this.timeNs, 0, tid, text, ...cells);
    return this;
  }
}

/** Anonymous pages of the program at the end. */
function anonymousPages({ driver }: ReplayResult, pid = PID): number {
  return driver.machine.kernel.processes.get(pid)?.mm.rss[1] ?? -1;
}

describe('a descriptor whose file was one page long', () => {
  const shortFile = (): Script => new Script().call('ftruncate', [3, PAGE]);

  test('means another file if a counter tells of a page behind that end', async () => {
    const result = await shortFile().map(4, 0, 3).fault(2, WRITE).alloc(42).count(1).replay();
    expect(anonymousPages(result)).toBe(1);
    expect(result.findings.faultsRefused).toBe(0);
  });

  test('means the same file without that: the write was a signal', async () => {
    const result = await shortFile().map(4, 0, 3).fault(2, WRITE).alloc(42).free(42).replay();
    expect(anonymousPages(result)).toBe(0);
    expect(result.findings.faultsRefused).toBe(1);
  });

  test('means another file when a loader maps its start', async () => {
    const script = shortFile().map(4, DENYWRITE, 3).fault(0, WRITE).alloc(42).count(1);
    const result = await script.call('ftruncate', [3, 0]).replay();
    expect(anonymousPages(result)).toBe(1);
  });

  test('may mean another file after exec', async () => {
    const result = await shortFile().exec().map(4, 0, 3).fault(2, WRITE).alloc(42).replay();
    expect(anonymousPages(result)).toBe(1);
  });
});

test.each([
  ['private', PRIVATE, 1],
  ['droppable', DROPPABLE, 0],
])('%s memory of one process: what a child inherits', async (_, type, inherited) => {
  const args = [0, 4 * PAGE, 3, type | ANONYMOUS, -1, 0];
  const script = new Script().call('mmap', args, AT).fault(1, WRITE).alloc(42).count(1).fork();
  const result = await script.call('brk', [0]).replay();
  expect(anonymousPages(result)).toBe(1);
  expect(anonymousPages(result, OTHER_TID)).toBe(inherited);
});

test('a thread that execs goes on as the process', async () => {
  const script = new Script().thread().execOfThread().fault(1, WRITE).alloc(43).count(2);
  const result = await script.replay();
  expect(anonymousPages(result)).toBe(2);
  expect(result.findings.processesUnknown).toBe(0);
});

test('a call that is not permitted, as on sealed memory, changes nothing', async () => {
  const script = new Script().map(4, ANONYMOUS).call('mprotect', [AT, 4 * PAGE, 1], -1);
  const result = await script.fault(1, WRITE).alloc(42).count(1).replay();
  expect(anonymousPages(result)).toBe(1);
  expect(result.findings.faultsRefused).toBe(0);
});

describe('a fault that lets go of its page', () => {
  test('has mapped nothing', async () => {
    const script = new Script().map(4, 0, 3).fault(1, WRITE).alloc(42).free(42);
    expect(anonymousPages(await script.replay())).toBe(0);
  });

  test('maps the next page that it gets', async () => {
    const script = new Script().map(4, 0, 3).fault(1, WRITE).alloc(42).free(42).alloc(43).count(1);
    expect(anonymousPages(await script.replay())).toBe(1);
  });

  test('has mapped the page if a counter told so before', async () => {
    const script = new Script().map(4, ANONYMOUS).fault(1, WRITE).alloc(42).count(1).free(42);
    expect(anonymousPages(await script.replay())).toBe(1);
  });

  test('leaves the page of a thread that was faster', async () => {
    const script = new Script().thread().map(4, ANONYMOUS);
    script.fault(1, WRITE).fault(1, WRITE, OTHER_TID).alloc(42).alloc(43, 0, OTHER_TID);
    const result = await script.count(1).free(43, OTHER_TID).replay();
    expect(anonymousPages(result)).toBe(1);
  });
});

describe('swapping', () => {
  /** Eight pages in two blocks of four frames, from 40 and from 80 on, and a third frame gone. */
  const swapped = (): Script => {
    const script = new Script();
    script.enter('mmap', [0, 8 * PAGE, 3, PRIVATE | ANONYMOUS | POPULATE, -1, 0]).lock();
    script.alloc(40, 2).alloc(80, 2).exit('mmap', AT);
    return script.count(1, RSS_MEMBER.swapEntries).free(82);
  };

  test('knows each frame of a large folio that a call filled', async () => {
    const result = await swapped().replay();
    expect(result.findings.pagesSwappedOut).toBe(1);
    expect(anonymousPages(result)).toBe(7);
  });

  test('does not take the frame of a file, allocated later, for one of the call', async () => {
    const script = new Script().map(8, ANONYMOUS | POPULATE).alloc(40);
    const result = await script.count(1, RSS_MEMBER.swapEntries).free(40).replay();
    expect(result.findings.pagesSwappedOut).toBe(0);
  });

  test('happens to the pages that events name, not to all that a program wants out', async () => {
    const result = await swapped()
      .call('madvise', [AT, 8 * PAGE, MADV_PAGEOUT])
      .replay();
    expect(anonymousPages(result)).toBe(7);
  });
});

describe('a write to a page of zeros', () => {
  test('copies one page if no more was allocated', async () => {
    const script = new Script().map(512, ANONYMOUS).fault(3, READ).fault(3, COPY).alloc(42);
    const result = await script.replay('[always] madvise never');
    expect(anonymousPages(result)).toBe(1);
  });

  test('becomes a small page where userfaultfd put one', async () => {
    const script = new Script().map(512, ANONYMOUS).fault(0, WRITE).alloc(42).count(1);
    script.fault(3, WRITE).alloc(43).free(43).call('brk', [0]);
    expect(anonymousPages(await script.replay('[always] madvise never'))).toBe(2);
    // The kernel looks for it with 2 MiB at hand.
    const huge = new Script().map(512, ANONYMOUS).fault(3, WRITE).alloc(512, 9).free(512);
    expect(anonymousPages(await huge.call('brk', [0]).replay('[always] madvise never'))).toBe(1);
  });

  test('fills the block if 2 MiB were allocated', async () => {
    const script = new Script()
      .map(BLOCK / PAGE, ANONYMOUS)
      .fault(3, READ)
      .fault(3, COPY);
    const result = await script.alloc(512, 9).replay('always [madvise] never');
    expect(anonymousPages(result)).toBe(512);
  });
});
