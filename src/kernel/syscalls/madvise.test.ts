import { describe, expect, it } from 'vitest';
import { VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';
import type { MadviseAdvice } from '../operation.js';

/** One VMA of each kind, 8 pages apart, and their first pages. */
const ANON = 0;
const READ_ONLY = 8;
const LOCKED = 16;
const SHARED_ANON = 24;
const PRIVATE_FILE = 32;
const SHARED_FILE = 40;

function kinds(): VmScript {
  const script = new VmScript();
  script.run({ op: 'file', id: 'f', n: 4, kind: 'memfd' });
  script.map(ANON, 4);
  script.map(READ_ONLY, 4, 'r');
  script.map(LOCKED, 4, 'rw', 'locked');
  script.run({ op: 'mmap', p: 0, at: SHARED_ANON, n: 4, prot: 'rw', flags: 'shared|anon' });
  script.mapFile('f', PRIVATE_FILE, 4, 'private');
  script.mapFile('f', SHARED_FILE, 4, 'shared');
  return script;
}

const PLACES = [ANON, READ_ONLY, LOCKED, SHARED_ANON, PRIVATE_FILE, SHARED_FILE];

describe('madvise: who refuses (spec 97 §1.4)', () => {
  it.each<[MadviseAdvice, Array<number | string>]>([
    //           anon      read-only  locked    shared anon  private file  shared file
    ['dontneed', [0, 0, 'EINVAL', 0, 0, 0]],
    ['dontneed_locked', [0, 0, 0, 0, 0, 0]],
    ['wipeonfork', [0, 0, 0, 'EINVAL', 'EINVAL', 'EINVAL']],
    ['keeponfork', [0, 0, 0, 0, 0, 0]],
    ['remove', ['EINVAL', 'EINVAL', 'EINVAL', 0, 'EACCES', 0]],
    ['guard_install', [0, 0, 'EINVAL', 0, 0, 0]],
    ['guard_remove', [0, 0, 0, 0, 0, 0]],
    ['dontdump', [0, 0, 0, 0, 0, 0]],
    ['dofork', [0, 0, 0, 0, 0, 0]],
    ['mergeable', [0, 0, 0, 0, 0, 0]],
    ['hugepage', [0, 0, 0, 0, 0, 0]],
    ['willneed', [0, 0, 0, 0, 0, 0]],
    ['populate_read', [0, 0, 0, 0, 0, 0]],
    ['populate_write', [0, 'EINVAL', 0, 0, 0, 0]],
  ])('%s', (advice, expected) => {
    const script = kinds();
    expect(PLACES.map((at) => script.advise(at, 4, advice))).toEqual(expected);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it.each<[MadviseAdvice, number]>([
    ['free', LOCKED],
    ['cold', LOCKED],
    ['pageout', LOCKED],
    ['free', SHARED_ANON],
    ['free', PRIVATE_FILE],
  ])('%s at %i answers EINVAL', (advice, at) => {
    expect(kinds().advise(at, 4, advice)).toBe('EINVAL');
  });

  it('does not know what the kernel was built without', () => {
    const script = new VmScript({ ksm: false, transparentHugepage: false });
    script.map(0, 4);
    for (const advice of ['mergeable', 'unmergeable', 'hugepage', 'nohugepage'] as const) {
      expect(script.advise(0, 4, advice)).toBe('EINVAL');
    }
  });
});

describe('madvise: the walk', () => {
  it('accepts length 0', () => {
    expect(new VmScript().advise(0, 0, 'dontneed')).toBe(0);
  });

  it('processes everything and answers ENOMEM for holes', () => {
    for (const [at, n] of [
      [0, 8],
      [4, 12],
      [4, 8],
    ] as const) {
      const script = new VmScript();
      script.map(2, 2);
      script.map(6, 2);
      script.map(10, 2);
      expect(script.advise(at, n, 'dontdump')).toBe('ENOMEM');
      const within = [2, 6, 10].filter((start) => start >= at && start < at + n);
      expect([2, 6, 10].filter((start) => script.flags(start).includes('dd'))).toEqual(within);
    }
  });

  it('stops at a refusal, which wins over a hole', () => {
    const script = new VmScript();
    script.map(2, 2);
    script.run({ op: 'mmap', p: 0, at: 6, n: 2, prot: 'rw', flags: 'shared|anon' });
    script.map(10, 2);
    expect(script.advise(0, 12, 'wipeonfork')).toBe('EINVAL');
    expect(script.flags(2)).toContain('wf');
    expect(script.flags(10)).not.toContain('wf');
  });

  it('answers EAGAIN when a split lacks memory', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.kernel.failAllocation = 1;
    expect(script.advise(1, 1, 'dontdump')).toBe('EAGAIN');
    expect(script.ranges()).toBe('0-4');
  });
});

describe('madvise: flags', () => {
  it.each<[MadviseAdvice, MadviseAdvice, string]>([
    ['dontfork', 'dofork', 'dc'],
    ['wipeonfork', 'keeponfork', 'wf'],
    ['dontdump', 'dodump', 'dd'],
    ['mergeable', 'unmergeable', 'mg'],
    ['sequential', 'normal', 'sr'],
    ['random', 'normal', 'rr'],
    ['sequential', 'random', 'sr'],
    ['random', 'sequential', 'rr'],
    ['hugepage', 'nohugepage', 'hg'],
    ['nohugepage', 'hugepage', 'nh'],
  ])('%s splits, %s takes it back', (set, clear, code) => {
    const script = new VmScript();
    script.map(0, 4);
    script.write(0, 4);
    script.advise(1, 2, set);
    expect(script.ranges()).toBe('0-1 1-3 3-4');
    expect(script.flags(1).split(' ')).toContain(code);
    script.advise(1, 2, set);
    expect(script.ranges()).toBe('0-1 1-3 3-4');
    script.advise(0, 4, clear);
    expect(script.flags(0).split(' ')).not.toContain(code);
    expect(script.ranges()).toBe('0-4');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('mergeable registers with ksmd once, and ignores shared memory', () => {
    const script = kinds();
    script.advise(SHARED_ANON, 4, 'mergeable');
    expect(script.flags(SHARED_ANON)).not.toContain('mg');
    expect(script.mm().ksmRegistered).toBe(false);
    script.advise(ANON, 4, 'mergeable');
    script.advise(READ_ONLY, 4, 'mergeable');
    expect(script.mm().ksmRegistered).toBe(true);
    expect(script.kernel.ksm.slots.filter(({ mm }) => mm === script.mm())).toHaveLength(1);
  });

  it('guard_install marks the whole VMA and prepares anonymous memory only', () => {
    const script = kinds();
    script.advise(ANON + 1, 1, 'guard_install');
    script.advise(PRIVATE_FILE + 1, 1, 'guard_install');
    expect(script.flags(ANON)).toBe('rd wr mr mw me gu ac');
    expect(script.flags(PRIVATE_FILE)).toContain('gu');
    expect(script.chain(ANON)).toHaveLength(1);
    expect(script.chain(PRIVATE_FILE)).toEqual([]);
    script.advise(ANON, 4, 'guard_remove');
    expect(script.flags(ANON)).toContain('gu');
  });
});
