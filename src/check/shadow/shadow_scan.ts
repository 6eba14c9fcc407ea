import type { Machine } from '../../kernel/machine.js';
import type { Operation, OperationResult } from '../../kernel/operation.js';
import { PTE_PRESENT } from '../../kernel/pgtable/pte.js';
import { isAnonFolio } from '../../kernel/phys/folio.js';
import { pageAt, walkEntries } from '../../kernel/state/page_walk.js';
import { ShadowMemory } from './shadow_memory.js';

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
    return [
      ...this.shadow.observe(operation, result),
      ...this.wrongMappings(),
      ...this.wrongPins(),
    ];
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
            const page = this.shadow.page(mm, vpn + i - regionStart);
            const value = memory.content[pfn + i];
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
          if (page.accepts(value)) continue;
          wrong.push(`ring ${key} of process ${id} holds ${value}, the process ${page.expected}`);
        }
      }
    }
    return wrong;
  }
}
