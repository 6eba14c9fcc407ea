import { describe, expect, it } from 'vitest';
import { buildKernelMap, formatKernelMap, openRows, parseInventory } from './kernel_map_format.js';

const inventory = parseInventory(
  'name\tkind\tspec\nanon_vma\tstruct\t10\nanon_vma.root\tfield\t10\ntry_to_unmap\tfunction\t40\n',
);
const source = {
  path: 'src/kernel/rmap/anon_vma.ts',
  text: [
    '/** Head of a set. @kernel anon_vma */',
    'export class AnonVma {',
    '  readonly root: AnonVma; // @kernel anon_vma.root',
    '}',
    '/**',
    ' * Removes.',
    ' * @kernel unlink_anon_vmas, put_anon_vma.',
    ' */',
    'export function* unlinkAnonVmas(): Op<void> {}',
  ].join('\n'),
};
const test = { path: 'src/kernel/a.test.ts', text: '// @covers anon_vma, anon_vma.root\n' };

describe('the kernel map', () => {
  it('finds the identifier behind a tag and the test that covers it', () => {
    const map = buildKernelMap(inventory, [source, test]);
    expect(map.rows.map((row) => [row.name, row.places, row.tests])).toEqual([
      ['anon_vma', ['src/kernel/rmap/anon_vma.ts AnonVma'], ['src/kernel/a.test.ts']],
      ['anon_vma.root', ['src/kernel/rmap/anon_vma.ts root'], ['src/kernel/a.test.ts']],
      ['try_to_unmap', [], []],
    ]);
    expect(map.beyond).toEqual([
      { name: 'put_anon_vma', places: ['src/kernel/rmap/anon_vma.ts unlinkAnonVmas'] },
      { name: 'unlink_anon_vmas', places: ['src/kernel/rmap/anon_vma.ts unlinkAnonVmas'] },
    ]);
    expect(map.summary).toMatch(/^2 of 3 names of rmap\.h have code, 1 are missing, 0 have code/);
  });

  it('is open where a name has no code or no test', () => {
    const complete = buildKernelMap(inventory.slice(0, 2), [source, test]);
    expect(openRows(complete)).toEqual([]);
    expect(openRows(buildKernelMap(inventory, [source, test]))).toEqual([
      'try_to_unmap: no @kernel tag',
    ]);
    const half = { ...test, text: '// @covers anon_vma, try_to_unmap' };
    expect(openRows(buildKernelMap(inventory, [source, half]))).toEqual([
      'anon_vma.root: no test covers it',
      'try_to_unmap: no @kernel tag',
    ]);
  });

  it('prints one row for each name', () => {
    const text = formatKernelMap(buildKernelMap(inventory, [source, test]));
    expect(text).toContain('| `try_to_unmap` | function | 40 | – | – |');
  });

  it('refuses a malformed inventory with its line', () => {
    expect(() => parseInventory('name\tkind\tspec\nbroken\n')).toThrow(/line 2/);
  });
});
