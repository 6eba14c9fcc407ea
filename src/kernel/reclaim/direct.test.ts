import { describe, expect, it } from 'vitest';
import { Machine } from '../machine.js';
import { swapProblems } from '../swap/swap_claims.js';

const REGION_START = 0x1000000;
const MEMORY_PAGES = 256;

function smallMachine(swap: 'zram' | 'file' | undefined): Machine {
  const machine = new Machine({
    profile: { memoryPages: MEMORY_PAGES },
    regionStart: REGION_START,
  });
  if (swap !== undefined) machine.apply({ op: 'swapon', kind: swap });
  return machine;
}

function mapAnon(machine: Machine, at: number, n: number): void {
  machine.apply({ op: 'mmap', p: 0, at, n, prot: 'rw', flags: 'private|anon' });
}

// @covers try_to_free_pages, shrink_inactive_list, shrink_active_list

describe('a machine that is short of memory', () => {
  it.each(['zram', 'file'] as const)('swaps to %s and reads everything back', (kind) => {
    const machine = smallMachine(kind);
    mapAnon(machine, 0, 1000);
    for (let at = 0; at < 1000; at += 1) {
      machine.apply({ op: 'write', p: 0, at, n: 1, v: at + 1 });
    }
    expect(machine.kernel.swap.freeSlots).toBeLessThan(16_383 - 700);
    for (let at = 0; at < 1000; at += 1) {
      expect(machine.apply({ op: 'read', p: 0, at, n: 1 }).vals).toEqual([[at + 1, 1]]);
    }
    expect(swapProblems(machine.kernel)).toEqual([]);
  });

  it('without swap ends the access', () => {
    const machine = smallMachine(undefined);
    mapAnon(machine, 0, 1000);
    const { vals } = machine.apply({ op: 'write', p: 0, at: 0, n: 1000, v: 1 });
    expect(vals?.at(-1)?.[0]).toBe('SEGV');
    expect(machine.kernel.memory.freePages).toBe(0);
  });

  it('drops clean file pages first, dirty ones after they are written', () => {
    const machine = smallMachine(undefined);
    machine.apply({ op: 'file', id: 'f', n: 600, kind: 'tmp' });
    machine.apply({ op: 'mmap', p: 0, at: 0, n: 600, prot: 'rw', flags: 'shared', file: 'f' });
    for (let at = 0; at < 600; at += 1) {
      machine.apply({ op: 'write', p: 0, at, n: 1, v: at + 1 });
    }
    for (let at = 0; at < 600; at += 1) {
      expect(machine.apply({ op: 'read', p: 0, at, n: 1 }).vals).toEqual([[at + 1, 1]]);
    }
  });

  it('swaps shared memory', () => {
    const machine = smallMachine('zram');
    machine.apply({ op: 'mmap', p: 0, at: 0, n: 600, prot: 'rw', flags: 'shared|anon' });
    for (let at = 0; at < 600; at += 1) {
      machine.apply({ op: 'write', p: 0, at, n: 1, v: at + 1 });
    }
    for (let at = 0; at < 600; at += 1) {
      expect(machine.apply({ op: 'read', p: 0, at, n: 1 }).vals).toEqual([[at + 1, 1]]);
    }
    expect(swapProblems(machine.kernel)).toEqual([]);
  });

  it('drops lazily freed pages without writing them', () => {
    const machine = smallMachine('zram');
    mapAnon(machine, 0, 200);
    machine.apply({ op: 'write', p: 0, at: 0, n: 200, v: 7 });
    machine.apply({ op: 'madvise', p: 0, at: 0, n: 200, advice: 'free' });
    mapAnon(machine, 500, 200);
    machine.apply({ op: 'write', p: 0, at: 500, n: 200, v: 8 });
    expect(machine.apply({ op: 'read', p: 0, at: 500, n: 200 }).vals).toEqual([[8, 200]]);
    const { vals } = machine.apply({ op: 'read', p: 0, at: 0, n: 200 });
    expect(vals?.[0]).toEqual([0, expect.any(Number)]);
  });

  it('cannot switch swap off, and stays whole', () => {
    const machine = smallMachine('zram');
    mapAnon(machine, 0, 1000);
    machine.apply({ op: 'write', p: 0, at: 0, n: 1000, v: 7 });
    expect(machine.apply({ op: 'swapoff' }).err).toBe('ENOMEM');
    expect(swapProblems(machine.kernel)).toEqual([]);
    expect(machine.apply({ op: 'read', p: 0, at: 0, n: 1000 }).vals).toEqual([[7, 1000]]);
  });

  it('never takes locked pages', () => {
    const machine = smallMachine('zram');
    mapAnon(machine, 0, 100);
    machine.apply({ op: 'write', p: 0, at: 0, n: 100, v: 7 });
    machine.apply({ op: 'mlock', p: 0, at: 0, n: 100 });
    mapAnon(machine, 500, 600);
    machine.apply({ op: 'write', p: 0, at: 500, n: 600, v: 8 });
    const { flt, maj } = machine.apply({ op: 'read', p: 0, at: 0, n: 100 });
    expect([flt, maj]).toEqual([0, 0]);
  });
});
