import { describe, expect, it } from 'vitest';
import { ReplayMachine } from './replay_machine.js';

const MMAP = { op: 'mmap', p: 0, at: 16, prot: 'rw', flags: 'private|anon|fixed' } as const;

describe('a machine for replay', () => {
  it('gets memory before an operation that fills more than it has', () => {
    const machine = new ReplayMachine(2 ** 20);
    const before = machine.kernel.memory.pageCount;
    machine.apply({ ...MMAP, n: 3 * before });
    expect(machine.kernel.memory.pageCount).toBe(before);
    expect(machine.apply({ op: 'write', p: 0, at: 16, n: 3 * before, v: 7 }).ret).toBe(0);
    expect(machine.kernel.memory.pageCount).toBeGreaterThan(3 * before);
    expect(machine.apply({ op: 'fork', p: 0, c: 1 }).ret).toBe(0);
    expect(machine.kernel.processes.get(1)?.mm.rss[1]).toBe(3 * before);
  });

  it('grows page by page too, and keeps what the pages held', () => {
    const machine = new ReplayMachine(2 ** 20);
    const { memory } = machine.kernel;
    const n = 2 * memory.pageCount;
    machine.apply({ ...MMAP, n });
    for (let at = 16; at < 16 + n; at += 1) {
      if (machine.apply({ op: 'fault', p: 0, at, write: 1 }).ret !== 0)
        throw new Error(`page ${at}`);
    }
    const mapped = memory.mapcount.subarray(0, memory.pageCount).filter((count) => count === 1);
    expect(mapped.length).toBe(n);
  });

  it('has no more than it may have', () => {
    const machine = new ReplayMachine(2 ** 17);
    machine.apply({ ...MMAP, n: 2 ** 18 });
    machine.apply({ op: 'write', p: 0, at: 16, n: 2 ** 18, v: 7 });
    expect(machine.kernel.memory.pageCount).toBe(2 ** 17);
    expect(machine.kernel.memory.freePages).toBe(0);
  });
});
