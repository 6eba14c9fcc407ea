import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';
import { ksmItemsOf } from './items.js';

// @covers ksm_do_scan, cmp_and_merge_page, try_to_merge_one_page, write_protect_page, replace_page
// @covers stable_tree_search, stable_tree_insert, stable_tree_append, remove_rmap_item_from_tree
// @covers remove_all_stable_nodes
// @covers __ksm_enter, ksm_fork, ksm_exit, break_cow, try_to_merge_two_pages, ksm_get_folio

/** Pages 0 … n−1 of process 0, mergeable, all with the same value. */
function equalPages(n: number): MachineScript {
  const script = new MachineScript();
  script.map(0, n);
  script.run({ op: 'madvise', p: 0, at: 0, n, advice: 'mergeable' });
  script.write(0, n, 7);
  return script;
}

describe('merging', () => {
  it('needs two passes, since a changed page is only remembered', () => {
    const script = equalPages(4);
    script.run({ op: 'ksm', scans: 1 });
    expect(script.kind(0)).toBe('anon');
    script.run({ op: 'ksm', scans: 1 });
    expect([0, 1, 2, 3].map((at) => script.kind(at))).toEqual(['ksm', 'ksm', 'ksm', 'ksm']);
    expect(script.pfn(0)).toBe(script.pfn(3));
    expect(script.bits(0)).toBe('---');
  });

  it('makes the page being scanned the merged one and lists items newest first', () => {
    const script = equalPages(4);
    const second = script.pfn(1);
    script.run({ op: 'ksm', scans: 2 });
    expect(script.pfn(0)).toBe(second);
    expect(script.items(0)).toBe('0:3 0:2 0:1 0:0');
    // One reference for each item on top of the anon_vma's own.
    expect(script.state().anon_vmas['A0'].refs).toBe(5);
  });

  it('takes two more passes to join an existing merged page', () => {
    const script = equalPages(4);
    script.run({ op: 'ksm', scans: 2 });
    script.write(2, 1, 8);
    script.run({ op: 'ksm', scans: 1 });
    script.write(2, 1, 7);
    script.run({ op: 'ksm', scans: 1 });
    expect(script.kind(2)).toBe('anon');
    script.run({ op: 'ksm', scans: 1 });
    expect(script.items(0)).toBe('0:2 0:3 0:1 0:0');
  });

  it('visits processes in the order of their registration', () => {
    const script = new MachineScript();
    script.fork(0, 1);
    for (const p of [1, 0]) {
      script.map(0, 1, 'rw', p);
      script.run({ op: 'madvise', p, at: 0, n: 1, advice: 'mergeable' });
      script.write(0, 1, 5, p);
    }
    script.run({ op: 'ksm', scans: 2 });
    expect(script.items(0)).toBe('0:0 1:0');
  });

  it('copies a merged page on write, even for its only user', () => {
    const script = equalPages(2);
    script.run({ op: 'ksm', scans: 2 });
    script.write(0, 1, 9);
    expect(script.bits(0)).toBe('wde');
    script.write(1, 1, 9);
    expect([script.kind(0), script.kind(1)]).toEqual(['anon', 'anon']);
    expect(script.read(0, 2)).toEqual([9, 9]);
  });

  it('leaves zero pages alone unless use_zero_pages is on', () => {
    const script = new MachineScript();
    script.map(0, 2);
    script.run({ op: 'madvise', p: 0, at: 0, n: 2, advice: 'mergeable' });
    script.write(0, 2, 0);
    script.run({ op: 'ksm', scans: 2 });
    expect(script.kind(0)).toBe('ksm');
    const other = new MachineScript();
    other.map(0, 2);
    other.run(
      { op: 'config', key: 'ksm_zero', value: 1 },
      { op: 'madvise', p: 0, at: 0, n: 2, advice: 'mergeable' },
    );
    other.write(0, 2, 0);
    other.run({ op: 'ksm', scans: 2 });
    expect(other.kind(0)).toBe('zero');
    expect(other.bits(0)).toBe('-d-');
    expect(other.kernel.processes.get(0)?.mm.ksmZeroPages).toBe(2);
    other.run({ op: 'madvise', p: 0, at: 0, n: 1, advice: 'unmergeable' });
    expect(other.kind(0)).toBe('anon');
    expect(other.kernel.processes.get(0)?.mm.ksmZeroPages).toBe(1);
  });
});

