import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import { PG_HEAD, PG_TAIL } from '../phys/page_flags.js';
import type { Vma } from '../vm/vma.js';

/**
 * Maps a whole large page-cache folio at a fault, by a PMD or by PTEs, if the rules of spec 98 §4.4
 * allow; false if the fault is to map less.
 */
export function mapLargeFileFolio(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  pfn: number,
  isWrite: boolean,
): boolean {
  if ((kernel.memory.flags[pfn] & (PG_HEAD | PG_TAIL)) === 0) return false;
  fail(`large file folio at ${vpn} of ${vma.start} cannot be mapped yet (write ${isWrite})`);
}
