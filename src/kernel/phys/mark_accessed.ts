import type { Kernel } from '../kernel.js';
import { PG_ACTIVE, PG_IDLE, PG_REFERENCED, PG_UNEVICTABLE } from './page_flags.js';

/**
 * One use of a folio: the first sets referenced, the second activates (spec 97 §8 "touch").
 * @kernel folio_mark_accessed
 */
export function folioMarkAccessed(kernel: Kernel, head: number): void {
  const { flags } = kernel.memory;
  const now = flags[head];
  if ((now & PG_REFERENCED) === 0) {
    flags[head] = now | PG_REFERENCED;
  } else if ((now & (PG_UNEVICTABLE | PG_ACTIVE)) === 0) {
    kernel.lru.change(head, PG_ACTIVE, PG_REFERENCED);
  }
  flags[head] &= ~PG_IDLE;
}
