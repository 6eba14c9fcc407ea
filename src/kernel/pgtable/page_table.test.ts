/** Goal: one descent finds what the level-by-level look-ups find, and holes are passed in one step. */
import { describe, expect, test } from 'vitest';
import { NIL } from '../../base/units.js';
import { PageTables } from './page_table.js';
import { PTE_LEAF, PTE_PRESENT } from './pte.js';

describe('page tables', () => {
  test('a leaf is found at every level, and nothing where a table is missing', () => {
    const tables = new PageTables();
    const pgd = tables.allocNode();
    const far = 2 ** 34 + 77;
    const pte = tables.allocPte(pgd, far);
    tables.flags[pte] = PTE_PRESENT;
    const pmd = tables.allocPmd(pgd, 2 ** 20);
    tables.flags[pmd] = PTE_PRESENT | PTE_LEAF;
    const pud = tables.allocPud(pgd, 2 ** 28);
    tables.flags[pud] = PTE_PRESENT | PTE_LEAF;
    expect(tables.findLeaf(pgd, far)).toBe(tables.findPte(pgd, far));
    expect(tables.findLeaf(pgd, far + 1)).toBe(pte + 1);
    expect(tables.findLeaf(pgd, 2 ** 20 + 511)).toBe(pmd);
    expect(tables.findLeaf(pgd, 2 ** 28 + 12_345)).toBe(pud);
    expect(tables.findLeaf(pgd, 2 ** 20 + 512)).toBe(NIL);
    expect(tables.findLeaf(pgd, 5)).toBe(NIL);
  });

  test('a hole ends at the next entry of the level that is missing, or at the end asked for', () => {
    const tables = new PageTables();
    const pgd = tables.allocNode();
    expect(tables.skipHole(pgd, 5, 2 ** 35)).toBe(2 ** 27);
    tables.allocPud(pgd, 5);
    expect(tables.skipHole(pgd, 5, 2 ** 35)).toBe(2 ** 18);
    expect(tables.skipHole(pgd, 5, 100)).toBe(100);
  });
});
