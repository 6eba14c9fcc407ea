import { PMD_ORDER } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { ShmemMode } from '../profile.js';
import type { AddressSpace } from '../vm/address_space.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_HUGEPAGE, VM_NOHUGEPAGE } from '../vm/vm_flags.js';

/** Smallest order of a large shmem folio. */
const MIN_SHMEM_ORDER = 1;

/**
 * Order of the folio that a hole of a shmem file gets at file page `index` (spec 98 §4.4): the
 * highest enabled order whose aligned file block is empty and, for a mapping, lies in the VMA at an
 * address aligned alike. `vma` is undefined for write(2): then the knob of the mount alone counts.
 * @kernel shmem_allowable_huge_orders
 */
export function shmemFolioOrder(
  kernel: Kernel,
  mapping: AddressSpace,
  index: number,
  vma: Vma | undefined,
): number {
  if (!kernel.profile.transparentHugepage) return 0;
  if (vma === undefined) return writeOrder(kernel, mapping, index);
  if ((vma.flags & VM_NOHUGEPAGE) !== 0 || vma.mm.thpDisabled) return 0;
  for (let order = PMD_ORDER; order >= MIN_SHMEM_ORDER; order -= 1) {
    if (!isOrderEnabled(kernel, mapping, index, vma, order)) continue;
    const pages = 2 ** order;
    const first = index - (index % pages);
    if (fitsMapping(vma, first, pages) && isFileBlockEmpty(mapping, first, pages)) return order;
  }
  return 0;
}

/**
 * The largest order with an empty block, whatever the length of the write. With `within_size` the
 * block ends within the file.
 */
function writeOrder(kernel: Kernel, mapping: AddressSpace, index: number): number {
  const mode = kernel.knobs.shmemThp;
  if (mode !== 'always' && mode !== 'within_size') return 0;
  for (let order = PMD_ORDER; order >= MIN_SHMEM_ORDER; order -= 1) {
    if (!modeAllows(mode, mapping, index, order, false)) continue;
    const pages = 2 ** order;
    if (isFileBlockEmpty(mapping, index - (index % pages), pages)) return order;
  }
  return 0;
}

/** Whether the knobs allow the order somewhere in the VMA: at its start. */
export function isShmemOrderAllowed(
  kernel: Kernel,
  mapping: AddressSpace,
  vma: Vma,
  order: number,
): boolean {
  return isOrderEnabled(kernel, mapping, vma.pgoff, vma, order);
}

function isOrderEnabled(
  kernel: Kernel,
  mapping: AddressSpace,
  index: number,
  vma: Vma,
  order: number,
): boolean {
  const own = kernel.knobs.shmemOrders[order];
  const mode = own === 'inherit' ? kernel.knobs.shmemThp : own;
  const isAdvised = (vma.flags & VM_HUGEPAGE) !== 0;
  return modeAllows(mode, mapping, index, order, isAdvised);
}

function modeAllows(
  mode: ShmemMode,
  mapping: AddressSpace,
  index: number,
  order: number,
  isAdvised: boolean,
): boolean {
  if (mode === 'always') return true;
  if (mode === 'advise') return isAdvised;
  if (mode !== 'within_size') return false;
  const pages = 2 ** order;
  const blockEnd = index - (index % pages) + pages;
  return isAdvised || blockEnd <= mapping.sizePages;
}

/** The file block at `first` lies in the VMA, at an address aligned like the block. */
function fitsMapping(vma: Vma, first: number, pages: number): boolean {
  if ((vma.start - vma.pgoff) % pages !== 0) return false;
  return first >= vma.pgoff && first + pages <= linearPageIndex(vma, vma.end);
}

function isFileBlockEmpty(mapping: AddressSpace, first: number, pages: number): boolean {
  for (let index = first; index < first + pages; index += 1) {
    if (mapping.pages.has(index) || mapping.swapped.has(index)) return false;
  }
  return true;
}
