import type { Kernel } from '../kernel.js';
import { PG_BUDDY, PG_FREE } from '../phys/page_flags.js';
import { PTE_PRESENT, PTE_PROTNONE, PTE_WRITE } from '../pgtable/pte.js';
import { NIL } from '../../base/units.js';
import type { Mm } from '../vm/mm.js';

/** A translation that some CPU may still use for a page of an mm. */
export interface Translation {
  readonly pfn: number;
  readonly isWritable: boolean;
}

/** A translation that is wrong, and why (spec 90 rule 51). */
export interface StaleTranslation extends Translation {
  readonly mm: Mm;
  readonly vpn: number;
  readonly problem:
    | 'page is free'
    | 'page is not mapped there any more'
    | 'page is not writable any more';
}

/**
 * What the CPUs' TLBs may hold, per mm. Off (`Kernel.tlb` undefined) unless a test or the checker
 * wants to see missing flushes; then nothing of it costs anything.
 */
export class TlbModel {
  private readonly byMm = new Map<Mm, Map<number, Translation>>();

  /**
   * An access of a CPU went through the page table. A translation that allows writes keeps doing so
   * when it is read through.
   */
  remember(mm: Mm, vpn: number, pfn: number, isWritable: boolean): void {
    let translations = this.byMm.get(mm);
    if (translations === undefined) {
      translations = new Map();
      this.byMm.set(mm, translations);
    }
    const old = translations.get(vpn);
    const wasWritable = old !== undefined && old.pfn === pfn && old.isWritable;
    translations.set(vpn, { pfn, isWritable: isWritable || wasWritable });
  }

  find(mm: Mm, vpn: number): Translation | undefined {
    return this.byMm.get(mm)?.get(vpn);
  }

  /** Whether another CPU may hold translations of the mm, so that a flush means interrupts. */
  holds(mm: Mm): boolean {
    return (this.byMm.get(mm)?.size ?? 0) > 0;
  }

  flushRange(mm: Mm, start: number, end: number): void {
    const translations = this.byMm.get(mm);
    if (translations === undefined) return;
    for (const vpn of translations.keys()) {
      if (vpn >= start && vpn < end) translations.delete(vpn);
    }
  }

  flushMm(mm: Mm): void {
    this.byMm.delete(mm);
  }

  /** Translations that no access may use any more; empty whenever control returns to user code. */
  findStale(kernel: Kernel): StaleTranslation[] {
    const stale: StaleTranslation[] = [];
    for (const [mm, translations] of this.byMm) {
      for (const [vpn, { pfn, isWritable }] of translations) {
        const problem = problemOf(kernel, mm, vpn, pfn, isWritable);
        if (problem !== undefined) stale.push({ mm, vpn, pfn, isWritable, problem });
      }
    }
    return stale;
  }
}

function problemOf(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  pfn: number,
  isWritable: boolean,
): StaleTranslation['problem'] | undefined {
  const { pageTables, memory } = kernel;
  if ((memory.flags[pfn] & (PG_FREE | PG_BUDDY)) !== 0) return 'page is free';
  const entry = pageTables.findLeaf(mm.pgd, vpn);
  const pte = entry === NIL ? 0 : pageTables.flags[entry];
  const isAccessible = (pte & (PTE_PRESENT | PTE_PROTNONE)) === PTE_PRESENT;
  if (!isAccessible || pageTables.pageOfLeaf(mm.pgd, entry, vpn) !== pfn) {
    return 'page is not mapped there any more';
  }
  return isWritable && (pte & PTE_WRITE) === 0 ? 'page is not writable any more' : undefined;
}

/** Removes translations of [start, end) from all TLBs. @kernel flush_tlb_range */
export function flushTlbRange(kernel: Kernel, mm: Mm, start: number, end: number): void {
  if (kernel.tlb !== undefined) kernel.tlb.flushRange(mm, start, end);
}
