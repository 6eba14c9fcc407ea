import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventBatchBuilder } from '../trace/batch_builder.js';
import { EVENT, FAULT_ERROR, RSS_MEMBER, type EventKind } from '../trace/event.js';
import { StringTable } from '../trace/tables.js';
import { Lineariser } from './linearise.js';
import { STEP } from './steps.js';

const TID = 7;
const OTHER_TID = 8;
const USER_WRITE = FAULT_ERROR.user | FAULT_ERROR.write;
const MM = 5;

type Event = readonly [kind: EventKind, tid: number, text: string, ...cells: number[]];

/** Faults, calls and allocations in the order in which they are handed out. */
function steps(...events: readonly Event[]): string[] {
  const strings = new StringTable();
  const lineariser = new Lineariser(strings);
  const builder = new EventBatchBuilder(events.length);
  for (const [i, [kind, tid, text, ...cells]] of events.entries()) {
    builder.push(kind, i * 1000, 0, tid, text === '' ? -1 : strings.intern(text), ...cells);
  }
  const batch = builder.take();
  for (let row = 0; row < batch.length; row += 1) lineariser.push(batch, row);
  lineariser.finish();
  const found: string[] = [];
  const { queue } = lineariser;
  for (let slot = lineariser.peek(); slot !== -1; slot = lineariser.peek()) {
    const [a, d] = [queue.a[slot] ?? 0, queue.d[slot] ?? 0];
    if (queue.kind[slot] === STEP.fault) found.push(`fault ${a} gets ${d}`);
    if (queue.kind[slot] === STEP.call) found.push(`call ${queue.calls[slot]?.name}`);
    if (queue.kind[slot] === STEP.alloc) found.push(`page ${a}`);
    if (queue.kind[slot] === STEP.gaveUp) found.push(`gave up ${a}`);
    lineariser.pop();
  }
  return found;
}

/** Takes every step that is ready. */
function drained(lineariser: Lineariser): string[] {
  const { queue } = lineariser;
  const found: string[] = [];
  for (let slot = lineariser.peek(); slot !== -1; slot = lineariser.peek()) {
    const { kind, tid, eventIndex, a, d, calls } = queue;
    const call = calls[slot]?.name ?? '';
    found.push(`${kind[slot]} ${tid[slot]} ${eventIndex[slot]} ${a[slot]} ${d[slot]} ${call}`);
    lineariser.pop();
  }
  return found;
}

