import { fail } from '../../base/errors.js';
import { NIL, PAGES_PER_PMD } from '../../base/units.js';
import type { Machine } from '../../kernel/machine.js';
import type { Operation, OperationResult } from '../../kernel/operation.js';
import { PTE_LEAF, PTE_PRESENT } from '../../kernel/pgtable/pte.js';
import { isAnonFolio } from '../../kernel/phys/folio.js';
import { pageAt, walkEntries } from '../../kernel/state/page_walk.js';
import { ShadowMemory } from './shadow_memory.js';
import type { ShadowPage } from './shadow_page.js';

/** Id under which a difference is reported, beside the ids of the invariants. */
export const CONTENT_INVARIANT = 'content.shadow-memory';

/**
 * The content invariant (spec 90 A6, number 53): tell it every operation. It compares what reads
 * gave with a plain model, and then every page that any process maps or has pinned, so that a leak
 * shows before somebody reads it.
 */
export class ContentOracle {
  readonly shadow: ShadowMemory;
  private readonly machine: Machine;

  /** @param machine A fresh machine: nothing was done to it yet. */
  constructor(machine: Machine) {
    this.machine = machine;
    this.shadow = new ShadowMemory(machine);
  }

  /** What is wrong after the operation, one sentence each; empty if memory holds what it should. */
  after(operation: Operation, result: OperationResult): string[] {
    return [...this.shadow.observe(operation, result), ...this.atRest()];
  }

  /** What is mapped or pinned and should not be, when no operation is in progress. */
  atRest(): string[] {
    return [...this.wrongMappings(), ...this.wrongPins()];
  }

  /** Present entries that show a page with another content. */
  private wrongMappings(): string[] {
    const wrong: string[] = [];
    const { kernel, regionStart } = this.machine;
    const { memory, pageTables } = kernel;
    for (const [id, process] of kernel.processes) {
      const mm = this.shadow.processes.get(id)?.mm;
      if (mm === undefined) continue;
      for (const vma of process.mm.vmas) {
        walkEntries(kernel, vma, (entry, vpn, pages, level) => {
          if ((pageTables.flags[entry] & PTE_PRESENT) === 0) return;
          const pfn = pageAt(kernel, entry, vpn, level);
          for (let i = 0; i < pages; i += 1) {
            const value = memory.content[pfn + i];
            // Of a gigantic page only what is there: a word that got lost shows when it is read.
            if (value === 0 && pages > PAGES_PER_PMD) continue;
            const page = mm.pageOrStack(vpn + i - regionStart);
            if (page.accepts(value)) continue;
            wrong.push(
              `process ${id} maps ${value} at ${vpn + i - regionStart}, it holds ${page.expected}`,
            );
          }
        });
      }
    }
    return wrong;
  }

  /** Frame behind a page of the model; NIL if nothing is mapped, undefined if nobody has it. */
  private mappedPage(page: ShadowPage): number | undefined {
    const { kernel, regionStart } = this.machine;
    for (const [id, { mm }] of this.shadow.processes) {
      const pgd = kernel.processes.get(id)?.mm.pgd;
      for (const [at, candidate] of mm.knownPages()) {
        if (candidate !== page || pgd === undefined) continue;
        const vpn = at + regionStart;
        const entry = kernel.pageTables.findLeaf(pgd, vpn);
        if (entry === NIL || (kernel.pageTables.flags[entry] & PTE_PRESENT) === 0) return NIL;
        const isLeaf = (kernel.pageTables.flags[entry] & PTE_LEAF) !== 0;
        return (
          kernel.pageTables.payload[entry] +
          (isLeaf ? vpn % (page.unitPages > 1 ? page.unitPages : 512) : 0)
        );
      }
    }
    return undefined;
  }

  /** Pinned private pages that the process does not see any more, though it did not let go. */
  private wrongPins(): string[] {
    const wrong: string[] = [];
    const { kernel } = this.machine;
    for (const [id, process] of kernel.processes) {
      for (const [key, ring] of process.rings) {
        const pins = this.shadow.processes.get(id)?.rings.get(key) ?? [];
        for (const [i, { page, generation }] of pins.entries()) {
          const pfn = ring.pfns[i];
          if (page.isShared || page.generation !== generation) continue;
          if (pfn === undefined || !isAnonFolio(kernel, kernel.memory.folioOf(pfn))) continue;
          const value = kernel.memory.content[pfn];
          if (!page.accepts(value)) {
            wrong.push(`ring ${key} of process ${id} holds ${value}, the process ${page.expected}`);
          }
          const mapped = this.mappedPage(page);
          if (mapped !== undefined && mapped !== pfn) {
            wrong.push(`ring ${key} of process ${id} holds another page than the process maps`);
          }
        }
      }
    }
    return wrong;
  }
}

/** Crashes (RmapError `bug`) at the first difference, as `checkInvariants` does. */
export function checkContent(
  oracle: ContentOracle,
  operation: Operation,
  result: OperationResult,
): void {
  const [first] = oracle.after(operation, result);
  if (first !== undefined) fail(`invariant ${CONTENT_INVARIANT}: ${first}`);
}
