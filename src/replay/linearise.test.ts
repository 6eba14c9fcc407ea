import { describe, expect, it } from 'vitest';
import { EventBatchBuilder } from '../trace/batch_builder.js';
import { EVENT, FAULT_ERROR, type EventKind } from '../trace/event.js';
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
});