describe('Lineariser', () => {
  it('places a fault where its page was allocated', () => {
    expect(
      steps(
        [EVENT.faultUser, TID, '', 0x1000, USER_WRITE],
        [EVENT.faultUser, OTHER_TID, '', 0x2000, USER_WRITE],
        [EVENT.pageAlloc, OTHER_TID, '', 41, 0],
        [EVENT.pageAlloc, TID, '', 42, 0],
      ),
    ).toEqual(['fault 8192 gets 41', 'fault 4096 gets 42']);
  });

  it('knows the page of a fault that took the lock to grow the stack', () => {
    expect(
      steps(
        [EVENT.faultUser, TID, '', 0x1000, USER_WRITE],
        [EVENT.lock, TID, '', MM],
        [EVENT.pageAlloc, TID, '', 42, 0],
      ),
    ).toEqual(['fault 4096 gets 42']);
  });

  it('ends a fault of the kernel inside a call where the call takes the lock', () => {
    expect(
      steps(
        [EVENT.callEnter, TID, 'mprotect', 0x4000, 4096, 1],
        [EVENT.faultKernel, TID, '', 0x1000, FAULT_ERROR.write],
        [EVENT.lock, TID, '', MM],
        [EVENT.pageAlloc, TID, '', 42, 0],
        [EVENT.unlock, TID, '', MM],
        [EVENT.callExit, TID, 'mprotect', 0],
      ),
    ).toEqual(['fault 4096 gets -1', 'call mprotect', 'page 42']);
  });

  it('lets a fault start anew that left its page before a snapshot', () => {
    const counted = (tid: number): Event => [EVENT.rss, tid, '', MM, 1, RSS_MEMBER.anon, 1];
    expect(
      steps(
        [EVENT.faultUser, OTHER_TID, '', 0x2000, USER_WRITE],
        [EVENT.pageAlloc, OTHER_TID, '', 41, 0],
        counted(OTHER_TID),
        [EVENT.faultUser, TID, '', 0x1000, USER_WRITE],
        [EVENT.pageAlloc, TID, '', 42, 0],
        [EVENT.mark, 1, 'SNAP t1'],
        [EVENT.pageAlloc, TID, '', 43, 0],
        counted(TID),
        [EVENT.mark, 1, 'SNAP t2'],
      ),
    ).toEqual(['fault 8192 gets 41', 'fault 4096 gets 42', 'gave up 42', 'fault 4096 gets 43']);
  });

  it('takes a fault as done that let go of its page once the thread goes on', () => {
    const begin: Event[] = [
      [EVENT.faultUser, TID, '', 0x1000, USER_WRITE],
      [EVENT.pageAlloc, TID, '', 42, 0],
      [EVENT.pageFree, TID, '', 42, 0],
    ];
    const gaveUp = ['fault 4096 gets 42', 'gave up 42'];
    expect(steps(...begin)).toEqual(gaveUp);
    expect(steps(...begin, [EVENT.callEnter, TID, 'brk', 0])).toEqual([
      ...gaveUp,
      'fault 4096 gets -1',
    ]);
    expect(steps(...begin, [EVENT.faultUser, TID, '', 0x2000, USER_WRITE])).toEqual([
      ...gaveUp,
      'fault 4096 gets -1',
      'fault 8192 gets -1',
    ]);
    // Raised anew, as after a signal.
    expect(steps(...begin, [EVENT.faultUser, TID, '', 0x1008, USER_WRITE])).toEqual([
      ...gaveUp,
      'fault 4104 gets -1',
    ]);
  });

  it('gives the same order whether events come one by one or in blocks', () => {
    // Pauses longer than a fault may wait are frequent.
    const event = fc.record({
      kind: fc.constantFrom(
        EVENT.faultUser,
        EVENT.faultUser,
        EVENT.pageAlloc,
        EVENT.pageAlloc,
        EVENT.rss,
        EVENT.lock,
        EVENT.unlock,
        EVENT.callEnter,
        EVENT.callExit,
        EVENT.newTask,
        EVENT.exit,
      ),
      tid: fc.integer({ min: 1, max: 4 }),
      call: fc.constantFrom('mmap', 'clone', 'madvise', 'execve', 'read'),
      a: fc.integer({ min: 1, max: 4 }),
      c: fc.integer({ min: 0, max: 2 }),
      pauseNs: fc.constantFrom(0, 1000, 40_000_000, 120_000_000),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.nat(12), (events, length) => {
        const strings = new StringTable();
        const builder = new EventBatchBuilder(Math.max(events.length, 1));
        let timeNs = 0;
        for (const { kind, tid, call, a, c, pauseNs } of events) {
          timeNs += pauseNs;
          builder.push(kind, timeNs, 0, tid, strings.intern(call), a, USER_WRITE, c);
        }
        const batch = builder.take();
        const single = new Lineariser(strings);
        const expected: string[] = [];
        for (let row = 0; row < batch.length; row += 1) {
          single.push(batch, row);
          expected.push(...drained(single));
        }
        const blocks = new Lineariser(strings);
        const found: string[] = [];
        for (let row = 0; row < batch.length;) {
          row = blocks.pushRows(batch, row, Math.min(row + 1 + length, batch.length));
          found.push(...drained(blocks));
        }
        expect(found).toEqual(expected);
        expect(blocks.queue.length).toBe(single.queue.length);
      }),
      { seed: 11, numRuns: 500 },
    );
  });
});
