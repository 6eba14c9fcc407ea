import { Machine } from '../kernel/machine.js';
import { HugePools } from './huge_pools.js';
import type { Operation, OperationResult } from '../kernel/operation.js';

/** 256 MiB: most recorded programs need less. */
const FIRST_MEMORY_PAGES = 65_536;
/** What every page holds whose writes were not seen. */
export const UNKNOWN_CONTENT = 1;
/** What one fault may take at most: a huge page and the tables of other mappings' copies. */
const FAULT_PAGES = 1024;

/**
 * A machine that gets more memory before it runs short, since the size of a recorded program is
 * known only when it is over.
 */
export class ReplayMachine extends Machine {
  private readonly mostPages: number;
  private readonly hugePools: HugePools;

  /** @param mostPages Physical memory that it never exceeds. */
  constructor(mostPages: number) {
    super({ profile: { memoryPages: Math.min(FIRST_MEMORY_PAGES, mostPages) } });
    this.mostPages = mostPages;
    this.hugePools = new HugePools(this);
    // No page is known to be full of zeros, so that splits keep them all.
    this.kernel.memory.blankWord = UNKNOWN_CONTENT;
  }

  override apply(operation: Operation): OperationResult {
    const need = this.hugePools.shortOf(operation);
    if (need !== undefined) {
      this.ensureFree(need.pages * 2 ** need.order);
      super.apply(this.hugePools.growth(need));
    }
    this.ensureFree(pagesFilledBy(operation));
    return super.apply(operation);
  }

  private ensureFree(pages: number): void {
    const { memory } = this.kernel;
    const reserve = FAULT_PAGES + memory.pageCount / 4;
    if (memory.freePages < reserve + pages) this.grow(reserve + pages);
  }

  private grow(wantedPages: number): void {
    const { memory } = this.kernel;
    let pageCount = memory.pageCount;
    while (
      pageCount < this.mostPages &&
      memory.freePages + pageCount - memory.pageCount < wantedPages
    ) {
      pageCount = Math.min(pageCount * 2, this.mostPages);
    }
    if (pageCount > memory.pageCount) memory.addPages(pageCount - memory.pageCount);
  }
}

/** Most pages that an operation may fill by itself; faults are covered by the reserve. */
function pagesFilledBy(operation: Operation): number {
  switch (operation.op) {
    case 'write':
    case 'mem_write':
    case 'read':
    case 'mlock':
    case 'madvise':
      return operation.n;
    case 'mmap':
      return operation.flags.includes('populate') || operation.flags.includes('locked')
        ? operation.n
        : 0;
    default:
      return 0;
  }
}