describe('fork', () => {
  it('appends the items of a child above the limit of sharing', () => {
    const script = new MachineScript();
    script.map(0, 2);
    script.run(
      { op: 'config', key: 'ksm_max_sharing', value: 2 },
      { op: 'madvise', p: 0, at: 0, n: 2, advice: 'mergeable' },
    );
    script.write(0, 2, 7);
    script.run({ op: 'ksm', scans: 2 });
    script.fork(0, 1);
    expect(script.items(0)).toBe('0:1 0:0');
    script.run({ op: 'ksm', scans: 1 });
    expect(script.items(0)).toBe('1:1 1:0 0:1 0:0');
  });

  it('keeps items of a dead process until the next pass', () => {
    const script = equalPages(2);
    script.fork(0, 1);
    script.run({ op: 'ksm', scans: 2 });
    script.run({ op: 'exit', p: 1 });
    expect(script.items(0)).toContain('gone:0');
    script.run({ op: 'ksm', scans: 1 });
    expect(script.items(0)).toBe('0:1 0:0');
  });
});

describe('the limit of sharing', () => {
  it('counts items whose page is gone until a pass drops them', () => {
    const script = equalPages(3);
    script.run({ op: 'ksm', scans: 2 }, { op: 'madvise', p: 0, at: 1, n: 1, advice: 'dontneed' });
    expect(script.items(0)).toBe('0:2 0:1 0:0');
    script.run({ op: 'ksm', scans: 1 });
    expect(script.items(0)).toBe('0:2 0:0');
  });
});

describe('pages in use', () => {
  it('leaves a pinned page alone', () => {
    const script = equalPages(2);
    script.run({ op: 'pin', p: 0, at: 1, n: 1, id: 1 }, { op: 'ksm', scans: 3 });
    expect([script.kind(0), script.bits(1)]).toEqual(['anon', 'wde']);
  });

  it('takes the merge back when the partner cannot be replaced', () => {
    const script = equalPages(2);
    script.run({ op: 'vmsplice', p: 0, at: 0, n: 1, id: 1 }, { op: 'ksm', scans: 2 });
    expect([script.kind(0), script.kind(1)]).toEqual(['anon', 'anon']);
    expect(script.bits(1)).toBe('--e');
    expect(script.kernel.ksm.nodes.filter((node) => node !== undefined)).toEqual([]);
  });
});

describe('large folios', () => {
  function mthp(n: number, size: string): MachineScript {
    const script = new MachineScript();
    script.run({ op: 'config', key: `mthp.${size}`, value: 'always' });
    script.map(0, n);
    script.run({ op: 'madvise', p: 0, at: 0, n, advice: 'mergeable' });
    return script;
  }

  it('are split when two of their own pages are equal, and merge around the second', () => {
    const script = mthp(16, '64kB');
    script.write(0, 16, 7);
    script.run({ op: 'ksm', scans: 2 });
    expect(script.items(0)).toBe(
      '0:15 0:14 0:13 0:12 0:11 0:10 0:9 0:8 0:7 0:6 0:5 0:4 0:3 0:2 0:0',
    );
    expect(script.kind(1)).toBe('anon');
    script.run({ op: 'ksm', scans: 1 });
    expect(script.items(0).startsWith('0:1 0:15')).toBe(true);
  });

  it('lose zero-filled pages, and a candidate that is lost ends searches for the pass', () => {
    const script = mthp(16, '64kB');
    script.write(1, 15, 7);
    script.run({ op: 'ksm', scans: 2 });
    // Page 0 was the root of the tree of candidates and became the zero page.
    expect([script.kind(0), script.kind(3)]).toEqual(['zero', 'anon']);
    script.run({ op: 'ksm', scans: 1 });
    expect(script.kind(3)).toBe('ksm');
  });

  it('merge in locked memory, where the split’s lock events are applied at once', () => {
    const script = mthp(48, '16kB');
    script.run({ op: 'mlock', p: 0, at: 29, n: 10 }, { op: 'ksm', scans: 2 });
    expect([29, 32, 35, 38].map((at) => script.kind(at))).toEqual(['ksm', 'ksm', 'ksm', 'ksm']);
  });
});

describe('locked memory', () => {
  it('merges what a fork shares, once the unlock events of the last pass are applied', () => {
    const script = new MachineScript();
    script.map(0, 8);
    script.run(
      { op: 'madvise', p: 0, at: 0, n: 8, advice: 'mergeable' },
      { op: 'mlock', p: 0, at: 0, n: 8 },
    );
    script.fork(0, 1);
    script.run({ op: 'ksm', scans: 3 });
    expect([0, 7].map((at) => script.pfn(at, 1))).toEqual([script.pfn(0), script.pfn(0)]);
  });
});

