import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import { updatePoint, type Op } from '../op/prims.js';
import { PG_LOCKED } from './page_flags.js';

/** Locks the folio unless somebody else has. Returns whether it was free. @kernel folio_trylock */
export function* folioTrylock(kernel: Kernel, head: number): Op<boolean> {
  const { flags } = kernel.memory;
  yield* updatePoint('folio_lock', head);
  if ((flags[head] & PG_LOCKED) !== 0) return false;
  flags[head] |= PG_LOCKED;
  return true;
}

/** @kernel folio_unlock */
export function* folioUnlock(kernel: Kernel, head: number): Op<void> {
  const { flags } = kernel.memory;
  yield* updatePoint('folio_lock', head);
  if ((flags[head] & PG_LOCKED) === 0) fail(`folio ${head} is unlocked but was not locked`);
  flags[head] &= ~PG_LOCKED;
}
