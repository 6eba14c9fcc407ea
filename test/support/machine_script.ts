import { NIL } from '../../src/base/units.js';
import { Machine } from '../../src/kernel/machine.js';
import type { Operation, OperationResult } from '../../src/kernel/operation.js';
import { PTE_PRESENT } from '../../src/kernel/pgtable/pte.js';
import type { Profile } from '../../src/kernel/profile.js';
import type { FolioState, MachineState, StateRun } from '../../src/kernel/state/state_types.js';

/** Away from page 0, so that a forgotten conversion shows. */
const REGION_START = 0x100000;

/** What one page of a process shows: the run that contains it, cut to the page. */
export type PageView = StateRun & { readonly folioState?: FolioState };

/** Operations on a machine, and short answers about its state. Process 0 unless given. */
export class MachineScript {
  readonly machine: Machine;

  constructor(profile: Partial<Profile> = {}) {
    this.machine = new Machine({
      profile: { memoryPages: 8192, ...profile },
      regionStart: REGION_START,
    });
  }

  get kernel(): Machine['kernel'] {
    return this.machine.kernel;
  }

  run(...operations: Operation[]): OperationResult {
    let result: OperationResult = { ret: 0 };
    for (const operation of operations) result = this.machine.apply(operation);
    return result;
  }

  /** Errno of the operation, or its result. */
  answer(operation: Operation): number | string {
    const { ret, err } = this.machine.apply(operation);
    return err ?? ret;
  }

  map(at: number, n: number, prot: 'rw' | 'r' = 'rw', p = 0): void {
    this.run({ op: 'mmap', p, at, n, prot, flags: 'private|anon' });
  }

  mapShared(at: number, n: number, p = 0): void {
    this.run({ op: 'mmap', p, at, n, prot: 'rw', flags: 'shared|anon' });
  }

  write(at: number, n: number, v: number, p = 0): OperationResult {
    return this.run({ op: 'write', p, at, n, v });
  }

  /** Values of the pages, one each. */
  read(at: number, n = 1, p = 0): unknown[] {
    const { vals } = this.run({ op: 'read', p, at, n });
    return (vals ?? []).flatMap(([value, count]) => new Array<unknown>(count).fill(value));
  }

  fork(p: number, c: number): void {
    this.run({ op: 'fork', p, c });
  }

  state(): MachineState {
    return this.machine.state();
  }

  /** The page as a dump shows it; undefined if nothing is there. */
  page(at: number, p = 0): PageView | undefined {
    const state = this.state();
    for (const vma of state.procs[p].vmas) {
      for (const run of vma.pages) {
        if (at < run.at || at >= run.at + run.n) continue;
        return run.k === 'page' ? { ...run, folioState: state.folios[run.folio] } : run;
      }
    }
    return undefined;
  }

  /** `w d ae` bits of a page as a text like `w-e`, `-`; other kinds by name. */
  bits(at: number, p = 0): string {
    const page = this.page(at, p);
    if (page === undefined) return 'none';
    if (page.k !== 'page') return page.k;
    const text = `${page.w === 1 ? 'w' : '-'}${page.d === 1 ? 'd' : '-'}${page.ae === 1 ? 'e' : '-'}`;
    return page.uffd_wp === 1 ? `${text} wp` : text;
  }

  /** Kind of the folio behind a page. */
  kind(at: number, p = 0): string {
    const page = this.page(at, p);
    if (page === undefined) return 'none';
    return page.k === 'page' ? (page.folioState?.kind ?? '?') : page.k;
  }

  /** Items of a merged page, newest first, as `process:page`. */
  items(at: number, p = 0): string {
    const page = this.page(at, p);
    const items = page?.k === 'page' ? page.folioState?.ksm : undefined;
    return (items ?? []).map((item) => `${item.p ?? 'gone'}:${item.at}`).join(' ');
  }

  /** Page frame behind a page; −1 if none is mapped. */
  pfn(at: number, p = 0): number {
    const { kernel } = this;
    const mm = kernel.processes.get(p)?.mm;
    if (mm === undefined) return -1;
    const vpn = at + REGION_START;
    const entry = kernel.pageTables.findLeaf(mm.pgd, vpn);
    if (entry < 0 || (kernel.pageTables.flags[entry] & PTE_PRESENT) === 0) return -1;
    return kernel.pageTables.pageOfLeaf(mm.pgd, entry, vpn);
  }

  /** Index of the PMD entry of a page of process 0; NIL if it has no PMD table. */
  pmdEntry(at: number): number {
    const mm = this.kernel.processes.get(0)?.mm;
    return mm === undefined ? NIL : this.kernel.pageTables.findPmd(mm.pgd, at + REGION_START);
  }

  /** `VmFlags` of the VMA at a page. */
  flags(at: number, p = 0): string {
    const vma = this.state().procs[p].vmas.find((one) => at >= one.at && at < one.at + one.n);
    return vma?.flags ?? '';
  }
}