describe('unmerging', () => {
  it('copies every mapping read-only and clean, and keeps the items', () => {
    const script = equalPages(3);
    script.run(
      { op: 'ksm', scans: 2 },
      { op: 'madvise', p: 0, at: 0, n: 2, advice: 'unmergeable' },
    );
    expect([0, 1].map((at) => script.bits(at))).toEqual(['--e', '--e']);
    expect(script.items(2)).toBe('0:2 0:1 0:0');
  });

  it('forgets everything with ksm_unmerge', () => {
    const script = equalPages(3);
    script.run({ op: 'ksm', scans: 2 }, { op: 'ksm_unmerge' });
    expect([0, 1, 2].map((at) => script.kind(at))).toEqual(['anon', 'anon', 'anon']);
    expect(script.state().anon_vmas['A0'].refs).toBe(1);
    script.run({ op: 'ksm', scans: 2 });
    expect(script.kind(0)).toBe('ksm');
  });

  it('finds pages without a node too', () => {
    const script = equalPages(2);
    script.run(
      { op: 'pin', p: 0, at: 0, n: 1, id: 1 },
      { op: 'ksm', scans: 1 },
      { op: 'fork', p: 0, c: 1 },
      { op: 'ksm', scans: 1 },
    );
    // The pin took the merge back in the parent only.
    expect([script.kind(1), script.kind(1, 1), script.items(1, 1)]).toEqual(['anon', 'ksm', '']);
    script.run({ op: 'ksm_unmerge' });
    expect([script.kind(1, 1), script.bits(1, 1)]).toEqual(['anon', '--e']);
  });

  it('leaves to others what they map, and they can share it again', () => {
    const script = equalPages(2);
    script.fork(0, 1);
    script.run(
      { op: 'madvise', p: 1, at: 0, n: 2, advice: 'unmergeable' },
      { op: 'ksm', scans: 2 },
      { op: 'ksm_unmerge' },
    );
    expect([script.kind(0), script.kind(1, 1), script.items(1, 1)]).toEqual(['anon', 'ksm', '']);
    script.run({ op: 'madvise', p: 1, at: 0, n: 2, advice: 'mergeable' }, { op: 'ksm', scans: 2 });
    expect(script.items(0)).toBe('1:0 0:1 0:0 1:1');
    checkInvariants(script.kernel);
  });

  it('unmerges what mremap moves', () => {
    const script = equalPages(3);
    script.run(
      { op: 'ksm', scans: 2 },
      { op: 'mremap', p: 0, at: 1, n: 1, new: 1, to: 64, flags: 'fixed' },
    );
    expect([script.kind(64), script.kind(0)]).toEqual(['anon', 'ksm']);
  });

  it('follows prctl for present and future memory', () => {
    const script = new MachineScript();
    script.map(0, 2);
    script.write(0, 2, 3);
    script.run({ op: 'prctl_merge', p: 0, on: 1 });
    script.map(10, 1);
    expect([script.flags(0), script.flags(10)].every((flags) => flags.endsWith('mg'))).toBe(true);
    script.run({ op: 'ksm', scans: 2 });
    expect(script.kind(0)).toBe('ksm');
    script.run({ op: 'prctl_merge', p: 0, on: 0 });
    expect([script.kind(0), script.flags(0).includes('mg')]).toEqual(['anon', false]);
  });
});

describe('a machine that never merges', () => {
  it('has no items and does nothing on a pass', () => {
    const script = new MachineScript();
    script.map(0, 1);
    script.write(0, 1, 1);
    script.run({ op: 'ksm', scans: 3 }, { op: 'ksm_unmerge' });
    expect(ksmItemsOf(script.kernel, script.pfn(0))).toEqual([]);
    expect(script.kernel.ksm.slots).toEqual([]);
  });

  it('drops an address space whose last mergeable VMA is gone', () => {
    const script = equalPages(2);
    script.run(
      { op: 'ksm', scans: 2 },
      { op: 'munmap', p: 0, at: 0, n: 2 },
      { op: 'ksm', scans: 1 },
    );
    expect(script.kernel.ksm.slots).toEqual([]);
    expect(script.kernel.processes.get(0)?.mm.ksmRegistered).toBe(false);
  });

  it('comes back with the next mapping of a process that merges everything', () => {
    const script = new MachineScript();
    script.map(0, 1);
    script.run(
      { op: 'prctl_merge', p: 0, on: 1 },
      { op: 'munmap', p: 0, at: 0, n: 1 },
      { op: 'ksm', scans: 1 },
    );
    expect(script.kernel.ksm.slots).toEqual([]);
    script.map(0, 2);
    script.write(0, 2, 7);
    script.run({ op: 'ksm', scans: 2 });
    expect(script.kind(0)).toBe('ksm');
  });
});
