import type { SingleBar } from 'cli-progress';
import { formatCount, formatDuration, formatRate } from './format.js';
import { printable } from './sanitize.js';

/** Shows how far a long command is. Silent unless stderr is a terminal. */
export interface Progress {
  /** Reports that `doneCount` events in all have been handled. Cheap enough for every batch. */
  update(doneCount: number): void;
  /** Removes the line. Call it before the result is printed, on failure too. */
  stop(): void;
}

const SILENT: Progress = {
  update() {},
  stop() {},
};

/**
 * Starts a progress line with count, rate and time left.
 * @param totalCount Number of events, or undefined when it is not known.
 */
export async function startProgress(
  stream: NodeJS.WriteStream,
  label: string,
  totalCount: number | undefined,
): Promise<Progress> {
  if (!stream.isTTY) return SILENT;
  const { SingleBar } = await import('cli-progress');
  const startedMs = performance.now();
  const bar: SingleBar = new SingleBar({
    stream,
    hideCursor: true,
    clearOnComplete: true,
    fps: 10,
    format: (_options, { value }) =>
      printable(label) + describe(value, totalCount, performance.now() - startedMs),
  });
  bar.start(totalCount ?? 0, 0);
  return {
    update: (doneCount) => bar.update(doneCount),
    stop: () => bar.stop(),
  };
}

/** The text behind the label: `: 1,200 of 5,000 events, 1.2 k/s, 3.2 s left`. */
export function describe(
  doneCount: number,
  totalCount: number | undefined,
  elapsedMs: number,
): string {
  const perMs = elapsedMs > 0 ? doneCount / elapsedMs : 0;
  const done =
    totalCount === undefined
      ? formatCount(doneCount)
      : `${formatCount(doneCount)} of ${formatCount(totalCount)}`;
  const left =
    totalCount === undefined || perMs === 0
      ? ''
      : `, ${formatDuration(Math.max(0, totalCount - doneCount) / perMs)} left`;
  return `: ${done} events, ${formatRate(perMs * 1000)}${left}`;
}
