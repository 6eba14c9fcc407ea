/** Every function that adds, duplicates, shares or removes mappings of folios (spec 20 §3). */
export {
  folioAddAnonRmapPmd,
  folioAddAnonRmapPtes,
  folioAddFileRmapPmd,
  folioAddFileRmapPtes,
  folioAddFileRmapPud,
  folioAddNewAnonRmap,
} from './folio_rmap_add.js';
export {
  folioDupFileRmapPmd,
  folioDupFileRmapPtes,
  folioNeedsCowForDma,
  folioTryDupAnonRmapPmd,
  folioTryDupAnonRmapPtes,
} from './folio_rmap_dup.js';
export {
  folioRemoveRmapPmd,
  folioRemoveRmapPtes,
  folioRemoveRmapPud,
} from './folio_rmap_remove.js';
export {
  folioMoveAnonRmap,
  folioTryShareAnonRmapPmd,
  folioTryShareAnonRmapPte,
} from './folio_rmap_share.js';
export {
  hugetlbAddAnonRmap,
  hugetlbAddFileRmap,
  hugetlbAddNewAnonRmap,
  hugetlbRemoveRmap,
  hugetlbTryDupAnonRmap,
  hugetlbTryShareAnonRmap,
} from './hugetlb_rmap.js';
