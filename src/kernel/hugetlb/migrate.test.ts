import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { PMD_ORDER } from '../../base/units.js';
import { checkInvariants } from '../invariants/index.js';
import { nodeOfPage } from '../migrate/numa_node.js';

// @covers hugetlb_try_share_anon_rmap, hugetlb_add_anon_rmap, try_to_migrate, remove_migration_ptes

const NODE_PAGES = 4096;

/** Two nodes with room for 8 blocks each; one huge page in use on node 0. */
function twoNodes(pages: number, flags = 'private'): MachineScript {
  const script = new MachineScript({ memoryPages: 2 * NODE_PAGES, nodePages: [NODE_PAGES] });
  script.run({ op: 'config', key: 'hugetlb', value: pages });
  const map = { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw' } as const;
  script.run({ ...map, flags: `${flags}|anon|hugetlb` });
  script.write(512, 1, 7);
  return script;
}

function move(script: MachineScript, node: number, all = 0): unknown {
  return script.run({ op: 'move_pages', p: 0, at: 512, n: 1, node, all }).vals;
}

function nodeOf(script: MachineScript, p = 0): number {
  return nodeOfPage(script.kernel, script.pfn(512, p));
}

describe('migration of huge pages', () => {
  it('takes a new page on the node, and the old one leaves the pool', () => {
    const script = twoNodes(1);
    const free = script.kernel.memory.freePages;
    const from = nodeOf(script);
    expect(move(script, 1 - from)).toEqual([[1 - from, 1]]);
    expect(nodeOf(script)).toBe(1 - from);
    expect(script.page(512)).toMatchObject({ level: 'pmd', w: 1, d: 1, ae: 1, kc: 1 });
    expect(script.read(512, 2)).toEqual([7, 0]);
    expect(script.kernel.memory.freePages).toBe(free);
    script.run({ op: 'munmap', p: 0, at: 512, n: 512 });
    const pool = script.kernel.hugetlb.of(PMD_ORDER);
    expect([pool.total, pool.free.length, pool.reserved]).toEqual([1, 1, 0]);
    checkInvariants(script.kernel);
  });

  it('prefers a free page of the pool there', () => {
    // More pages than a node has blocks, so both nodes have some.
    const script = twoNodes(10);
    const free = script.kernel.memory.freePages;
    const from = nodeOf(script);
    move(script, 1 - from);
    expect(nodeOf(script)).toBe(1 - from);
    expect(script.kernel.memory.freePages).toBe(free);
    expect(script.kernel.hugetlb.of(PMD_ORDER)).toMatchObject({ total: 10 });
    checkInvariants(script.kernel);
  });

  it('moves the page of a file in all its mappings', () => {
    const script = twoNodes(1, 'shared');
    script.fork(0, 1);
    script.read(512, 1, 1);
    const from = nodeOf(script);
    expect(move(script, 1 - from)).toEqual([[-13, 1]]);
    move(script, 1 - from, 1);
    expect([nodeOf(script, 0), nodeOf(script, 1)]).toEqual([1 - from, 1 - from]);
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState).toMatchObject({ refs: 514, entire: 2 });
    checkInvariants(script.kernel);
  });

  it('leaves a pinned page where it is', () => {
    const script = twoNodes(1);
    script.run({ op: 'pin', p: 0, at: 512, n: 1, id: 1 });
    const before = script.pfn(512);
    const free = script.kernel.memory.freePages;
    move(script, 1 - nodeOf(script));
    expect(script.pfn(512)).toBe(before);
    expect(script.page(512)).toMatchObject({ w: 1, ae: 1 });
    expect(script.kernel.memory.freePages).toBe(free);
    checkInvariants(script.kernel);
  });
});
