import { expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { RmapError } from '../../base/errors.js';
import type { Operation } from '../operation.js';
import { findVma } from '../vm/mm.js';
import { hasRecency } from '../vm/vma.js';

// @covers generic_fadvise

function mapped(at: number, file = 'f'): Operation {
  return { op: 'mmap', p: 0, at, n: 4, prot: 'r', flags: 'shared', file, off: 0 };
}

function withFile(kind: 'tmp' | 'memfd' | 'memfd_hugetlb'): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'file', id: 'f', n: 512, kind });
  return script;
}

/** Whether accesses through the VMAs at these pages count. */
function counts(script: MachineScript, pages: readonly number[], p = 0): boolean[] {
  const mm = script.kernel.processes.get(p)?.mm;
  return pages.map((at) => {
    const vma = mm === undefined ? undefined : findVma(mm, script.machine.regionStart + at);
    if (vma === undefined) throw new Error('no VMA');
    return hasRecency(vma);
  });
}

it('concerns what is mapped through the opens so far, in parts and children too', () => {
  const script = withFile('tmp');
  script.run(mapped(0), mapped(16), { op: 'mprotect', p: 0, at: 2, n: 2, prot: 'n' });
  script.fork(0, 1);
  expect(script.answer({ op: 'fadvise', file: 'f', advice: 'noreuse' })).toBe(0);
  script.run(mapped(32));
  expect(counts(script, [0, 2, 16, 32])).toEqual([false, false, false, true]);
  expect(counts(script, [0, 2, 16], 1)).toEqual([false, false, false]);
  script.run({ op: 'fadvise', file: 'f', advice: 'normal' });
  expect(counts(script, [0, 2, 16, 32])).toEqual([true, true, true, true]);
  expect(counts(script, [0, 16], 1)).toEqual([true, true]);
});

it('leaves other files alone', () => {
  const script = withFile('tmp');
  script.run({ op: 'file', id: 'g', n: 4, kind: 'tmp' }, mapped(0), mapped(16, 'g'));
  script.run({ op: 'fadvise', file: 'g', advice: 'noreuse' });
  expect(counts(script, [0, 16])).toEqual([true, false]);
});

it('is taken and forgotten by files in memory', () => {
  const script = withFile('memfd');
  script.run(mapped(0));
  expect(script.answer({ op: 'fadvise', file: 'f', advice: 'noreuse' })).toBe(0);
  expect(counts(script, [0])).toEqual([true]);
  const huge = withFile('memfd_hugetlb');
  expect(huge.answer({ op: 'fadvise', file: 'f', advice: 'noreuse' })).toBe(0);
});

it('refuses a file that is not there', () => {
  const script = withFile('tmp');
  expect(() => script.run({ op: 'fadvise', file: 'x', advice: 'normal' })).toThrow(RmapError);
});
