import { NIL } from '../base/units.js';
import type { Machine } from '../kernel/machine.js';
import { folioPrecisePageMapcount, isAnonFolio, isKsmFolio } from '../kernel/phys/folio.js';
import { PG_ANON_EXCLUSIVE } from '../kernel/phys/page_flags.js';
import {
  KIND_MASK,
  KIND_SWAP,
  PTE_LEAF,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_WRITE,
} from '../kernel/pgtable/pte.js';
import { runToEnd } from '../kernel/op/prims.js';
import { type MapperVisitor, visitMappers } from '../kernel/rmap/visit_mappers.js';
import { pageAt, walkEntries } from '../kernel/state/page_walk.js';
import type { Mm } from '../kernel/vm/mm.js';

/** One mapping of a page. */
export interface PageMapper {
  /** Process whose address space it is. */
  readonly process: number;
  /** Page number in that address space, from the machine's region start. */
  readonly page: number;
  readonly level: 'pte' | 'pmd';
  readonly writable: boolean;
}

/** Who maps a page, found by a walk of the reverse map. */
export interface PageMappers {
  readonly state: 'mapped' | 'zero page' | 'swapped' | 'absent';
  readonly kind: 'anonymous' | 'KSM' | 'file' | undefined;
  readonly pfn: number | undefined;
  readonly mapcount: number;
  /** The page may be written in place by its only user. */
  readonly exclusive: boolean;
  readonly mappers: readonly PageMapper[];
}

/** Pages of one process by how they are shared. */
export interface ProcessSharing {
  readonly process: number;
  /** Pages present. */
  readonly residentPages: number;
  /** Of them: mapped only here, and mapped elsewhere too. */
  readonly privatePages: number;
  readonly sharedPages: number;
  readonly swappedPages: number;
  /** Each page divided by its mapcount. */
  readonly proportionalPages: number;
}

/**
 * Who maps the page at `page` of a process? `page` counts from the machine's region start.
 */
export function whoMaps(machine: Machine, process: number, page: number): PageMappers {
  const { kernel, regionStart } = machine;
  const mm = kernel.processes.get(process)?.mm;
  const nobody = { kind: undefined, pfn: undefined, mapcount: 0, exclusive: false, mappers: [] };
  if (mm === undefined) return { state: 'absent', ...nobody };
  const vpn = page + regionStart;
  const { pageTables, memory } = kernel;
  const entry = pageTables.findLeaf(mm.pgd, vpn);
  const flags = entry === NIL ? 0 : (pageTables.flags[entry] ?? 0);
  if ((flags & PTE_PRESENT) === 0) {
    return { state: (flags & KIND_MASK) === KIND_SWAP ? 'swapped' : 'absent', ...nobody };
  }
  if ((flags & PTE_SPECIAL) !== 0) return { state: 'zero page', ...nobody };
  const pfn = pageTables.pageOfLeaf(mm.pgd, entry, vpn);
  const head = memory.folioOf(pfn);
  const isKsm = isKsmFolio(kernel, head);
  const exclusiveAt = (flags & PTE_LEAF) === 0 ? pfn : head;
  return {
    state: 'mapped',
    kind: isKsm ? 'KSM' : isAnonFolio(kernel, head) ? 'anonymous' : 'file',
    pfn,
    mapcount: folioPrecisePageMapcount(kernel, head, pfn),
    exclusive: ((memory.flags[exclusiveAt] ?? 0) & PG_ANON_EXCLUSIVE) !== 0,
    mappers: mappersOf(machine, head, pfn),
  };
}

/** Walks the reverse map of a folio and keeps the entries that show one page. */
function mappersOf(machine: Machine, head: number, pfn: number): PageMapper[] {
  const processes = processesByMm(machine);
  const { flags } = machine.kernel.pageTables;
  const mappers: PageMapper[] = [];
  const add: MapperVisitor = (vma, vpn, entry, isHuge) => {
    mappers.push({
      process: processes.get(vma.mm) ?? -1,
      page: vpn - machine.regionStart,
      level: isHuge ? 'pmd' : 'pte',
      writable: ((flags[entry] ?? 0) & PTE_WRITE) !== 0,
    });
  };
  runToEnd(visitMappers(machine.kernel, head, pfn, add));
  return mappers;
}

function processesByMm(machine: Machine): Map<Mm, number> {
  const processes = new Map<Mm, number>();
  for (const process of machine.kernel.processes.values()) {
    if (!processes.has(process.mm)) processes.set(process.mm, process.id);
  }
  return processes;
}

/** How every process shares its memory now. */
export function sharingOf(machine: Machine): ProcessSharing[] {
  const { kernel } = machine;
  const result: ProcessSharing[] = [];
  for (const [mm, process] of processesByMm(machine)) {
    let resident = 0;
    let shared = 0;
    let swapped = 0;
    let proportional = 0;
    for (const vma of mm.vmas) {
      walkEntries(kernel, vma, (entry, vpn, count, level) => {
        const flags = kernel.pageTables.flags[entry] ?? 0;
        if ((flags & PTE_PRESENT) === 0) {
          if ((flags & KIND_MASK) === KIND_SWAP) swapped += count;
          return;
        }
        if ((flags & PTE_SPECIAL) !== 0) return;
        const first = pageAt(kernel, entry, vpn, level);
        const head = kernel.memory.folioOf(first);
        for (let i = 0; i < count; i += 1) {
          const mapcount = Math.max(1, folioPrecisePageMapcount(kernel, head, first + i));
          resident += 1;
          if (mapcount > 1) shared += 1;
          proportional += 1 / mapcount;
        }
      });
    }
    result.push({
      process,
      residentPages: resident,
      privatePages: resident - shared,
      sharedPages: shared,
      swappedPages: swapped,
      proportionalPages: proportional,
    });
  }
  return result;
}
