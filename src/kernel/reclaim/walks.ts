/** The reverse-map walks that reclaim uses. */
export { folioReferenced } from '../rmap/folio_referenced.js';
export type { FolioUse } from '../rmap/folio_referenced.js';
export { tryToUnmap } from '../rmap/try_to_unmap.js';
