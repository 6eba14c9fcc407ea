import { describe, expect, it } from 'vitest';
import { REGION_START, VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';
import { runToEnd } from '../op/prims.js';
import { putMapping } from '../vm/file_map.js';
import { MMAP_BASE_PAGES } from '../vm/unmapped_area.js';
import { MAP_ANONYMOUS, MAP_PRIVATE, parseMapFlags, parseMremapFlags } from './map_flags.js';
import { doMmap } from './mmap.js';

/** mmap at a place of the kernel's choice. */
function mapAnywhere(script: VmScript, lengthPages: number): number {
  const request = {
    at: undefined,
    lengthPages,
    prot: 3,
    flags: MAP_PRIVATE | MAP_ANONYMOUS,
    file: undefined,
    pgoff: 0,
  };
  return runToEnd(doMmap(script.kernel, script.mm(), request));
}

describe('mmap (spec 97 §1.2, §2)', () => {
  it('refuses length 0 and, without fixed, an overlap', () => {
    const script = new VmScript();
    expect(script.map(0, 0)).toBe('EINVAL');
    expect(script.map(0, 4)).toBe(0);
    expect(script.map(3, 4)).toBe('EEXIST');
    expect(script.ranges()).toBe('0-4');
  });

  it('replaces what is there with fixed', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.map(8, 4);
    script.write(0, 4);
    expect(script.map(2, 8, 'r', 'fixed')).toBe(2);
    expect(script.ranges()).toBe('0-2 2-10 10-12');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it.each([
    ['private|anon', 'rw', 'rd wr mr mw me ac'],
    ['private|anon', 'r', 'rd mr mw me'],
    ['private|anon', 'n', 'mr mw me'],
    ['private|anon', 'x', 'ex mr mw me'],
    ['private|anon|noreserve', 'rw', 'rd wr mr mw me nr'],
    ['private|anon|growsdown', 'rw', 'rd wr mr mw me gd ac'],
    ['private|anon|stack', 'rw', 'rd wr mr mw me ac nh'],
    ['private|anon|locked', 'rw', 'rd wr mr mw me lo ac'],
    ['private|anon|populate', 'rw', 'rd wr mr mw me ac'],
    ['shared|anon', 'rw', 'rd wr sh mr mw me ms'],
    ['shared|anon', 'r', 'rd sh mr mw me ms'],
  ] as const)('%s %s gives %s', (flags, prot, expected) => {
    const script = new VmScript();
    expect(script.run({ op: 'mmap', p: 0, at: 0, n: 4, prot, flags })).toBe(0);
    expect(script.flags(0)).toBe(expected);
  });

  it('page offsets: own page, file page, 0 for shared anonymous memory', () => {
    const script = new VmScript();
    script.run({ op: 'file', id: 'f', n: 8, kind: 'memfd' });
    script.map(0, 4);
    script.mapFile('f', 8, 2, 'shared', 5);
    script.map(16, 4, 'rw', 'fixed');
    script.run({ op: 'mmap', p: 0, at: 24, n: 2, prot: 'rw', flags: 'shared|anon' });
    expect(script.vma(0).pgoff).toBe(REGION_START);
    expect(script.vma(8).pgoff).toBe(5);
    expect(script.vma(24).pgoff).toBe(0);
    expect(script.vma(24).file?.mapping.sizePages).toBe(2);
  });

  it('needs a file or anonymous memory, and no growsdown file', () => {
    const script = new VmScript();
    script.run({ op: 'file', id: 'f', n: 8, kind: 'memfd' });
    expect(script.mapFile('f', 0, 4, 'private|growsdown')).toBe('EINVAL');
    expect(script.run({ op: 'mmap', p: 0, at: 0, n: 4, prot: 'r', flags: 'private' })).toBe(
      'EINVAL',
    );
  });

  it('answers ENOMEM when there is no VMA to be had', () => {
    const script = new VmScript();
    script.kernel.failAllocation = 1;
    expect(script.map(0, 4)).toBe('ENOMEM');
    expect(script.ranges()).toBe('');
  });

  it('makes a VMA of its own when a merge lacks memory', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.map(8, 4);
    script.write(8);
    script.kernel.failAllocation = 1;
    expect(script.map(4, 4)).toBe(4);
    expect(script.ranges()).toBe('0-4 4-8 8-12');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('gives future locks of mlockall to new memory', () => {
    const script = new VmScript();
    script.run({ op: 'mlockall', p: 0, flags: 'future|onfault' });
    script.map(0, 4);
    expect(script.flags(0)).toContain('lo lf');
    script.run({ op: 'munlockall', p: 0 });
    expect(script.flags(0)).not.toContain('lo');
    script.map(8, 4);
    expect(script.flags(8)).not.toContain('lo');
  });

  it('marks new memory mergeable after PR_SET_MEMORY_MERGE, but not shared memory', () => {
    const script = new VmScript();
    script.run({ op: 'prctl_merge', p: 0, on: 1 });
    script.map(0, 4);
    script.run({ op: 'mmap', p: 0, at: 8, n: 4, prot: 'rw', flags: 'shared|anon' });
    expect(script.flags(0)).toContain('mg');
    expect(script.flags(8)).not.toContain('mg');
  });
});

describe('a place of the kernel’s choice', () => {
  it('is the highest that is free', () => {
    const script = new VmScript();
    expect(mapAnywhere(script, 4)).toBe(MMAP_BASE_PAGES - 4);
    expect(mapAnywhere(script, 2)).toBe(MMAP_BASE_PAGES - 6);
    script.unmap(MMAP_BASE_PAGES - 4 - REGION_START, 2);
    expect(mapAnywhere(script, 3)).toBe(MMAP_BASE_PAGES - 9);
    expect(mapAnywhere(script, 2)).toBe(MMAP_BASE_PAGES - 4);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('keeps away from a stack above', () => {
    const script = new VmScript();
    script.map(MMAP_BASE_PAGES - 8 - REGION_START, 8, 'rw', 'growsdown');
    expect(mapAnywhere(script, 4)).toBe(MMAP_BASE_PAGES - 8 - 256 - 4);
  });
});

describe('files', () => {
  it('memory files go with their last mapping, with their pages', () => {
    const script = new VmScript();
    const { freePages } = script.kernel.memory;
    script.run({ op: 'mmap', p: 0, at: 0, n: 4, prot: 'rw', flags: 'shared|anon' });
    script.write(0, 4);
    const { mapping } = script.vma(0).file!;
    script.fork(0, 1);
    script.unmap(0, 2);
    expect(mapping.users).toBe(2);
    script.unmap(2, 2);
    expect(script.kernel.mappings[mapping.id]).toBe(mapping);
    script.exit(1);
    expect(script.kernel.mappings[mapping.id]).toBeUndefined();
    expect(script.kernel.memory.freePages).toBe(freePages);
  });

  it('a file on disk keeps its cache', () => {
    const script = new VmScript();
    script.run({ op: 'file', id: 'f', n: 4, kind: 'tmp' });
    script.mapFile('f', 0, 4, 'shared');
    script.write(0, 4);
    const { mapping } = script.vma(0).file!;
    script.unmap(0, 4);
    // Even without any descriptor.
    runToEnd(putMapping(script.kernel, mapping));
    expect(mapping.users).toBe(0);
    expect(mapping.pages.size).toBe(4);
    expect(() => runToEnd(putMapping(script.kernel, mapping))).toThrow(/once too often/);
  });

  it('a forked VMA comes behind its parent’s on the file’s tree', () => {
    const script = new VmScript();
    script.run({ op: 'file', id: 'f', n: 4, kind: 'memfd' });
    script.mapFile('f', 0, 4, 'shared');
    script.mapFile('f', 8, 4, 'shared');
    script.fork(0, 1);
    const { kernel } = script;
    const { iMmap } = script.vma(0).file!.mapping;
    const order: string[] = [];
    for (
      let row = kernel.intervals.firstRow(iMmap);
      row >= 0;
      row = kernel.intervals.nextRow(row)
    ) {
      const vma = kernel.vmaOfRow[row]!;
      order.push(`${vma.mm.id}:${vma.start - REGION_START}`);
    }
    expect(order).toEqual(['0:0', '1:0', '0:8', '1:8']);
  });
});

describe('words of flags', () => {
  it('are checked', () => {
    expect(() => parseMapFlags('private|fast')).toThrow(/mmap flag 'fast'/);
    expect(() => parseMapFlags('anon')).toThrow(/either shared or private/);
    expect(() => parseMapFlags('shared|private')).toThrow(/either shared or private/);
    expect(() => parseMremapFlags('move')).toThrow(/mremap flag 'move'/);
  });
});
