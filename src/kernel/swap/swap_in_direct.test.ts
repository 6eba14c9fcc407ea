import { describe, expect, it } from 'vitest';
import { SwapScript } from '../../../test/support/swap_script.js';

/** Four pages of one 16 KiB folio in swap. */
function swappedFolio(): SwapScript {
  const script = new SwapScript();
  script.set('mthp.16kB', 'always');
  script.fill(0, 4, 5);
  script.out(0, 4);
  return script;
}

describe('a large folio that comes back', () => {
  it('is whole after one major fault', () => {
    const script = swappedFolio();
    expect(script.run({ op: 'read', p: 0, at: 2, n: 1 })).toMatchObject({ maj: 1, flt: 0 });
    expect([script.order(0), script.bits(3), script.usedSlots]).toEqual([2, 'w-e', 0]);
    expect(script.read(0, 4)).toEqual([5, 6, 7, 8]);
  });

  it('is dirty in all entries after a write', () => {
    const script = swappedFolio();
    script.write(1, 1, 9);
    expect([0, 1, 2, 3].map((at) => script.bits(at))).toEqual(['wde', 'wde', 'wde', 'wde']);
  });

  it('takes one reference of each slot, also of those that others refer to', () => {
    const script = swappedFolio();
    script.fork(0, 1);
    script.run({ op: 'munmap', p: 1, at: 0, n: 2 });
    script.read(0);
    expect([script.order(0), script.usedSlots, script.problems]).toEqual([2, 2, []]);
    expect(script.read(2, 2, 1)).toEqual([7, 8]);
  });

  it.each([
    ['the size is off', (script: SwapScript) => script.set('mthp.16kB', 'never')],
    ['a page is back', (script: SwapScript) => script.advise(3, 1, 'dontneed')],
    [
      'a VMA ends inside',
      (script: SwapScript) => script.run({ op: 'mprotect', p: 0, at: 3, n: 1, prot: 'r' }),
    ],
    [
      'it moved to another alignment',
      (script: SwapScript) =>
        script.run({ op: 'mremap', p: 0, at: 0, n: 4, new: 4, to: 101, flags: 'fixed' }),
    ],
    ['a slot is cached', (script: SwapScript) => script.advise(3, 1, 'willneed')],
  ])('is read page by page if %s', (_what, spoil) => {
    const script = swappedFolio();
    spoil(script);
    const at = script.state().procs[0].vmas[0].at;
    script.read(at);
    expect(script.order(at)).toBe(0);
    expect(script.read(at, 3)).toEqual([5, 6, 7]);
  });

  it('moved away and back is whole again', () => {
    const script = swappedFolio();
    script.run(
      { op: 'mremap', p: 0, at: 0, n: 4, new: 4, to: 101, flags: 'fixed' },
      { op: 'mremap', p: 0, at: 101, n: 4, new: 4, to: 0, flags: 'fixed' },
    );
    script.read(0);
    expect(script.order(0)).toBe(2);
  });

  it('may be of small pages that happen to lie in aligned slots', () => {
    const script = new SwapScript();
    script.fill(1, 11);
    script.out(1, 11);
    script.set('mthp.16kB', 'always');
    script.read(4);
    expect([script.order(4), script.order(7)]).toEqual([2, 2]);
  });

  it('is not made of zero slots and others', () => {
    const script = new SwapScript();
    script.fill(1, 11, 0);
    script.out(1, 11);
    script.set('mthp.16kB', 'always');
    // The words are 0, 1, 2, …: only the first slot is zero, and it is in no whole block.
    script.read(4);
    expect(script.order(4)).toBe(2);
    const mixed = new SwapScript();
    mixed.fill(1, 11, 1);
    mixed.write(6, 1, 0);
    mixed.out(1, 11);
    mixed.set('mthp.16kB', 'always');
    mixed.read(4);
    expect(mixed.order(4)).toBe(0);
  });

  it('never is a huge page: 2 MiB come back as small pages', () => {
    const script = new SwapScript();
    script.set('thp', 'always');
    script.map(512, 512);
    script.write(512, 512, 3);
    script.out(512, 512);
    expect(script.usedSlots).toBe(512);
    script.read(512);
    expect([script.order(512), script.slot(513)]).toEqual([0, '0e']);
  });
});
