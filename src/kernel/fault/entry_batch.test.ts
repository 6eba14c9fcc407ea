import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

// @covers mprotect_folio_pte_batch, modify_prot_start_ptes

/** Two folios of 16 pages at page 512, clean but for page 515. */
function freedScript(): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'mthp.64kB', value: 'always' });
  script.map(512, 32);
  script.write(512, 32, 1);
  script.run({ op: 'madvise', p: 0, at: 512, n: 32, advice: 'free' });
  return script;
}

/** Numbers of the dirty pages among [512, 544), counted from 512. */
function dirtyPages(script: MachineScript): number[] {
  const dirty: number[] = [];
  for (let i = 0; i < 32; i += 1) {
    const page = script.page(512 + i);
    if (page?.k === 'page' && page.d === 1) dirty.push(i);
  }
  return dirty;
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, i) => first + i);
}

describe('dirty entries of a large folio', () => {
  it('make dirty what mprotect changes with them, in the range and the folio', () => {
    const script = freedScript();
    script.write(515, 1, 2);
    script.run({ op: 'mprotect', p: 0, at: 512, n: 8, prot: 'r' });
    expect(dirtyPages(script)).toEqual(range(0, 8));
    script.run({ op: 'mprotect', p: 0, at: 512, n: 32, prot: 'r' });
    expect(dirtyPages(script)).toEqual(range(0, 8));
    script.run({ op: 'mprotect', p: 0, at: 512, n: 32, prot: 'rw' });
    expect(dirtyPages(script)).toEqual(range(0, 16));
    checkInvariants(script.kernel);
  });

  it('do not reach over a gap or an entry of another kind', () => {
    const script = freedScript();
    script.write(515, 1, 2);
    script.run({ op: 'madvise', p: 0, at: 518, n: 1, advice: 'dontneed' });
    script.run({ op: 'mprotect', p: 0, at: 512, n: 32, prot: 'r' });
    expect(dirtyPages(script)).toEqual(range(0, 6));

    const forked = freedScript();
    forked.fork(0, 1);
    forked.run({ op: 'exit', p: 1 });
    forked.write(515, 1, 2);
    // Writable in between: three batches, and one of all pages once none is writable.
    forked.run({ op: 'mprotect', p: 0, at: 512, n: 32, prot: 'r' });
    expect(dirtyPages(forked)).toEqual([3]);
    forked.run({ op: 'mprotect', p: 0, at: 512, n: 32, prot: 'rw' });
    expect(dirtyPages(forked)).toEqual(range(0, 16));
  });

  it('leave small pages as they are', () => {
    const script = new MachineScript();
    script.map(512, 32);
    script.write(512, 32, 1);
    script.run({ op: 'madvise', p: 0, at: 512, n: 32, advice: 'free' });
    script.write(515, 1, 2);
    script.run({ op: 'mprotect', p: 0, at: 512, n: 32, prot: 'r' });
    expect(dirtyPages(script)).toEqual([3]);
  });

  it('make dirty what is write-protected with them', () => {
    const script = freedScript();
    script.write(515, 1, 2);
    script.run({ op: 'uffd_register', p: 0, at: 512, n: 32, mode: 'wp' });
    script.run({ op: 'uffd_wp', p: 0, at: 514, n: 4, on: 1 });
    expect(dirtyPages(script)).toEqual(range(2, 6));
    checkInvariants(script.kernel);
  });
});
