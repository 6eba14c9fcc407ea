import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';

/** The caller holds the rmap lock. @kernel RMP_LOCKED */
export const RMP_LOCKED = 1;
/** Zero-filled pages become the zero page. @kernel RMP_USE_SHARED_ZEROPAGE */
export const RMP_USE_SHARED_ZEROPAGE = 2;

/** Maps `target` where migration entries of `source` are (spec 40 §7). @kernel remove_migration_ptes */
export function* removeMigrationPtes(
  _kernel: Kernel,
  source: number,
  _target: number,
  _flags: number,
): Op<void> {
  fail(`migration entries of folio ${source} are removed, which is not written yet`);
}
