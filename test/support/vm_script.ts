import type { Kernel } from '../../src/kernel/kernel.js';
import { Machine } from '../../src/kernel/machine.js';
import type { MadviseAdvice, Operation, Prot } from '../../src/kernel/operation.js';
import type { Profile } from '../../src/kernel/profile.js';
import type { Mm } from '../../src/kernel/vm/mm.js';
import type { Vma } from '../../src/kernel/vm/vma.js';
import { formatVmFlags } from '../../src/kernel/vm/vm_flags.js';

/** Page from which addresses in scripts count. */
export const REGION_START = 0x1000000;

/** A machine driven by short calls; page numbers count from the region's start. */
export class VmScript {
  readonly machine: Machine;
  readonly kernel: Kernel;

  constructor(profile: Partial<Profile> = {}) {
    this.machine = new Machine({
      profile: { memoryPages: 8192, ...profile },
      regionStart: REGION_START,
    });
    this.kernel = this.machine.kernel;
  }

  /** Result of an operation: its value, or the name of the errno. */
  run(operation: Operation): number | string {
    const { ret, err } = this.machine.apply(operation);
    return err ?? ret;
  }

  map(at: number, n: number, prot: Prot = 'rw', flags = '', p = 0): number | string {
    const words = ['private', 'anon', ...(flags === '' ? [] : [flags])].join('|');
    return this.run({ op: 'mmap', p, at, n, prot, flags: words });
  }

  mapFile(file: string, at: number, n: number, flags: string, off = 0, p = 0): number | string {
    return this.run({ op: 'mmap', p, at, n, prot: 'rw', flags, file, off });
  }

  unmap(at: number, n: number, p = 0): number | string {
    return this.run({ op: 'munmap', p, at, n });
  }

  protect(at: number, n: number, prot: Prot, p = 0): number | string {
    return this.run({ op: 'mprotect', p, at, n, prot });
  }

  advise(at: number, n: number, advice: MadviseAdvice, p = 0): number | string {
    return this.run({ op: 'madvise', p, at, n, advice });
  }

  /** mremap with MREMAP_FIXED. */
  move(at: number, n: number, to: number, newPages = n, p = 0): number | string {
    return this.run({ op: 'mremap', p, at, n, new: newPages, to, flags: 'fixed' });
  }

  /** mremap in place. */
  resize(at: number, n: number, newPages: number, p = 0, flags = 'none'): number | string {
    return this.run({ op: 'mremap', p, at, n, new: newPages, flags });
  }

  write(at: number, n = 1, p = 0): void {
    this.run({ op: 'write', p, at, n, v: 1 });
  }

  fork(p: number, c: number): number | string {
    return this.run({ op: 'fork', p, c });
  }

  exit(p: number): number | string {
    return this.run({ op: 'exit', p });
  }

  mm(p = 0): Mm {
    const process = this.kernel.processes.get(p);
    if (process === undefined) throw new Error(`process ${p} does not live`);
    return process.mm;
  }

  /** VMA that starts at this page. */
  vma(at: number, p = 0): Vma {
    const vma = this.mm(p).vmas.find(({ start }) => start === at + REGION_START);
    if (vma === undefined) throw new Error(`no VMA starts at ${at}`);
    return vma;
  }

  /** `start-end` of every VMA. */
  ranges(p = 0): string {
    return this.mm(p)
      .vmas.map(({ start, end }) => `${start - REGION_START}-${end - REGION_START}`)
      .join(' ');
  }

  /** VmFlags line of the VMA that starts at this page. */
  flags(at: number, p = 0): string {
    return formatVmFlags(this.vma(at, p).flags);
  }

  /** Ids of the anon_vmas on the VMA's chain, newest first. */
  chain(at: number, p = 0): number[] {
    return this.vma(at, p).anonVmaChain.map(({ anonVma }) => anonVma.id);
  }

  /** `refcount children active` of an anon_vma. */
  counts(id: number): string {
    const { refcount, childCount, activeVmaCount } = this.kernel.anonVmas[id];
    return `${refcount} ${childCount} ${activeVmaCount}`;
  }

  /** Ids of the anon_vmas that live. */
  living(): number[] {
    return this.kernel.anonVmas.filter(({ refcount }) => refcount > 0).map(({ id }) => id);
  }

  /** Process and start of the VMAs on an anon_vma's tree, in order. */
  walk(id: number): string {
    const { intervals, avcOfRow, anonVmas } = this.kernel;
    const steps: string[] = [];
    let row = intervals.firstRow(anonVmas[id].tree);
    while (row >= 0) {
      const { vma } = avcOfRow[row]!;
      steps.push(`${vma.mm.id}:${vma.start - REGION_START}`);
      row = intervals.nextRow(row);
    }
    return steps.join(' ');
  }
}
