/**
 * Page tables in store: each huge PMD entry of anonymous memory has an empty one beside its PMD
 * table, so that it can be split where no memory could be had (spec 50 §4, 90 A6.49). Huge entries
 * of files have none: a split drops them. Nor have those of hugetlb.
 */
import { fail } from '../../base/errors.js';
import { ENTRIES_PER_TABLE } from '../../base/units.js';
import type { Kernel } from '../kernel.js';

function tableOf(pmd: number): number {
  return Math.floor(pmd / ENTRIES_PER_TABLE);
}

/**
 * Stores an empty page table for the huge entry `pmd`. A new one may replace the page-table
 * columns. @kernel pgtable_trans_huge_deposit
 */
export function depositTable(
  kernel: Kernel,
  pmd: number,
  node = kernel.pageTables.allocNode(),
): void {
  const { deposited } = kernel.pageTables;
  const stored = deposited.get(tableOf(pmd));
  if (stored === undefined) deposited.set(tableOf(pmd), [node]);
  else stored.push(node);
}

/**
 * Takes back one of the page tables that are stored beside the PMD table of `pmd`; the last stored
 * comes first. @kernel pgtable_trans_huge_withdraw
 */
export function withdrawTable(kernel: Kernel, pmd: number): number {
  const { deposited } = kernel.pageTables;
  const stored = deposited.get(tableOf(pmd));
  const node = stored?.pop();
  if (node === undefined) fail(`no page table is stored for the huge entry ${pmd}`);
  if (stored?.length === 0) deposited.delete(tableOf(pmd));
  return node;
}

/** The huge entry is gone: frees its page table. @kernel zap_deposited_table */
export function freeDepositedTable(kernel: Kernel, pmd: number): void {
  kernel.pageTables.freeNode(withdrawTable(kernel, pmd));
}

/** A huge entry moved from `from` to `to`, maybe below another PMD table. @kernel move_huge_pmd */
export function moveDepositedTable(kernel: Kernel, from: number, to: number): void {
  if (tableOf(from) !== tableOf(to)) depositTable(kernel, to, withdrawTable(kernel, from));
}
