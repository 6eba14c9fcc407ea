import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';

/** Replaces all mappings of the folio by migration entries (spec 40 §6). @kernel try_to_migrate */
export function* tryToMigrate(_kernel: Kernel, head: number, _flags: number): Op<void> {
  fail(`folio ${head} gets migration entries, which is not written yet`);
}
