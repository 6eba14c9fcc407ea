import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';

// @covers memory_failure, hwpoison_user_mappings, identify_page_state, soft_offline_page
// @covers madvise_inject_error

function written(n = 2): MachineScript {
  const script = new MachineScript();
  script.map(0, n);
  script.write(0, n, 7);
  return script;
}

describe('memory failure', () => {
  it('makes an anonymous page raise SIGBUS in every process, for ever', () => {
    const script = written();
    script.fork(0, 1);
    const pfn = script.pfn(0);
    expect(script.answer({ op: 'memory_failure', p: 0, at: 0, n: 1 })).toBe(0);
    expect([script.read(0, 2), script.read(0, 2, 1)]).toEqual([
      ['BUS', 7],
      ['BUS', 7],
    ]);
    expect(script.kernel.memory.refcount[pfn]).toBe(1);
    script.fork(0, 2);
    expect(script.read(0, 1, 2)).toEqual(['BUS']);
    script.run({ op: 'madvise', p: 0, at: 0, n: 1, advice: 'dontneed' });
    expect(script.read(0)).toEqual([0]);
    expect(script.kernel.processes.get(0)?.mm.rss[1]).toBe(1);
  });

  it('unmaps from locked memory too', () => {
    const script = written();
    script.run({ op: 'mlock', p: 0, at: 0, n: 2 });
    expect(script.answer({ op: 'memory_failure', p: 0, at: 0, n: 1 })).toBe(0);
    expect(script.read(0)).toEqual(['BUS']);
  });

  it('faults absent pages in first and refuses the zero page', () => {
    const script = new MachineScript();
    script.map(0, 2);
    expect(script.answer({ op: 'memory_failure', p: 0, at: 0, n: 1 })).toBe('EBUSY');
    expect(script.answer({ op: 'memory_failure', p: 0, at: 99, n: 1 })).toBe('EFAULT');
    expect(script.read(0)).toEqual([0]);
  });

  it('splits a huge page and poisons one small one', () => {
    const script = new MachineScript();
    script.map(0, 512);
    script.run({ op: 'madvise', p: 0, at: 0, n: 512, advice: 'hugepage' });
    script.write(0, 512, 7);
    expect(script.answer({ op: 'memory_failure', p: 0, at: 3, n: 1 })).toBe(0);
    expect(script.read(2, 3)).toEqual([7, 'BUS', 7]);
  });

  it('reads a clean page of a disk file again', () => {
    const script = new MachineScript();
    script.run(
      { op: 'file', id: 'f', n: 2, kind: 'tmp' },
      { op: 'filewrite', file: 'f', at: 0, n: 2, v: 9 },
      { op: 'mmap', p: 0, at: 0, n: 2, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
    );
    script.read(0, 2);
    const pfn = script.pfn(0);
    script.run({ op: 'memory_failure', p: 0, at: 0, n: 1 });
    expect(script.read(0)).toEqual([9]);
    expect(script.pfn(0)).not.toBe(pfn);
  });

  it('keeps a shmem page in the cache, so that nobody reads wrong data', () => {
    const script = new MachineScript();
    script.mapShared(0, 2);
    script.write(0, 2, 9);
    script.fork(0, 1);
    expect(script.answer({ op: 'memory_failure', p: 0, at: 0, n: 1 })).toBe(0);
    expect([script.read(0), script.read(0, 1, 1), script.read(1)]).toEqual([['BUS'], ['BUS'], [9]]);
  });

  it('reports a page that a pipe still holds', () => {
    const script = written();
    script.run({ op: 'vmsplice', p: 0, at: 0, n: 1, id: 1 });
    expect(script.answer({ op: 'memory_failure', p: 0, at: 0, n: 1 })).toBe('EBUSY');
    expect(script.read(0)).toEqual(['BUS']);
  });

  it('poisons a merged page for all its users', () => {
    const script = new MachineScript();
    script.map(0, 3);
    script.run({ op: 'madvise', p: 0, at: 0, n: 3, advice: 'mergeable' });
    script.write(0, 3, 7);
    script.run({ op: 'ksm', scans: 2 }, { op: 'memory_failure', p: 0, at: 1, n: 1 });
    expect(script.read(0, 3)).toEqual(['BUS', 'BUS', 'BUS']);
    script.run({ op: 'ksm', scans: 2 });
    expect(script.state().anon_vmas['A0'].refs).toBe(1);
  });
});

describe('soft offline', () => {
  it('moves the contents away unnoticed and never uses the page again', () => {
    const script = written(4);
    const pfn = script.pfn(1);
    const free = script.kernel.memory.freePages;
    expect(script.answer({ op: 'soft_offline', p: 0, at: 1, n: 1 })).toBe(0);
    expect([script.read(1), script.bits(1)]).toEqual([[7], 'wde']);
    expect(script.pfn(1)).not.toBe(pfn);
    expect(script.kernel.memory.freePages).toBe(free - 1);
    script.map(100, 7000);
    script.write(100, 7000, 1);
    for (let at = 100; at < 7100; at += 1) expect(script.pfn(at)).not.toBe(pfn);
  });

  it('fails on a pinned page', () => {
    const script = written();
    script.run({ op: 'pin', p: 0, at: 0, n: 1, id: 1 });
    const pfn = script.pfn(0);
    expect(script.answer({ op: 'soft_offline', p: 0, at: 0, n: 1 })).toBe('EBUSY');
    expect([script.pfn(0), script.bits(0)]).toEqual([pfn, 'wde']);
  });

  it('drops a clean page of a disk file that nothing maps', () => {
    const script = new MachineScript();
    script.run(
      { op: 'file', id: 'f', n: 1, kind: 'tmp' },
      { op: 'filewrite', file: 'f', at: 0, n: 1, v: 9 },
      { op: 'mmap', p: 0, at: 0, n: 1, prot: 'r', flags: 'shared', file: 'f', off: 0 },
    );
    script.read(0);
    expect(script.answer({ op: 'soft_offline', p: 0, at: 0, n: 1 })).toBe(0);
    expect(script.read(0)).toEqual([9]);
  });
});

describe('huge pages of hugetlb', () => {
  function hugeMemory(sharing: 'private' | 'shared'): MachineScript {
    const script = new MachineScript();
    script.run(
      { op: 'config', key: 'hugetlb', value: 2 },
      { op: 'mmap', p: 0, at: 0, n: 512, prot: 'rw', flags: `${sharing}|anon|hugetlb` },
    );
    script.write(0, 512, 7);
    return script;
  }

  it('leave the pool when anonymous memory fails; their other pages are free', () => {
    const script = hugeMemory('private');
    const { memory, hugetlb } = script.kernel;
    const free = memory.freePages;
    const pfn = script.pfn(5);
    expect(script.answer({ op: 'memory_failure', p: 0, at: 5, n: 1 })).toBe(0);
    expect([script.read(0), script.read(5)]).toEqual([['BUS'], ['BUS']]);
    expect([hugetlb.of(9).total, memory.freePages]).toEqual([1, free + 511]);
    expect(memory.refcount[pfn]).toBe(0);
    expect(script.kernel.processes.get(0)?.mm.hugetlbPages).toBe(0);
  });

  it('stay with a file, where every access finds the failure', () => {
    const script = hugeMemory('shared');
    script.fork(0, 1);
    expect(script.answer({ op: 'memory_failure', p: 0, at: 5, n: 1 })).toBe(0);
    expect([script.read(0), script.read(5, 1, 1)]).toEqual([['BUS'], ['BUS']]);
    expect(script.kernel.hugetlb.of(9).total).toBe(2);
  });

  it('stay whole while a pipe holds them', () => {
    const script = hugeMemory('private');
    script.run({ op: 'vmsplice', p: 0, at: 5, n: 1, id: 1 });
    expect(script.answer({ op: 'memory_failure', p: 0, at: 5, n: 1 })).toBe('EBUSY');
    script.run({ op: 'vmdrain', p: 0, n: 1, id: 1 });
    expect(script.kernel.hugetlb.of(9).total).toBe(1);
  });

  it('change places with another one when they go offline softly', () => {
    const script = hugeMemory('private');
    const pfn = script.pfn(5);
    const free = script.kernel.memory.freePages;
    expect(script.answer({ op: 'soft_offline', p: 0, at: 5, n: 1 })).toBe(0);
    expect([script.read(5), script.bits(0)]).toEqual([[7], 'wde']);
    expect(script.pfn(5)).not.toBe(pfn);
    expect([script.kernel.hugetlb.of(9).total, script.kernel.memory.freePages]).toEqual([
      1,
      free + 511,
    ]);
  });
});
