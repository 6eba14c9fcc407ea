import type { Machine } from '../kernel/machine.js';
import { folioPrecisePageMapcount, isAnonFolio } from '../kernel/phys/folio.js';
import { PTE_PRESENT, PTE_SPECIAL } from '../kernel/pgtable/pte.js';
import { pageAt, walkEntries } from '../kernel/state/page_walk.js';
import type { Mm } from '../kernel/vm/mm.js';
import { RUN, type Snapshot } from '../trace/snapshot.js';

/** How the machine compares with the kernel's own list of pages at one snapshot. */
export interface SnapshotComparison {
  readonly name: string;
  /** Anonymous page-table entries that the kernel listed, over all processes. */
  readonly anonymousPages: number;
  /** Present on both sides, with equal mapcount and the same set of sharers. */
  readonly agree: number;
  /** Listed by the kernel, not there in the machine. */
  readonly missing: number;
  /** In the machine, not listed by the kernel. */
  readonly extra: number;
  readonly mapcountWrong: number;
  readonly sharersWrong: number;
  /** The first few pages that do not agree. */
  readonly examples: readonly PageMismatch[];
}

export interface PageMismatch {
  readonly pid: number;
  readonly vpn: number;
  readonly kind: 'missing' | 'extra' | 'mapcount' | 'sharers';
  /** The kernel's pfn and mapcount; −1 for an extra page. */
  readonly pfn: number;
  readonly mapcount: number;
  /** The machine's mapcount; 0 for a missing page. */
  readonly machineMapcount: number;
}

const MOST_EXAMPLES = 20;
const UNSEEN = -1;

/** Anonymous pages of an address space: sorted page numbers with machine pfns. */
function anonymousPages(machine: Machine, mm: Mm): Map<number, number> {
  const { kernel } = machine;
  const pages = new Map<number, number>();
  for (const vma of mm.vmas) {
    walkEntries(kernel, vma, (entry, vpn, count, level) => {
      const flags = kernel.pageTables.flags[entry] ?? 0;
      if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) return;
      const first = pageAt(kernel, entry, vpn, level);
      if (!isAnonFolio(kernel, kernel.memory.folioOf(first))) return;
      for (let i = 0; i < count; i += 1) pages.set(vpn + i, first + i);
    });
  }
  return pages;
}

/** Collects mismatches while a snapshot is walked. */
class Tally {
  agree = 0;
  missing = 0;
  extra = 0;
  mapcountWrong = 0;
  sharersWrong = 0;
  readonly examples: PageMismatch[] = [];

  note(mismatch: PageMismatch): void {
    if (this.examples.length < MOST_EXAMPLES) this.examples.push(mismatch);
  }
}

/**
 * Compares every anonymous page: present, mapcount, and that pages which are one page for the
 * kernel are one for the machine and the other way round (a bijection of pfns).
 * Processes of the snapshot that the machine does not have count as missing.
 */
export function compareSnapshot(
  machine: Machine,
  snapshot: Snapshot,
  onMissing?: (pid: number, vpn: number, pfn: number) => void,
): SnapshotComparison {
  const { kernel } = machine;
  const tally = new Tally();
  const machineOf = new Map<number, number>();
  const kernelOf = new Float64Array(kernel.memory.pageCount).fill(UNSEEN);
  let total = 0;
  let vmaIndex = 0;
  const { runs, vmas } = snapshot;
  while (vmaIndex < vmas.length) {
    const pid = vmas[vmaIndex]?.pid ?? 0;
    const mm = kernel.processes.get(pid)?.mm;
    const pages = mm === undefined ? new Map<number, number>() : anonymousPages(machine, mm);
    for (; vmaIndex < vmas.length && vmas[vmaIndex]?.pid === pid; vmaIndex += 1) {
      const vma = vmas[vmaIndex];
      if (vma === undefined) continue;
      for (let run = vma.runStart; run < vma.runEnd; run += 1) {
        const kind = runs.kind[run] ?? 0;
        if (kind !== RUN.anon && kind !== RUN.huge && kind !== RUN.ksm) continue;
        const firstPage = runs.page[run] ?? 0;
        const firstPfn = runs.pfn[run] ?? 0;
        const mapcount = runs.mapcount[run] ?? 0;
        const count = runs.count[run] ?? 0;
        total += count;
        for (let i = 0; i < count; i += 1) {
          const vpn = firstPage + i;
          const pfn = firstPfn + i;
          const own = pages.get(vpn);
          if (own === undefined) {
            tally.missing += 1;
            tally.note({ pid, vpn, kind: 'missing', pfn, mapcount, machineMapcount: 0 });
            onMissing?.(pid, vpn, pfn);
            continue;
          }
          pages.delete(vpn);
          const head = kernel.memory.folioOf(own);
          const machineMapcount = folioPrecisePageMapcount(kernel, head, own);
          const known = machineOf.get(pfn);
          const isSame = known === undefined ? kernelOf[own] === UNSEEN : known === own;
          if (known === undefined) machineOf.set(pfn, own);
          if (kernelOf[own] === UNSEEN) kernelOf[own] = pfn;
          if (machineMapcount !== mapcount) {
            tally.mapcountWrong += 1;
            tally.note({ pid, vpn, kind: 'mapcount', pfn, mapcount, machineMapcount });
          } else if (!isSame) {
            tally.sharersWrong += 1;
            tally.note({ pid, vpn, kind: 'sharers', pfn, mapcount, machineMapcount });
          } else {
            tally.agree += 1;
          }
        }
      }
    }
    for (const [vpn] of pages) {
      tally.extra += 1;
      tally.note({ pid, vpn, kind: 'extra', pfn: -1, mapcount: 0, machineMapcount: 1 });
    }
  }
  return {
    name: snapshot.name,
    anonymousPages: total,
    agree: tally.agree,
    missing: tally.missing,
    extra: tally.extra,
    mapcountWrong: tally.mapcountWrong,
    sharersWrong: tally.sharersWrong,
    examples: tally.examples,
  };
}

/** Whether every page agrees. */
export function isExact(comparison: SnapshotComparison): boolean {
  return comparison.agree === comparison.anonymousPages && comparison.extra === 0;
}
