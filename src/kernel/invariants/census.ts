import { ENTRIES_PER_TABLE } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { GUP_PIN_COUNTING_BIAS } from '../phys/folio.js';
import { PG_HEAD, PG_HUGETLB } from '../phys/page_flags.js';
import {
  isDeviceEntry,
  isMigration,
  KIND_MASK,
  KIND_SWAP,
  PTE_DIRTY,
  PTE_LEAF,
  PTE_PRESENT,
  PTE_SPECIAL,
} from '../pgtable/pte.js';
import type { PageHolder } from '../process.js';
import { walkEntries } from '../state/page_walk.js';
import type { Mm } from '../vm/mm.js';
import { isAnonymous, type Vma } from '../vm/vma.js';

/** One entry that maps a page or stands for it. */
export interface MappedEntry {
  readonly vma: Vma;
  readonly vpn: number;
  /** Index in `Kernel.pageTables`. */
  readonly entry: number;
  /** Flags of the entry. */
  readonly flags: number;
  readonly pfn: number;
  /** Pages it covers in the VMA. */
  readonly pages: number;
  readonly level: 1 | 2 | 3;
}

/** All that is counted anew from page tables and holders, in one scan of the machine. */
export class Census {
  /** Present and device entries at PTE level, by pfn of that very page. */
  readonly ptes = new Map<number, MappedEntry[]>();
  /** Present huge leaves, by head pfn. */
  readonly leaves = new Map<number, MappedEntry[]>();
  /** Migration entries, by pfn. */
  readonly migrations = new Map<number, MappedEntry[]>();
  /** Swap entries of page tables. */
  readonly swaps: MappedEntry[] = [];
  /** Every counted entry, in order. */
  readonly mapped: MappedEntry[] = [];
  /** Dirty entries of the zero page, which ksmd placed, by mm. */
  readonly ksmZeroPages = new Map<Mm, number>();
  /** Entries that map each large folio, by head and mm. */
  readonly largeByMm = new Map<number, Map<Mm, number>>();
  /** Huge entries of anonymous memory, by the node of their PMD table. */
  readonly anonPmds = new Map<number, number>();
  /** References that pipes and rings hold, by head; and pins of large folios. */
  readonly heldReferences = new Map<number, number>();
  readonly pins = new Map<number, number>();

  constructor(kernel: Kernel) {
    for (const mm of kernel.mms) {
      for (const vma of mm.vmas) this.scanVma(kernel, vma);
    }
    this.scanHolders(kernel);
  }

  /** Head pfns of all folios that are mapped. */
  mappedHeads(kernel: Kernel): Set<number> {
    const heads = new Set<number>(this.leaves.keys());
    for (const pfn of this.ptes.keys()) heads.add(kernel.memory.folioOf(pfn));
    return heads;
  }

  /** Entries of any level that map any page of a folio. */
  mappingCount(head: number, pages: number): number {
    let count = this.leaves.get(head)?.length ?? 0;
    for (let pfn = head; pfn < head + pages; pfn += 1) count += this.ptes.get(pfn)?.length ?? 0;
    return count;
  }

  private scanVma(kernel: Kernel, vma: Vma): void {
    const { pageTables, memory } = kernel;
    walkEntries(kernel, vma, (entry, vpn, pages, level) => {
      const flags = pageTables.flags[entry];
      const pfn = pageTables.payload[entry];
      const found: MappedEntry = { vma, vpn, entry, flags, pfn, pages, level };
      if (level === 2 && isAnonymous(vma)) {
        add(this.anonPmds, Math.floor(entry / ENTRIES_PER_TABLE), 1);
      }
      if ((flags & PTE_PRESENT) === 0 && !isDeviceEntry(flags)) {
        if (isMigration(flags)) push(this.migrations, pfn, found);
        else if ((flags & KIND_MASK) === KIND_SWAP) this.swaps.push(found);
        return;
      }
      if ((flags & PTE_SPECIAL) !== 0) {
        if (pfn === memory.zeroPfn && (flags & PTE_DIRTY) !== 0) add(this.ksmZeroPages, vma.mm, 1);
        return;
      }
      this.mapped.push(found);
      push((flags & PTE_LEAF) === 0 ? this.ptes : this.leaves, pfn, found);
      const head = memory.folioOf(pfn);
      if ((memory.flags[head] & (PG_HEAD | PG_HUGETLB)) === PG_HEAD) {
        const byMm = this.largeByMm.get(head) ?? new Map<Mm, number>();
        byMm.set(vma.mm, (byMm.get(vma.mm) ?? 0) + 1);
        this.largeByMm.set(head, byMm);
      }
    });
  }

  private scanHolders(kernel: Kernel): void {
    const { memory } = kernel;
    const pipes = new Set<PageHolder>();
    const rings = new Set<PageHolder>();
    for (const process of kernel.processes.values()) {
      for (const holder of process.pipes.values()) pipes.add(holder);
      for (const holder of process.rings.values()) rings.add(holder);
    }
    for (const holder of pipes) {
      for (const pfn of holder.pfns) add(this.heldReferences, memory.folioOf(pfn), 1);
    }
    for (const holder of rings) {
      for (const { head, count } of holder.pins) {
        const isLarge = (memory.flags[head] & PG_HEAD) !== 0;
        add(this.heldReferences, head, isLarge ? count : count * GUP_PIN_COUNTING_BIAS);
        add(this.pins, head, count);
      }
    }
  }
}

function push(map: Map<number, MappedEntry[]>, key: number, value: MappedEntry): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function add<Key>(map: Map<Key, number>, key: Key, count: number): void {
  map.set(key, (map.get(key) ?? 0) + count);
}
