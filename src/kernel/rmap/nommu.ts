/**
 * The reverse map of a kernel for machines without an MMU: there are no page tables, so nothing can
 * be mapped twice, observed or unmapped, and every entry point has a constant answer (spec 00
 * §0.6). The answers are those that the real functions give for a folio that nothing maps. A
 * `Machine` always has page tables and uses the real ones.
 */
import type { FolioUse } from './folio_referenced.js';

const UNUSED: FolioUse = { referenced: 0, vmFlags: 0 };

/** There are no anon_vmas to make room for. @kernel nommu.anon_vma_init */
export function anonVmaInit(): void {}

/** Private memory needs no owner. Always 0. @kernel nommu.anon_vma_prepare */
export function anonVmaPrepare(): number {
  return 0;
}

/** No accessed bits: nobody used the folio, in no VMA. @kernel nommu.folio_referenced */
export function folioReferenced(): FolioUse {
  return UNUSED;
}

/** Nothing is unmapped. @kernel nommu.try_to_unmap */
export function tryToUnmap(): void {}

/** No entry can be made clean: none was changed. @kernel nommu.folio_mkclean */
export function folioMkclean(): number {
  return 0;
}
