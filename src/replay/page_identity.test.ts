import { describe, expect, it } from 'vitest';
import { Machine } from '../kernel/machine.js';
import { anonymousPageAt } from './mapped_page.js';
import { MmWords } from './mm_words.js';
import { PageIdentity } from './page_identity.js';
import { MOST_PFN, PfnTable } from './pfn_table.js';

function machineWithPages(n: number): Machine {
  const machine = new Machine();
  machine.apply({ op: 'mmap', p: 0, at: 16, n, prot: 'rw', flags: 'private|anon|fixed' });
  machine.apply({ op: 'write', p: 0, at: 16, n, v: 1 });
  return machine;
}

function pageAt(machine: Machine, vpn: number, p = 0): number {
  const mm = machine.kernel.processes.get(p)?.mm;
  return mm === undefined ? -1 : anonymousPageAt(machine.kernel, mm, vpn);
}

describe('frame numbers', () => {
  it('may lie far apart, and an unknown one has no number', () => {
    const table = new PfnTable();
    table.set(5, 7);
    table.set(MOST_PFN, 8);
    for (let i = 1; i <= 100; i += 1) table.set(i * 1000, i);
    const known = [5, 6, 1000, 100_000, MOST_PFN].map((pfn) => table.get(pfn));
    expect(known).toEqual([7, 0, 1, 100, 8]);
    expect([table.get(2 ** 30), table.get(2 ** 30 + 1)]).toEqual([0, 0]);
  });
});

describe('page identity', () => {
  it('finds every place of a frame', () => {
    const machine = machineWithPages(2);
    const identity = new PageIdentity(machine.kernel);
    identity.bind(pageAt(machine, 17), 1000);
    machine.apply({ op: 'fork', p: 0, c: 4 });
    expect(identity.placesOf(identity.find(1000))).toEqual([
      { pid: 0, vpn: 17 },
      { pid: 4, vpn: 17 },
    ]);
  });

  it('forgets a page that was unmapped or used again for another address', () => {
    const machine = machineWithPages(2);
    const identity = new PageIdentity(machine.kernel);
    const page = pageAt(machine, 16);
    identity.bind(page, 1000);
    machine.apply({ op: 'madvise', p: 0, at: 16, n: 2, advice: 'dontneed' });
    expect(identity.find(1000)).toBe(-1);
    machine.apply({ op: 'mmap', p: 0, at: 90, n: 2, prot: 'rw', flags: 'private|anon|fixed' });
    machine.apply({ op: 'write', p: 0, at: 90, n: 2, v: 1 });
    expect([pageAt(machine, 90), pageAt(machine, 91)]).toContain(page);
    expect(identity.find(1000)).toBe(-1);
  });

  it('follows a frame that moves, and one that is freed names nothing', () => {
    const machine = machineWithPages(2);
    const identity = new PageIdentity(machine.kernel);
    const page = pageAt(machine, 16);
    identity.bind(page, 1000);
    identity.move(1000, 2000);
    expect([identity.find(1000), identity.find(2000)]).toEqual([-1, page]);
    identity.forget(2000);
    expect([identity.find(2000), identity.isKnown(page)]).toEqual([-1, false]);
  });
});

describe('mm words', () => {
  it('belong to one process until it ends or has another', () => {
    const words = new MmWords();
    words.learn(0xabc, 1);
    expect([words.pidOf(0xabc), words.isEmpty]).toEqual([1, false]);
    words.learn(0xdef, 1);
    expect([words.pidOf(0xabc), words.pidOf(0xdef)]).toEqual([undefined, 1]);
    words.learn(0xdef, 2);
    words.forget(1);
    expect(words.pidOf(0xdef)).toBe(2);
  });
});
