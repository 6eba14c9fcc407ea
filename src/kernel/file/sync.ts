import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { PG_DIRTY } from '../phys/page_flags.js';
import { folioMkclean } from '../rmap/mkclean.js';
import type { AddressSpace } from '../vm/address_space.js';

/** Writes every dirty page back: mappings become clean and read-only. @kernel fsync */
export function* syncFile(kernel: Kernel, mapping: AddressSpace): Op<void> {
  const { memory } = kernel;
  for (const [index, pfn] of mapping.pages) {
    const head = memory.folioOf(pfn);
    if ((memory.flags[head] & PG_DIRTY) === 0) continue;
    yield* folioMkclean(kernel, head);
    memory.flags[head] &= ~PG_DIRTY;
    mapping.disk.set(index, memory.content[pfn]);
  }
}
