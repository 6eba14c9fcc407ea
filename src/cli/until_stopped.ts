/** Ends of long work that the user asks for. */

/**
 * Calls `work` with a signal that is aborted when SIGINT or SIGTERM comes meanwhile; the second one
 * ends the process.
 */
export async function withStopSignal<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
  }
}

/** The same for work that asks now and then whether to stop. */
export async function untilStopped<T>(work: (isStopped: () => boolean) => Promise<T>): Promise<T> {
  return await withStopSignal(async (signal) => await work(() => signal.aborted));
}
