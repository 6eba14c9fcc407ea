import { vi } from 'vitest';
import { NIL } from '../../src/base/units.js';
import { Machine } from '../../src/kernel/machine.js';
import { PTE_PRESENT, PTE_SPECIAL } from '../../src/kernel/pgtable/pte.js';

/** After each write, one bit of the word in its first page is another, until mocks are restored. */
export function flipBitsBehindWrites(): void {
  const apply = Object.getOwnPropertyDescriptor(Machine.prototype, 'apply')?.value as (
    this: Machine,
    ...given: Parameters<Machine['apply']>
  ) => ReturnType<Machine['apply']>;
  vi.spyOn(Machine.prototype, 'apply').mockImplementation(function (this: Machine, operation) {
    const result = apply.call(this, operation);
    const { pageTables, memory, processes } = this.kernel;
    if (operation.op !== 'write') return result;
    const pgd = processes.get(operation.p)?.mm.pgd ?? NIL;
    const entry = pageTables.findPte(pgd, operation.at + this.regionStart);
    const pte = entry === NIL ? 0 : pageTables.flags[entry];
    if ((pte & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT) {
      memory.content[pageTables.payload[entry]] ^= 1;
    }
    return result;
  });
}
