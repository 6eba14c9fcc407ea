import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { PMD_ORDER } from '../../base/units.js';
import { checkInvariants } from '../invariants/index.js';
import { setHugetlbPool } from './pool.js';
import type { HugetlbPool } from './pool_state.js';

function hugetlbScript(pages: number): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'hugetlb', value: pages });
  return script;
}

function poolOf(script: MachineScript): HugetlbPool {
  return script.kernel.hugetlb.of(PMD_ORDER);
}

/** Free and promised pages. */
function counts(script: MachineScript): string {
  const pool = poolOf(script);
  return `${pool.free.length} free, ${pool.reserved} promised`;
}

function mapHuge(script: MachineScript, at: number, n: number, flags = 'private'): number | string {
  const map = { op: 'mmap', p: 0, at, n: n * 512, prot: 'rw' } as const;
  return script.answer({ ...map, flags: `${flags}|anon|hugetlb` });
}

describe('promises of huge pages (spec 98 §10)', () => {
  it('are made for the whole mapping at once or not at all', () => {
    const script = hugetlbScript(3);
    expect(mapHuge(script, 512, 2)).toBe(512);
    expect(counts(script)).toBe('3 free, 2 promised');
    expect(mapHuge(script, 4096, 2)).toBe('ENOMEM');
    expect(mapHuge(script, 4096, 1, 'shared')).toBe(4096);
    expect(counts(script)).toBe('3 free, 3 promised');
    expect(mapHuge(script, 8192, 9, 'private|noreserve')).toBe(8192);
    expect(counts(script)).toBe('3 free, 3 promised');
  });

  it('are used up by faults and come back with dontneed', () => {
    const script = hugetlbScript(2);
    mapHuge(script, 512, 2);
    script.write(512, 1, 1);
    expect(counts(script)).toBe('1 free, 1 promised');
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'dontneed' });
    expect(counts(script)).toBe('2 free, 2 promised');
    expect(mapHuge(script, 4096, 1)).toBe('ENOMEM');
    checkInvariants(script.kernel);
  });

  it('end with the mapping, also with a part of it', () => {
    const script = hugetlbScript(3);
    mapHuge(script, 512, 3);
    script.write(512, 1, 1);
    script.run({ op: 'munmap', p: 0, at: 1024, n: 512 });
    expect(counts(script)).toBe('2 free, 1 promised');
    script.run({ op: 'munmap', p: 0, at: 512, n: 1536 });
    expect(counts(script)).toBe('3 free, 0 promised');
  });

  it('are not inherited by a child', () => {
    const script = hugetlbScript(2);
    mapHuge(script, 512, 2);
    script.fork(0, 1);
    expect(script.read(512, 1, 1)).toEqual(['BUS']);
    script.run({ op: 'exit', p: 1 });
    expect(counts(script)).toBe('2 free, 2 promised');
    expect(script.write(512, 1024, 1)).toMatchObject({ ret: 0 });
    expect(counts(script)).toBe('0 free, 0 promised');
  });

  it('stay balanced when the owner goes before the child that shares its page', () => {
    const script = hugetlbScript(2);
    mapHuge(script, 512, 1);
    script.write(512, 1, 1);
    script.fork(0, 1);
    script.run({ op: 'exit', p: 0 });
    script.run({ op: 'exit', p: 1 });
    expect(counts(script)).toBe('2 free, 0 promised');
  });

  it('of a shared mapping belong to the file until it ends', () => {
    const script = hugetlbScript(3);
    mapHuge(script, 512, 2, 'shared');
    script.write(512, 1, 1);
    script.fork(0, 1);
    script.run({ op: 'exit', p: 0 });
    expect(counts(script)).toBe('2 free, 1 promised');
    expect(script.write(1024, 1, 1, 1).ret).toBe(0);
    script.run({ op: 'exit', p: 1 });
    expect(counts(script)).toBe('3 free, 0 promised');
  });
});

describe('the pool', () => {
  it('hands out the page that was freed last', () => {
    const script = hugetlbScript(3);
    mapHuge(script, 512, 3);
    script.write(512, 1536, 1);
    const second = script.pfn(1024);
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'dontneed' });
    script.run({ op: 'madvise', p: 0, at: 1024, n: 512, advice: 'dontneed' });
    script.read(512);
    expect(script.pfn(512)).toBe(second);
  });

  it('grows as far as memory allows', () => {
    const script = new MachineScript({ memoryPages: 2048 });
    setHugetlbPool(script.kernel, 10);
    expect(poolOf(script).total).toBe(3);
  });

  it('gives free pages back and waits for used ones', () => {
    const script = hugetlbScript(4);
    const free = script.kernel.memory.freePages;
    mapHuge(script, 512, 2);
    script.write(512, 1, 1);
    setHugetlbPool(script.kernel, 0);
    expect(counts(script)).toBe('1 free, 1 promised');
    expect(script.kernel.memory.freePages).toBe(free + 1024);
    script.run({ op: 'exit', p: 0 });
    expect(poolOf(script).total).toBe(1);
    setHugetlbPool(script.kernel, 0);
    expect(poolOf(script).total).toBe(0);
    expect(script.kernel.memory.freePages).toBe(free + 2048);
  });
});
