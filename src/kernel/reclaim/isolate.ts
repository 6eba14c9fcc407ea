import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import { folioPut } from '../phys/folio.js';
import { PG_ISOLATED, PG_LRU, PG_MLOCKED, PG_UNEVICTABLE } from '../phys/page_flags.js';

/** Takes a folio off its LRU list with a reference, for the caller alone. @kernel folio_isolate_lru */
export function folioIsolateLru(kernel: Kernel, head: number): void {
  const { flags, refcount } = kernel.memory;
  if ((flags[head] & PG_LRU) === 0) fail(`folio ${head} is isolated but on no list`);
  kernel.lru.remove(head);
  flags[head] |= PG_ISOLATED;
  refcount[head] += 1;
}

/** Puts an isolated folio back to the head of its list, and the reference. @kernel folio_putback_lru */
export function folioPutbackLru(kernel: Kernel, head: number): void {
  const { flags, previous } = kernel.memory;
  if ((flags[head] & PG_ISOLATED) === 0) fail(`folio ${head} is put back but was not isolated`);
  flags[head] &= ~PG_ISOLATED;
  if ((flags[head] & PG_MLOCKED) !== 0 && (flags[head] & PG_UNEVICTABLE) === 0) {
    flags[head] |= PG_UNEVICTABLE;
    previous[head] = 0;
  }
  kernel.lru.add(head);
  folioPut(kernel, head);
}
