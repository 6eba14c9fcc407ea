/** Goal: one descent finds what the level-by-level look-ups find, and holes are passed in one step. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NIL } from '../../base/units.js';
import { PageTables } from './page_table.js';
import { PTE_LEAF, PTE_PRESENT, PTE_TABLE } from './pte.js';

/** The PMD entry by plain descent from the top, with nothing remembered. */
function slowPmd(tables: PageTables, pgd: number, vpn: number): number {
  let node = pgd;
  for (const shift of [27, 18]) {
    const entry = node * 512 + (Math.floor(vpn / 2 ** shift) % 512);
    if ((tables.flags[entry] & PTE_TABLE) === 0) return NIL;
    node = tables.payload[entry];
  }
  return node * 512 + (Math.floor(vpn / 512) % 512);
}

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

  test('remembered descents never outlive a table', () => {
    // Blocks that share slots of the memory and upper tables, in two address spaces.
    const block = fc.constantFrom(0, 1, 64, 512, 2 ** 18, 2 ** 18 + 64, 2 ** 26 - 1);
    const step = fc.record({
      kind: fc.constantFrom('look', 'make', 'drop'),
      space: fc.nat(1),
      block,
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const tables = new PageTables();
        const spaces = [tables.allocNode(), tables.allocNode()];
        for (const { kind, space, block: at } of steps) {
          const pgd = spaces[space] ?? 0;
          const vpn = at * 512;
          if (kind === 'make') tables.allocPte(pgd, vpn);
          if (kind === 'drop') {
            // As when the last mapping below a PUD entry goes.
            const pud = tables.findPud(pgd, vpn);
            if (pud !== NIL && (tables.flags[pud] & PTE_TABLE) !== 0) {
              const node = tables.payload[pud];
              tables.flags.fill(0, node * 512, node * 512 + 512);
              tables.flags[pud] = 0;
              tables.freeNode(node);
            }
          }
          for (const other of spaces) {
            expect(tables.findPmd(other, vpn)).toBe(slowPmd(tables, other, vpn));
          }
        }
      }),
      { seed: 7, numRuns: 300 },
    );
  });
});
