/** Ends of long work that the user asks for. */

/**
 * Calls `work` with a function that tells whether SIGINT or SIGTERM has come meanwhile; the second
 * signal ends the process.
 */
export async function untilStopped<T>(work: (isStopped: () => boolean) => Promise<T>): Promise<T> {
  let isStopped = false;
  const stop = (): void => {
    isStopped = true;
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await work(() => isStopped);
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
  }
}
