import { downWrite, upWrite, type Op } from '../op/prims.js';
import type { Mm } from '../vm/mm.js';

/**
 * Waits until nobody has the page tables of the mm locked. What follows, up to the caller's next
 * point, runs as if it held the lock: nobody can come in. For code that does not wait in between.
 */
export function* pageTablesSettled(mm: Mm): Op<void> {
  yield* downWrite(mm.pageTableLock);
  yield* upWrite(mm.pageTableLock);
}
