import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { PG_REFERENCED } from '../phys/page_flags.js';
import { findVma } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';

// @covers zap_present_ptes, zap_huge_pmd, vma_has_recency

/** A file that is mapped at page 512 and read, by small entries or by one huge one. */
function readFile(level: 'pte' | 'pmd'): MachineScript {
  const script = new MachineScript();
  const isHuge = level === 'pmd';
  if (isHuge) script.run({ op: 'config', key: 'shmem_thp', value: 'always' });
  const n = isHuge ? 512 : 4;
  script.run(
    { op: 'file', id: 'f', n, kind: 'memfd' },
    { op: 'filewrite', file: 'f', at: 0, n, v: 5 },
    { op: 'mmap', p: 0, at: 512, n, prot: 'r', flags: 'shared', file: 'f', off: 0 },
  );
  script.run({ op: 'read', p: 0, at: 512, n });
  expect(script.page(512)).toMatchObject({ level });
  return script;
}

function vmaOf(script: MachineScript): Vma {
  const mm = script.kernel.processes.get(0)?.mm;
  const vma = mm === undefined ? undefined : findVma(mm, script.machine.regionStart + 512);
  if (vma === undefined) throw new Error('no VMA');
  return vma;
}

/** Whether unmapping it counts as a use of the folio. */
function isUsedByUnmapping(script: MachineScript): boolean {
  const { flags } = script.kernel.memory;
  const head = script.kernel.memory.folioOf(script.pfn(512));
  flags[head] &= ~PG_REFERENCED;
  script.run({ op: 'munmap', p: 0, at: 512, n: vmaOf(script).lengthPages });
  return (flags[head] & PG_REFERENCED) !== 0;
}

describe.each(['pte', 'pmd'] as const)('zap of a young entry of a file, level %s', (level) => {
  it('counts as a use of the page', () => {
    expect(isUsedByUnmapping(readFile(level))).toBe(true);
  });

  it.each(['random', 'sequential'] as const)('does not in memory with advice %s', (advice) => {
    const script = readFile(level);
    script.run({ op: 'madvise', p: 0, at: 512, n: vmaOf(script).lengthPages, advice });
    expect(isUsedByUnmapping(script)).toBe(false);
    const other = readFile(level);
    other.run({ op: 'madvise', p: 0, at: 512, n: vmaOf(other).lengthPages, advice });
    other.run({ op: 'madvise', p: 0, at: 512, n: vmaOf(other).lengthPages, advice: 'normal' });
    expect(isUsedByUnmapping(other)).toBe(true);
  });

  it('does not where the file is opened for a single use', () => {
    const script = readFile(level);
    const { file } = vmaOf(script);
    if (file === undefined) throw new Error('no file');
    file.noReuse = true;
    expect(isUsedByUnmapping(script)).toBe(false);
  });

  it('does not where nobody used the entry', () => {
    const script = readFile(level);
    script.run({ op: 'clear_refs', p: 0, what: 'all' });
    expect(isUsedByUnmapping(script)).toBe(false);
  });
});
