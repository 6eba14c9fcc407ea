import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import type { Operation } from '../operation.js';
import { nodeOfPage } from './numa_node.js';

// @covers migrate_pages, folio_migrate_flags, migrate_folio, do_pages_move, add_folio_for_migration
// @covers compact_zone, isolate_migratepages_block, folio_migrate_ksm, do_migrate_pages

const NODE_PAGES = 4096;

/** Two nodes; memory comes from node 0 first. */
function twoNodes(): MachineScript {
  return new MachineScript({ memoryPages: 2 * NODE_PAGES, nodePages: [NODE_PAGES] });
}

function move(at: number, n: number, node: number, all = 0, p = 0): Operation {
  return { op: 'move_pages', p, at, n, node, all };
}

function nodeOf(script: MachineScript, at: number, p = 0): number {
  return nodeOfPage(script.kernel, script.pfn(at, p));
}

describe('move_pages', () => {
  it('moves exclusive pages with contents, bits and flags', () => {
    const script = twoNodes();
    script.map(0, 4);
    script.write(0, 4, 7);
    expect(nodeOf(script, 0)).toBe(0);
    // Unmapping makes the folio of a dirty entry dirty.
    script.run({ op: 'mem_write', p: 0, at: 0, n: 4, v: 7 });
    const before = script.page(1);
    expect(script.run(move(0, 4, 1))).toEqual({ ret: 0, vals: [[1, 4]] });
    expect(nodeOf(script, 0)).toBe(1);
    expect(script.read(0, 4)).toEqual([7, 7, 7, 7]);
    expect(script.page(1)).toEqual(before);
    expect(script.kernel.processes.get(0)?.mm.rss[1]).toBe(4);
  });

  it('tells what is where without moving it', () => {
    const script = twoNodes();
    script.map(0, 8);
    script.write(0, 1, 7);
    script.read(1);
    const free = script.kernel.memory.freePages;
    expect(script.run(move(0, 3, 0)).vals).toEqual([
      [0, 1],
      [-14, 1],
      [-2, 1],
    ]);
    expect(script.run(move(100, 1, 0)).vals).toEqual([[-14, 1]]);
    expect(script.answer(move(0, 1, 5))).toBe('ENODEV');
    expect(script.kernel.memory.freePages).toBe(free);
  });

  it('leaves pages that others map to MOVE_ALL', () => {
    const script = twoNodes();
    script.map(0, 2);
    script.write(0, 2, 7);
    script.fork(0, 1);
    expect(script.run(move(0, 1, 1)).vals).toEqual([[-13, 1]]);
    expect(script.run(move(0, 1, 1, 1)).vals).toEqual([[1, 1]]);
    expect([script.pfn(0), script.bits(0), script.bits(0, 1)]).toEqual([
      script.pfn(0, 1),
      '-d-',
      '-d-',
    ]);
    expect(script.read(0, 1, 1)).toEqual([7]);
  });

  it('fails on a page that somebody else holds, and leaves it as it was', () => {
    const script = twoNodes();
    script.map(0, 2);
    script.write(0, 2, 7);
    script.run(
      { op: 'pin', p: 0, at: 0, n: 1, id: 1 },
      { op: 'vmsplice', p: 0, at: 1, n: 1, id: 2 },
    );
    script.run({ op: 'mem_write', p: 0, at: 0, n: 2, v: 7 });
    const before = script.state();
    const pfn = script.pfn(0);
    expect(script.run(move(0, 2, 1))).toEqual({ ret: 2, vals: [[0, 2]] });
    expect(script.pfn(0)).toBe(pfn);
    expect(script.state()).toEqual(before);
  });

  it('moves a huge page as a whole, and forgets stale sharing', () => {
    const script = twoNodes();
    script.map(0, 512);
    script.run({ op: 'madvise', p: 0, at: 0, n: 512, advice: 'hugepage' });
    script.write(0, 512, 3);
    expect(script.run(move(0, 1, 1)).vals).toEqual([[1, 1]]);
    const page = script.page(5);
    expect(page?.k === 'page' && [page.level, page.w, page.d]).toEqual(['pmd', 1, 1]);
    expect(page?.k === 'page' && page.folioState?.entire).toBe(1);
    expect(nodeOf(script, 511)).toBe(1);
    expect(script.read(5)).toEqual([3]);
  });

  it('keeps mlocked pages unevictable', () => {
    const script = twoNodes();
    script.map(0, 2);
    script.write(0, 2, 7);
    script.run({ op: 'mlock', p: 0, at: 0, n: 2 });
    script.run(move(0, 2, 1));
    const page = script.page(0);
    expect(nodeOf(script, 0)).toBe(1);
    expect(page?.k === 'page' && page.folioState?.flags).toEqual(
      expect.arrayContaining(['unevictable', 'mlocked']),
    );
    script.run({ op: 'munlock', p: 0, at: 0, n: 2 });
    const unlocked = script.page(0);
    expect(unlocked?.k === 'page' && unlocked.folioState?.flags).not.toContain('mlocked');
  });

  it('moves merged pages with all their users', () => {
    const script = twoNodes();
    script.map(0, 4);
    script.run({ op: 'madvise', p: 0, at: 0, n: 4, advice: 'mergeable' });
    script.write(0, 4, 7);
    script.run({ op: 'ksm', scans: 2 });
    script.fork(0, 1);
    expect(script.run(move(0, 1, 1, 1)).vals).toEqual([[1, 1]]);
    expect([script.items(0), script.kind(3, 1)]).toEqual(['0:3 0:2 0:1 0:0', 'ksm']);
    expect(new Set([0, 1, 2, 3].map((at) => script.pfn(at, 1)))).toEqual(new Set([script.pfn(0)]));
    // The node follows the page: another equal page joins it.
    script.map(10, 1);
    script.run({ op: 'madvise', p: 0, at: 10, n: 1, advice: 'mergeable' });
    script.write(10, 1, 7);
    script.run({ op: 'ksm', scans: 2 });
    expect(script.pfn(10)).toBe(script.pfn(0));
  });

  it('moves pages of the page cache with the file', () => {
    const script = twoNodes();
    script.mapShared(0, 2);
    script.write(0, 2, 5);
    script.run(move(0, 2, 1));
    expect(nodeOf(script, 1)).toBe(1);
    script.run({ op: 'madvise', p: 0, at: 0, n: 2, advice: 'dontneed' });
    expect(script.read(0, 2)).toEqual([5, 5]);
    expect(nodeOf(script, 1)).toBe(1);
  });

  it('moves a file page that has buffers, with its reference', () => {
    const script = twoNodes();
    script.run(
      { op: 'file', id: 'f', n: 2, kind: 'tmp' },
      { op: 'mmap', p: 0, at: 0, n: 2, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
    );
    script.write(0, 1, 5);
    const before = script.page(0);
    expect(script.run(move(0, 1, 1)).vals).toEqual([[1, 1]]);
    expect(script.page(0)).toEqual(before);
  });
});

describe('migrate_pages', () => {
  it('empties a node of one process', () => {
    const script = twoNodes();
    script.map(0, 8);
    script.write(0, 8, 7);
    const { ret } = script.run({ op: 'migrate_pages', p: 0, from: 0, to: 1 });
    expect([ret, nodeOf(script, 0), nodeOf(script, 7)]).toEqual([0, 1, 1]);
    expect(script.answer({ op: 'migrate_pages', p: 0, from: 0, to: 2 })).toBe('EINVAL');
  });
});

describe('compaction', () => {
  it('gathers the free memory, so that a huge page finds a block again', () => {
    const script = new MachineScript({ memoryPages: 2048 });
    script.map(0, 1800);
    script.write(0, 1800, 1);
    for (let at = 0; at < 1800; at += 2) {
      script.run({ op: 'madvise', p: 0, at, n: 1, advice: 'dontneed' });
    }
    script.map(2048, 512);
    script.run({ op: 'madvise', p: 0, at: 2048, n: 512, advice: 'hugepage' });
    script.write(2048, 1, 1);
    const without = script.page(2048);
    expect(without?.k === 'page' && without.level).toBe('pte');
    script.run({ op: 'madvise', p: 0, at: 2048, n: 512, advice: 'dontneed' }, { op: 'compact' });
    script.write(2048, 1, 1);
    const page = script.page(2048);
    expect(page?.k === 'page' && page.level).toBe('pmd');
    expect(script.read(1, 1)).toEqual([1]);
    expect(script.read(1799, 1)).toEqual([1]);
  });

  it('leaves pinned pages where they are', () => {
    const script = new MachineScript({ memoryPages: 2048 });
    script.map(0, 64);
    script.write(0, 64, 1);
    script.run({ op: 'pin', p: 0, at: 3, n: 1, id: 1 });
    const [pinned, other] = [script.pfn(3), script.pfn(4)];
    script.run({ op: 'compact' });
    expect([script.pfn(3) === pinned, script.pfn(4) === other]).toEqual([true, false]);
  });
});
