import { afterEach, expect, it, vi } from 'vitest';
import { Machine } from '../kernel/machine.js';
import { NIL } from '../base/units.js';
import { PTE_PRESENT, PTE_SPECIAL } from '../kernel/pgtable/pte.js';
import { fuzzEngine } from './fuzz_engine.js';
import type { FuzzFinding } from './fuzz_findings.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** After each write, one bit of the word in its first page is another. */
function flipBitsBehindWrites(): void {
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

async function fuzz(check: boolean): Promise<FuzzFinding[]> {
  const found: FuzzFinding[] = [];
  const generated = [1, 2, 3].map((seed) => ({ seed, mode: 'small', operationCount: 25 }) as const);
  await fuzzEngine({
    scenarios: generated.map((one) => ({ generated: one, profile: 'default' })),
    check,
    onStart: () => undefined,
    onScenario: () => undefined,
    onFinding: (finding) => found.push(finding) === 0,
  });
  return found;
}

it('finds nothing where memory is sound', async () => {
  expect(await fuzz(true)).toEqual([]);
});

it('notices one wrong bit of memory, and makes the scenario small', async () => {
  flipBitsBehindWrites();
  const [finding] = await fuzz(true);
  expect(finding?.message).toMatch(/^invariant content\.shadow-memory: process 0 maps \d+ at/);
  expect(finding?.operations.at(-1)?.op).toBe('write');
  expect(finding?.operations.length).toBeLessThanOrEqual(4);
});

it('looks at the content only when asked to check', async () => {
  flipBitsBehindWrites();
  expect(await fuzz(false)).toEqual([]);
});
