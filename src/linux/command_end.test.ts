import { afterEach, expect, test, vi } from 'vitest';
import { stopCommand } from './command_end.js';
import { prepareCommand } from './start_stub.js';
import { Wishes } from './wishes.js';

afterEach(() => {
  vi.useRealTimers();
});

test('a command that obeys is waited for', async () => {
  const wishes = new Wishes();
  const command = prepareCommand(['sleep', '60']);
  void command.ended.then(() => wishes.add({ stop: 'command ended' }));
  command.go();
  const stopped = await stopCommand(command, 'time limit', wishes, () => {});
  expect(stopped).toEqual({ runningCommandPid: undefined, isCutShort: false });
  expect((await command.ended).signal).toBe('SIGTERM');
});

test('one that is killed before it has read that it may start ends too', async () => {
  const commands = Array.from({ length: 8 }, () => prepareCommand(['sleep', '60']));
  for (const command of commands) {
    command.go();
    command.signal('SIGKILL');
  }
  const ends = await Promise.all(commands.map(({ ended }) => ended));
  expect(ends.map(({ signal }) => signal)).toEqual(commands.map(() => 'SIGKILL'));
});

test.each([
  ['interrupted', 'SIGINT'],
  ['terminated', 'SIGTERM'],
] as const)('one that does not is left after 5 s: %s', async (stopReason, signal) => {
  vi.useFakeTimers();
  const wishes = new Wishes();
  const sent: string[] = [];
  const waits: number[] = [];
  const startMs = performance.now();
  const stopping = stopCommand(
    { pid: 77, signal: (name) => void sent.push(name) },
    stopReason,
    wishes,
    () => waits.push(performance.now() - startMs),
  );
  wishes.add('snapshot');
  await vi.advanceTimersByTimeAsync(4999);
  let isOver = false;
  void stopping.then(() => (isOver = true));
  await vi.advanceTimersByTimeAsync(0);
  expect(isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await stopping).toEqual({ runningCommandPid: 77, isCutShort: false });
  expect({ sent, waits }).toEqual({ sent: [signal], waits: [500] });
});

test('a second wish to stop ends the waiting at once', async () => {
  const wishes = new Wishes();
  const command = { pid: 77, signal: () => {} };
  const stopping = stopCommand(command, 'interrupted', wishes, () => {});
  wishes.add({ stop: 'interrupted' });
  expect(await stopping).toEqual({ runningCommandPid: 77, isCutShort: true });
});
