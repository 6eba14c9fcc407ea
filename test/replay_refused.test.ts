/**
 * Goal: a fault that the kernel refused leaves nothing behind. Method: recordings of a few events
 * made by hand, of a program whose mappings are not known.
 */
import { expect, test } from 'vitest';
import { replay } from '../src/replay/index.js';
import { EventBatchBuilder } from '../src/trace/batch_builder.js';
import { EVENT, FAULT_ERROR } from '../src/trace/event.js';
import type { Recording } from '../src/trace/recording.js';
import { StringTable, WordTable } from '../src/trace/tables.js';
import { EMPTY_INFO } from './support/made_recording.js';

const PID = 1000;
const WRITE = FAULT_ERROR.user | FAULT_ERROR.write;

/** A program that writes to one address; `pfn` is the frame that the fault got. */
function writeTo(address: number, error: number, pfn: number | undefined): Recording {
  const strings = new StringTable();
  const builder = new EventBatchBuilder(8);
  const program = strings.intern('/bin/program');
  builder.push(EVENT.prepareExec, 1, 0, PID, program);
  builder.push(EVENT.exec, 2, 0, PID, program, PID);
  builder.push(EVENT.faultUser, 3, 0, PID, -1, address, error);
  if (pfn !== undefined) builder.push(EVENT.pageAlloc, 4, 0, PID, -1, pfn, 0);
  const { events } = builder;
  const batch = builder.take();
  return {
    path: 'made.rec',
    format: 'native',
    info: { ...EMPTY_INFO, events, durationNs: 4 },
    strings,
    words: new WordTable(),
    fields: new Map(),
    async *events() {
      yield await Promise.resolve(batch);
    },
    snapshot: (name) => Promise.reject(new Error(name)),
    positionOf: (event) => `event ${event}`,
  };
}

test.each([
  ['got a page', WRITE, 42, 1],
  ['had its page', WRITE | FAULT_ERROR.present, undefined, 1],
  ['got nothing: the program was killed by it', WRITE, undefined, 0],
])('a write to an unknown address that %s', async (_name, error, pfn, areas) => {
  const { driver, findings } = await replay(writeTo(0x5000, error, pfn));
  expect(findings.pagesInUnknownAreas).toBe(areas);
  expect(driver.machine.kernel.processes.get(PID)?.mm.rss[1]).toBe(areas);
});
