import { describe, expect, test } from 'vitest';
import { Machine } from '../kernel/machine.js';
import { sharingOf, whoMaps } from './machine_sharing.js';

function forkedMachine(): Machine {
  const machine = new Machine();
  machine.apply({ op: 'mmap', p: 0, at: 64, n: 4, prot: 'rw', flags: 'private|anon' });
  machine.apply({ op: 'write', p: 0, at: 64, n: 4, v: 1 });
  machine.apply({ op: 'fork', p: 0, c: 1 });
  machine.apply({ op: 'write', p: 1, at: 64, n: 1, v: 2 });
  return machine;
}

describe('who maps a page', () => {
  test('names every process that shares it', () => {
    const { mappers, mapcount, exclusive } = whoMaps(forkedMachine(), 0, 65);
    expect(mappers).toEqual([
      { process: 0, page: 65, level: 'pte', writable: false },
      { process: 1, page: 65, level: 'pte', writable: false },
    ]);
    expect({ mapcount, exclusive }).toEqual({ mapcount: 2, exclusive: false });
  });

  test('a copied page has its writer alone', () => {
    const { mappers, exclusive } = whoMaps(forkedMachine(), 1, 64);
    expect(mappers).toEqual([{ process: 1, page: 64, level: 'pte', writable: true }]);
    expect(exclusive).toBe(true);
  });

  test('a page inside a 1 GiB page is found, at its level', () => {
    const pages = 2 ** 18;
    const machine = new Machine({ profile: { memoryPages: 3 * pages } });
    machine.apply({ op: 'config', key: 'hugetlb1g', value: 1 });
    const flags = 'private|anon|hugetlb1g|fixed';
    machine.apply({ op: 'mmap', p: 0, at: pages, n: pages, prot: 'rw', flags });
    machine.apply({ op: 'write', p: 0, at: pages, n: 1, v: 1 });
    const { state, pfn, mapcount } = whoMaps(machine, 0, pages + 700);
    expect({ state, mapcount }).toEqual({ state: 'mapped', mapcount: 1 });
    expect(pfn).toBe((whoMaps(machine, 0, pages).pfn ?? 0) + 700);
  });

  test('absent, zero and swapped pages are told apart', () => {
    const machine = forkedMachine();
    machine.apply({ op: 'swapon', kind: 'zram' });
    machine.apply({ op: 'madvise', p: 1, at: 64, n: 1, advice: 'pageout' });
    machine.apply({ op: 'mmap', p: 1, at: 128, n: 1, prot: 'rw', flags: 'private|anon' });
    machine.apply({ op: 'read', p: 1, at: 128, n: 1 });
    expect(whoMaps(machine, 1, 64).state).toBe('swapped');
    expect(whoMaps(machine, 1, 128).state).toBe('zero page');
    expect(whoMaps(machine, 1, 500).state).toBe('absent');
    expect(whoMaps(machine, 9, 64).state).toBe('absent');
  });
});

test('sharing counts pages exactly', () => {
  const [parent, child] = sharingOf(forkedMachine());
  expect(parent).toEqual({
    process: 0,
    residentPages: 4,
    privatePages: 1,
    sharedPages: 3,
    swappedPages: 0,
    proportionalPages: 2.5,
  });
  expect(child).toMatchObject({ process: 1, privatePages: 1, sharedPages: 3 });
});
