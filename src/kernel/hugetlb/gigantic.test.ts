import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { PAGES_PER_PUD, PUD_ORDER } from '../../base/units.js';
import { checkInvariants } from '../invariants/index.js';
import { OpenFile } from '../vm/address_space.js';
import { createMapping } from '../file/page_cache.js';
import { runToEnd } from '../op/prims.js';
import { linkFile } from '../vm/file_map.js';
import { accountPages } from '../vm/vm_stat.js';
import { mmapWriteLock, mmapWriteUnlock } from '../vm/vma_lock.js';
import { insertVma } from '../vm/vma_split.js';
import { Vma } from '../vm/vma.js';
import { nodeOfPage } from '../migrate/numa_node.js';
import { setHugetlbPool } from './pool.js';
import { hugetlbReserve } from './reserve.js';
import {
  VM_DONTEXPAND,
  VM_HUGETLB,
  VM_MAYREAD,
  VM_MAYWRITE,
  VM_READ,
  VM_WRITE,
} from '../vm/vm_flags.js';

const AT = PAGES_PER_PUD;

/** One private page of 1 GiB at the second PUD of the region; the pool has `pages`. */
function giganticScript(pages: number): MachineScript {
  const script = new MachineScript({ memoryPages: (pages + 1) * PAGES_PER_PUD });
  const { kernel, machine } = script;
  setHugetlbPool(kernel, pages, PUD_ORDER);
  expect(kernel.hugetlb.of(PUD_ORDER).total).toBe(pages);
  const mm = kernel.processes.get(0)?.mm;
  if (mm === undefined) throw new Error('no process 0');
  const mapping = createMapping(kernel, 'hugetlb', undefined, PAGES_PER_PUD);
  mapping.hugeOrder = PUD_ORDER;
  const start = machine.regionStart + AT;
  const flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_HUGETLB | VM_DONTEXPAND;
  const vma = new Vma(mm, start, start + PAGES_PER_PUD, 0, flags, new OpenFile(mapping));
  runToEnd(linkFile(kernel, vma));
  expect(hugetlbReserve(kernel, vma)).toBe(0);
  runToEnd(mmapWriteLock(mm));
  insertVma(vma);
  runToEnd(mmapWriteUnlock(mm));
  accountPages(mm, flags, PAGES_PER_PUD);
  return script;
}

describe('huge pages of 1 GiB', () => {
  it('are mapped by one entry of PUD level and copied on write', () => {
    const script = giganticScript(2);
    script.write(AT + 70_000, 1, 3);
    expect(script.page(AT)).toMatchObject({ level: 'pud', n: 1, w: 1, d: 1, ae: 1 });
    const page = script.page(AT + 70_000);
    expect(page?.k === 'page' && page.folioState).toMatchObject({ order: 18, entire: 1, refs: 1 });
    script.fork(0, 1);
    script.write(AT, 1, 4, 1);
    expect([script.read(AT), script.read(AT, 1, 1)]).toEqual([[0], [4]]);
    expect(script.read(AT + 70_000, 1, 1)).toEqual([3]);
    expect(script.page(AT, 0)).toMatchObject({ level: 'pud', kc: 1, ae: 0 });
    checkInvariants(script.kernel);
  });

  it('can be unmapped as a whole only, and go back to their pool', () => {
    const script = giganticScript(1);
    script.write(AT, 1, 1);
    expect(script.answer({ op: 'munmap', p: 0, at: AT, n: 512 })).toBe('EINVAL');
    const part = { op: 'madvise', p: 0, at: AT, n: 512, advice: 'dontneed' } as const;
    expect(script.answer(part)).toBe(0);
    expect(script.read(AT)).toEqual([1]);
    expect(script.answer({ op: 'munmap', p: 0, at: AT, n: PAGES_PER_PUD })).toBe(0);
    expect(script.kernel.hugetlb.of(PUD_ORDER)).toMatchObject({ total: 1, reserved: 0 });
    expect(script.kernel.hugetlb.of(PUD_ORDER).free).toHaveLength(1);
    checkInvariants(script.kernel);
  });

  it('are found by move_pages at any of their pages, and move to a free one of the node', () => {
    const script = new MachineScript({
      memoryPages: 4 * PAGES_PER_PUD,
      nodePages: [2 * PAGES_PER_PUD],
    });
    const { kernel } = script;
    script.run({ op: 'config', key: 'hugetlb1g', value: 3 });
    expect(kernel.hugetlb.of(PUD_ORDER).total).toBeGreaterThan(1);
    const flags = 'private|anon|hugetlb1g|fixed';
    script.run({ op: 'mmap', p: 0, at: AT, n: PAGES_PER_PUD, prot: 'rw', flags });
    script.write(AT + 70_000, 1, 3);
    const from = nodeOfPage(kernel, script.pfn(AT));
    const move = (node: number, n: number) =>
      script.run({ op: 'move_pages', p: 0, at: AT + 70_000, n, node }).vals;
    expect(move(from, 2)).toEqual([[from, 2]]);
    expect(move(1 - from, 1)).toEqual([[1 - from, 1]]);
    expect(nodeOfPage(kernel, script.pfn(AT))).toBe(1 - from);
    expect(script.page(AT)).toMatchObject({ level: 'pud', n: 1, w: 1, d: 1, ae: 1 });
    expect(script.read(AT + 70_000)).toEqual([3]);
    const back = { op: 'migrate_pages', p: 0, from: 1 - from, to: from } as const;
    expect(script.answer(back)).toBe(0);
    expect(nodeOfPage(kernel, script.pfn(AT))).toBe(from);
    checkInvariants(kernel);
  });

  it('are populated by one step', () => {
    const script = giganticScript(1);
    const { kernel } = script;
    const before = kernel.work.faults;
    const populate = { op: 'madvise', p: 0, at: AT, n: PAGES_PER_PUD } as const;
    expect(script.answer({ ...populate, advice: 'populate_write' })).toBe(0);
    expect(kernel.work.faults - before).toBe(1);
  });
});
