/**
 * Goal: who ends long work gets what was found until then. Method: the handler of the signal is
 * called, since a signal would end the tests.
 */
import { expect, it } from 'vitest';
import { printedCli } from '../../test/support/printed_cli.js';
import { command as fuzz } from './commands/fuzz.js';
import { untilStopped } from './until_stopped.js';

function handlers(): Set<() => void> {
  return new Set([...process.listeners('SIGINT'), ...process.listeners('SIGTERM')] as never);
}

/** Calls what listens since `before`. */
function signal(before: Set<() => void>): void {
  for (const handler of handlers()) if (!before.has(handler)) handler();
}

it('tells the work of a signal, and listens no longer than it lasts', async () => {
  const before = handlers();
  const told = await untilStopped(async (isStopped) => {
    const early = isStopped();
    signal(before);
    return await Promise.resolve([early, isStopped()]);
  });
  expect(told).toEqual([false, true]);
  expect(handlers()).toEqual(before);
});

it('fuzz reports what it did until it was stopped', async () => {
  const before = handlers();
  const cli = printedCli();
  const options = { runs: '1000000', seed: '1', mode: 'small', ops: '5', most: '1' };
  const running = fuzz.run(cli, [], options);
  while (handlers().size === before.size) await new Promise(setImmediate);
  signal(before);
  expect(await running).toBe(0);
  expect(cli.lines).toHaveLength(1);
  expect(cli.lines[0]).toMatch(/^\d+ scenarios, \d+ operations .*: 0 findings$/);
});
