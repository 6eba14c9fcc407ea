import { PAGE_SIZE_BYTES } from '../base/units.js';
import type { Machine } from '../kernel/machine.js';
import { findVma } from '../kernel/vm/mm.js';
import { UNKNOWN_LENGTH_PAGES } from './replay_files.js';

/** Lowest page where a stack may be in an unknown image. */
const STACK_AREA_PAGE = 0x7ff000000000 / PAGE_SIZE_BYTES;

interface RefusedFault {
  readonly pid: number;
  readonly vpn: number;
}

/** Writes that the machine answers with a signal, although the kernel allocated a page for them. */
export class RefusedFaults {
  private readonly machine: Machine;
  private readonly byTid = new Map<number, RefusedFault>();

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /**
   * Where nothing is known to be mapped, yet the program writes, a private page is mapped. Returns
   * whether that was so.
   */
  mapUnknown(pid: number, vpn: number): boolean {
    const mm = this.machine.kernel.processes.get(pid)?.mm;
    if (mm === undefined || findVma(mm, vpn) !== undefined) return false;
    const flags = vpn >= STACK_AREA_PAGE ? 'private|anon|fixed|growsdown' : 'private|anon|fixed';
    this.machine.apply({ op: 'mmap', p: pid, at: vpn, n: 1, prot: 'rw', flags });
    return true;
  }

  /** A fault of the thread was refused. */
  add(tid: number, pid: number, vpn: number): void {
    this.byTid.set(tid, { pid, vpn });
  }

  /** Another fault of the thread. */
  forget(tid: number): void {
    if (this.byTid.size > 0) this.byTid.delete(tid);
  }

  /**
   * A counter tells that the thread's fault mapped a page. Then it was not behind the end of its
   * file: the descriptor meant another one by then, as no event tells when one is closed. Returns
   * whether the machine has mapped it now.
   */
  mapped(tid: number): boolean {
    const fault = this.byTid.get(tid);
    if (fault === undefined) return false;
    this.byTid.delete(tid);
    const { pid, vpn } = fault;
    const { kernel, files } = this.machine;
    const mm = kernel.processes.get(pid)?.mm;
    const mapping = mm === undefined ? undefined : findVma(mm, vpn)?.file?.mapping;
    for (const [file, known] of files) {
      if (known !== mapping) continue;
      this.machine.apply({ op: 'ftruncate', file, n: UNKNOWN_LENGTH_PAGES });
      return this.machine.apply({ op: 'fault', p: pid, at: vpn, write: 1 }).ret === 0;
    }
    return false;
  }
}
