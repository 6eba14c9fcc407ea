import { PAGES_PER_PMD, tableStart } from '../base/units.js';
import type { Machine } from '../kernel/machine.js';
import { findVma } from '../kernel/vm/mm.js';

/**
 * A fault got 2 MiB: its whole block is mapped from now on, even if the machine had mapped the zero
 * page in it before, one page at a time, since nothing tells which settings that fault met.
 */
export function fillBlock(machine: Machine, pid: number, vpn: number): void {
  const { kernel } = machine;
  const mm = kernel.processes.get(pid)?.mm;
  if (mm === undefined) return;
  const at = tableStart(vpn);
  if (kernel.pageTables.findPte(mm.pgd, vpn) < 0) return;
  const vma = findVma(mm, vpn);
  if (vma === undefined || vma.file !== undefined || vma.anonVma === undefined) return;
  if (vma.start > at || vma.end < at + PAGES_PER_PMD) return;
  machine.apply({ op: 'madvise', p: pid, at, n: PAGES_PER_PMD, advice: 'collapse' });
}
