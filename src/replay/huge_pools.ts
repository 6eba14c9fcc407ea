import { PMD_ORDER, PUD_ORDER } from '../base/units.js';
import type { Machine } from '../kernel/machine.js';
import type { Operation } from '../kernel/operation.js';
import { hugeOrderOf } from '../kernel/hugetlb/reserve.js';
import type { Kernel } from '../kernel/kernel.js';
import { PG_HUGETLB } from '../kernel/phys/page_flags.js';
import { findVma, type Mm } from '../kernel/vm/mm.js';
import { VM_HUGETLB, VM_SHARED } from '../kernel/vm/vm_flags.js';
import { anonymousPageAt, NO_PAGE } from './mapped_page.js';

/** What a replayed operation may take from a pool of hugetlb pages. */
export interface HugeNeed {
  readonly order: number;
  readonly pages: number;
}

/**
 * Says what operations of a recording take from the pools of hugetlb pages. A recording tells what
 * mappings and faults were given, and not how many pages the host had for them: its pools serve
 * other programs too, and its administrator changes them. So pools grow with what is asked for.
 */
export class HugePools {
  private readonly machine: Machine;
  /** Most recordings map no such memory. */
  private isUsed = false;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Pages by which the pool falls short of what an operation may take from it. */
  shortOf(operation: Operation): HugeNeed | undefined {
    const need = operation.op === 'mmap' ? this.needOfMmap(operation) : this.needOfFault(operation);
    if (need === undefined) return undefined;
    const pages = need.pages - this.machine.kernel.hugetlb.of(need.order).available;
    return pages > 0 ? { order: need.order, pages } : undefined;
  }

  /** The operation that adds pages to a pool. */
  growth({ order, pages }: HugeNeed): Operation {
    const pool = this.machine.kernel.hugetlb.of(order);
    const key = order === PUD_ORDER ? 'hugetlb1g' : 'hugetlb';
    return { op: 'config', key, value: pool.total - pool.surplus + pages };
  }

  private needOfMmap(operation: Extract<Operation, { op: 'mmap' }>): HugeNeed | undefined {
    const order = this.orderOfMmap(operation);
    if (order === undefined) return undefined;
    this.isUsed = true;
    return { order, pages: Math.ceil(operation.n / 2 ** order) };
  }

  private orderOfMmap({ flags, file }: Extract<Operation, { op: 'mmap' }>): number | undefined {
    if (file !== undefined) {
      const mapping = this.machine.files.get(file);
      return mapping?.kind === 'hugetlb' ? mapping.hugeOrder : undefined;
    }
    if (!flags.includes('hugetlb')) return undefined;
    return flags.includes('hugetlb1g') ? PUD_ORDER : PMD_ORDER;
  }

  /** A fault takes a page at most, promised or not. */
  private needOfFault(operation: Operation): HugeNeed | undefined {
    if (!this.isUsed || (operation.op !== 'fault' && operation.op !== 'mem_write'))
      return undefined;
    const mm = this.machine.kernel.processes.get(operation.p)?.mm;
    const vma = mm === undefined ? undefined : findVma(mm, operation.at);
    if (vma === undefined || vma.start > operation.at || (vma.flags & VM_HUGETLB) === 0) {
      return undefined;
    }
    return { order: hugeOrderOf(vma), pages: 1 };
  }
}

/** Whether a page is of a pool: no event tells when it is given to somebody. */
export function isPoolPage({ memory }: Kernel, page: number): boolean {
  return ((memory.flags[memory.folioOf(page)] ?? 0) & PG_HUGETLB) !== 0;
}

/** Anonymous pages of hugetlb mappings, which the counter of anonymous pages leaves out. */
export function anonymousHugetlbPages(kernel: Kernel, mm: Mm): number {
  let pages = 0;
  for (const vma of mm.vmas) {
    if ((vma.flags & (VM_HUGETLB | VM_SHARED)) !== VM_HUGETLB) continue;
    const unit = 2 ** hugeOrderOf(vma);
    for (let vpn = vma.start; vpn < vma.end; vpn += unit) {
      if (anonymousPageAt(kernel, mm, vpn) !== NO_PAGE) pages += unit;
    }
  }
  return pages;
}
