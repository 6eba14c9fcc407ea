/** Blocks this thread; for waits of milliseconds in which nothing else may happen. */
export function sleepBlocking(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Asks until the answer is yes, and calls `meanwhile` in between; false after `timeoutMs`. */
export function waitUntil(
  isDone: () => boolean,
  timeoutMs: number,
  meanwhile?: () => void,
): boolean {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 0.2; !isDone(); pauseMs = Math.min(10, pauseMs * 2)) {
    if (performance.now() > deadline) return false;
    meanwhile?.();
    sleepBlocking(pauseMs);
  }
  return true;
}
