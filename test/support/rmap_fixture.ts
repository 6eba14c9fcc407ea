import { NIL } from '../../src/base/units.js';
import type { Op } from '../../src/kernel/op/prims.js';
import { canInterleave } from '../../src/kernel/op/prims.js';
import { largeRow } from '../../src/kernel/phys/folio.js';
import type { Mm } from '../../src/kernel/vm/mm.js';
import type { Vma } from '../../src/kernel/vm/vma.js';
import { VM_LOCKED } from '../../src/kernel/vm/vm_flags.js';
import { accountPages } from '../../src/kernel/vm/vm_stat.js';
import { MachineScript } from './machine_script.js';

/** A small machine, and the structures behind its pages for calls of single functions. */
export class RmapFixture extends MachineScript {
  mm(p = 0): Mm {
    const mm = this.kernel.processes.get(p)?.mm;
    if (mm === undefined) throw new Error(`process ${p} does not live`);
    return mm;
  }

  /** Virtual page number inside the machine. */
  vpn(at: number): number {
    return at + this.machine.regionStart;
  }

  vma(at: number, p = 0): Vma {
    const vpn = this.vpn(at);
    const vma = this.mm(p).vmas.find(({ start, end }) => vpn >= start && vpn < end);
    if (vma === undefined) throw new Error(`no VMA at ${at}`);
    return vma;
  }

  /** Gives the VMA at a page other flags, as no operation would; its pages stay as they are. */
  setVmaFlags(at: number, change: (flags: number) => number, p = 0): void {
    const vma = this.vma(at, p);
    accountPages(vma.mm, vma.flags, -vma.lengthPages);
    vma.flags = change(vma.flags);
    accountPages(vma.mm, vma.flags, vma.lengthPages);
  }

  lockVma(at: number, p = 0): void {
    this.setVmaFlags(at, (flags) => flags | VM_LOCKED, p);
  }

  /** PTE of a page, or its huge PMD. */
  entry(at: number, p = 0): number {
    const { pageTables } = this.kernel;
    const { pgd } = this.mm(p);
    const pte = pageTables.findPte(pgd, this.vpn(at));
    return pte === NIL ? pageTables.findPmd(pgd, this.vpn(at)) : pte;
  }

  entryFlags(at: number, p = 0): number {
    return this.kernel.pageTables.flags[this.entry(at, p)];
  }

  /** Head of the folio behind a page. */
  folio(at: number, p = 0): number {
    return this.kernel.memory.folioOf(this.pfn(at, p));
  }

  /** Its row in the table of large folios. */
  row(at: number, p = 0): number {
    return largeRow(this.kernel, this.folio(at, p));
  }

  /** Folios of 16 pages for anonymous memory from now on. */
  useFoliosOf16(): void {
    this.run({ op: 'config', key: 'mthp.64kB', value: 'always' });
  }

  useHugePages(): void {
    this.run({ op: 'config', key: 'thp', value: 'always' });
  }
}

function* yieldNothing<T>(value: T): Op<T> {
  return value;
}

/** The value as a kernel function of the build under test returns it. */
export function asOp<T>(value: T): Op<T> {
  return canInterleave ? yieldNothing(value) : (value as unknown as Op<T>);
}
