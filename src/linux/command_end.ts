import type { RecordReport, StopReason } from './recorder_options.js';
import type { PreparedCommand } from './start_stub.js';
import type { Wishes } from './wishes.js';

/** Longest time that a command may take to end after it was told to. */
const GRACE_MS = 5000;
/** The user hears of it if it takes longer than this. */
const QUIET_MS = 500;

/** What became of a command that was told to end. */
export type CommandStop = Pick<RecordReport, 'runningCommandPid' | 'isCutShort'>;

/**
 * Tells a command to end, with the signal that ended its recording, and waits a while until it has.
 * A command that ignores the signal is left to run: nobody asked to kill it.
 */
export async function stopCommand(
  command: Pick<PreparedCommand, 'pid' | 'signal'>,
  stopReason: StopReason,
  wishes: Wishes,
  onWait: () => void,
): Promise<CommandStop> {
  command.signal(stopReason === 'interrupted' ? 'SIGINT' : 'SIGTERM');
  let stop = await wishes.nextStop(QUIET_MS);
  if (stop === undefined) {
    onWait();
    stop = await wishes.nextStop(GRACE_MS - QUIET_MS);
  }
  const hasEnded = stop === 'command ended';
  return {
    runningCommandPid: hasEnded ? undefined : command.pid,
    isCutShort: stop !== undefined && !hasEnded,
  };
}
