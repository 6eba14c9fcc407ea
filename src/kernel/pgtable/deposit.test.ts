import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

const HUGE = { op: 'config', key: 'thp', value: 'always' } as const;
/** Pages below one PMD table. */
const PMD_TABLE_PAGES = 512 * 512;

/** `blocks` huge pages from page 512 on, written. */
function hugeScript(blocks = 1): MachineScript {
  const script = new MachineScript();
  script.run(HUGE);
  script.map(512, 512 * blocks);
  for (let i = 1; i <= blocks; i += 1) script.write(512 * i, 1, i);
  return script;
}

/** Stored page tables of all PMD tables. */
function storedCount(script: MachineScript): number {
  return [...script.kernel.pageTables.deposited.values()].flat().length;
}

describe('page tables in store for huge entries (spec 90 A6.49)', () => {
  it('are as many as huge entries of anonymous memory, of zeros too', () => {
    const script = hugeScript(2);
    expect(storedCount(script)).toBe(2);
    script.map(4096, 512);
    script.read(4096);
    expect(storedCount(script)).toBe(3);
    script.write(4096, 1, 7);
    expect(storedCount(script)).toBe(3);
    script.fork(0, 1);
    expect(storedCount(script)).toBe(6);
    script.run({ op: 'exit', p: 1 });
    expect(storedCount(script)).toBe(3);
    checkInvariants(script.kernel);
  });

  it('are what a split uses', () => {
    const script = hugeScript();
    const { pageTables } = script.kernel;
    const nodes = pageTables.nodeCount;
    const [stored] = [...pageTables.deposited.values()].flat();
    script.run({ op: 'munmap', p: 0, at: 1000, n: 24 });
    expect(storedCount(script)).toBe(0);
    expect(pageTables.nodeCount).toBe(nodes);
    expect(pageTables.payload[script.pmdEntry(512)]).toBe(stored);
  });

  it('go with the last entry: nothing is left after exit', () => {
    const script = hugeScript(3);
    script.map(4096, 512);
    script.read(4096);
    script.fork(0, 1);
    script.run({ op: 'exit', p: 0 });
    script.run({ op: 'exit', p: 1 });
    expect(storedCount(script)).toBe(0);
    expect(script.kernel.pageTables.nodeCount).toBe(0);
  });

  it('move with the entry to another PMD table', () => {
    const script = hugeScript();
    const to = PMD_TABLE_PAGES;
    script.run({ op: 'mremap', p: 0, at: 512, n: 512, new: 512, to, flags: 'maymove|fixed' });
    const tables = [...script.kernel.pageTables.deposited.keys()];
    expect(tables).toEqual([Math.floor(script.pmdEntry(to) / 512)]);
    expect(storedCount(script)).toBe(1);
    checkInvariants(script.kernel);
  });

  it.each([
    ['written', 1],
    ['of zeros', 0],
  ])('move with a huge entry %s that UFFDIO_MOVE moves', (_name, isWritten) => {
    const script = new MachineScript();
    script.run(HUGE);
    const to = PMD_TABLE_PAGES;
    script.map(512, 512);
    script.map(to, 512);
    if (isWritten === 1) script.write(512, 1, 1);
    else script.read(512);
    script.run({ op: 'uffd_move', p: 0, at: 512, n: 512, to });
    expect(script.page(to)).toMatchObject({ level: 'pmd' });
    expect(storedCount(script)).toBe(1);
    checkInvariants(script.kernel);
  });

  it('go with a lazyfree entry that reclaim discards', () => {
    const script = new MachineScript();
    script.run(HUGE);
    script.run({ op: 'memcg', p: 0, on: 1 });
    script.map(512, 512);
    script.read(512);
    script.write(512, 1, 1);
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'free' });
    script.run({ op: 'reclaim' });
    expect(script.page(512)).toBeUndefined();
    expect(storedCount(script)).toBe(0);
    checkInvariants(script.kernel);
  });

  it('are made of the old table by a collapse', () => {
    const script = new MachineScript();
    script.map(512, 512);
    script.write(512, 512, 1);
    const [node] = [script.kernel.pageTables.nodeCount];
    script.run(HUGE);
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'collapse' });
    expect(storedCount(script)).toBe(1);
    expect(script.kernel.pageTables.nodeCount).toBe(node);
    checkInvariants(script.kernel);
  });

  it('are not kept where a pin makes fork split the entry', () => {
    const script = hugeScript();
    script.run({ op: 'pin', p: 0, at: 512, n: 1, id: 1 });
    script.fork(0, 1);
    expect(storedCount(script)).toBe(0);
    checkInvariants(script.kernel);
    for (const p of [0, 1]) script.run({ op: 'exit', p });
    expect(script.kernel.pageTables.nodeCount).toBe(0);
  });

  it('do not exist for files', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'shmem_thp', value: 'always' });
    script.run({ op: 'file', id: 'f', n: 512, kind: 'memfd' });
    const map = { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'shared' } as const;
    script.run({ ...map, file: 'f', off: 0 });
    script.write(512, 1, 1);
    expect(script.page(512)).toMatchObject({ level: 'pmd' });
    expect(storedCount(script)).toBe(0);
  });
});
