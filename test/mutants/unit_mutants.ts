import type { Edit } from './kernel_loader.js';

/** One plausible mistake in a kernel function, which the tests beside the function must notice. */
export interface UnitMutant {
  /** What is wrong. */
  readonly name: string;
  /** File with the rule and its tests, below `src/kernel`, without suffix. */
  readonly file: string;
  readonly rule: string;
  readonly wrong: string;
}

export function editOf({ file, rule, wrong }: UnitMutant): Edit {
  return { file: `${file}.ts`, rule, wrong };
}

const RESTORE = 'rmap/remove_migration_ptes';
const MIGRATE = 'rmap/try_to_migrate';
const WALK = 'rmap/page_vma_mapped';
const REFERENCED = 'rmap/folio_referenced';
const CLEAN = 'rmap/mkclean';
const COUNT = 'rmap/large_mapcount';

const RESTORE_MUTANTS: readonly UnitMutant[] = [
  {
    name: 'an entry comes back young whatever it was',
    file: RESTORE,
    rule: '  if ((entryFlags & PTE_YOUNG) === 0) flags &= ~PTE_YOUNG;\n',
    wrong: '',
  },
  {
    name: 'an entry comes back dirty to a clean folio',
    file: RESTORE,
    rule: 'if (isDirty && (entryFlags & PTE_DIRTY) !== 0) flags |= PTE_DIRTY;',
    wrong: 'if (isDirty || (entryFlags & PTE_DIRTY) !== 0) flags |= PTE_DIRTY;',
  },
  {
    name: 'the dirty bit of an entry is lost',
    file: RESTORE,
    rule: 'if (isDirty && (entryFlags & PTE_DIRTY) !== 0) flags |= PTE_DIRTY;',
    wrong: 'if (isDirty && (entryFlags & PTE_DIRTY) === 0) flags |= PTE_DIRTY;',
  },
  {
    name: 'the soft-dirty bit of an entry is lost',
    file: RESTORE,
    rule: '  flags |= entryFlags & PTE_SOFT_DIRTY;\n',
    wrong: '',
  },
  {
    name: 'a writable entry comes back writable into a VMA that is read-only now',
    file: RESTORE,
    rule: 'if (wasWritable && (vma.flags & VM_WRITE) !== 0) flags |= PTE_WRITE;',
    wrong: 'if (wasWritable) flags |= PTE_WRITE;',
  },
  {
    name: 'every entry of a writable VMA comes back writable',
    file: RESTORE,
    rule: 'if (wasWritable && (vma.flags & VM_WRITE) !== 0) flags |= PTE_WRITE;',
    wrong: 'if ((vma.flags & VM_WRITE) !== 0) flags |= PTE_WRITE;',
  },
  {
    name: 'the protection of userfaultfd is lost',
    file: RESTORE,
    rule: '  else flags |= entryFlags & PTE_UFFD_WP;\n',
    wrong: '',
  },
  {
    name: 'only writable entries stood for exclusive pages',
    file: RESTORE,
    rule: 'return (entryFlags & KIND_MASK) !== KIND_MIGRATION_READ;',
    wrong: 'return (entryFlags & KIND_MASK) === KIND_MIGRATION_WRITE;',
  },
  {
    name: 'a page of KSM may come back exclusive',
    file: RESTORE,
    rule: 'wasExclusive(entryFlags) && !isKsmFolio(kernel, target)',
    wrong: 'wasExclusive(entryFlags) || isKsmFolio(kernel, target)',
  },
  {
    name: 'every page of a large folio comes back as its first',
    file: RESTORE,
    rule: 'const offset = isLarge ? linearPageIndex(vma, walk.vpn) - memory.index[target] : 0;',
    wrong: 'const offset = isLarge ? 0 : 0;',
  },
  {
    name: 'an entry takes no reference',
    file: RESTORE,
    rule: '  folioGet(kernel, target);\n  const flags = restoredFlags(',
    wrong: '  const flags = restoredFlags(',
  },
  {
    name: 'a huge entry comes back without exclusiveness',
    file: RESTORE,
    rule: 'folioAddAnonRmapPmd(kernel, target, vma, blockStart, wasExclusive(entryFlags));',
    wrong: 'folioAddAnonRmapPmd(kernel, target, vma, blockStart, false);',
  },
  {
    name: 'a page that was moved becomes the zero page',
    file: RESTORE,
    rule: '(flags & RMP_USE_SHARED_ZEROPAGE) !== 0 && source === target;',
    wrong: '(flags & RMP_USE_SHARED_ZEROPAGE) !== 0;',
  },
  {
    name: 'pages of locked memory become the zero page',
    file: RESTORE,
    rule: ' || (vma.flags & VM_LOCKED) !== 0) return false;\n  if (memory.content',
    wrong: ') return false;\n  if (memory.content',
  },
  {
    name: 'the zero page stays counted as a page of the process',
    file: RESTORE,
    rule: '  vma.mm.rss[MM_ANONPAGES] -= 1;\n',
    wrong: '',
  },
  {
    name: 'the caller has the rmap lock and it is taken once more',
    file: RESTORE,
    rule: 'if ((flags & RMP_LOCKED) !== 0) yield* rmapWalkLocked',
    wrong: 'if ((flags & RMP_LOCKED) === 0) yield* rmapWalkLocked',
  },
  {
    name: 'an exclusive page of hugetlb comes back shared',
    file: RESTORE,
    rule: 'hugetlbAddAnonRmap(kernel, target, vma, wasExclusive(entryFlags));',
    wrong: 'hugetlbAddAnonRmap(kernel, target, vma, false);',
  },
  {
    name: 'a writable page of a device comes back readable',
    file: RESTORE,
    rule: '(presentEntry & PTE_WRITE) === 0 ? KIND_DEVICE_READ : KIND_DEVICE_WRITE;',
    wrong: '(presentEntry & PTE_WRITE) === 0 ? KIND_DEVICE_READ : KIND_DEVICE_READ;',
  },
];

const MIGRATE_MUTANTS: readonly UnitMutant[] = [
  {
    name: 'flags that mean nothing here are passed over',
    file: MIGRATE,
    rule: '  if ((flags & ~LEGAL_FLAGS) !== 0) return;\n',
    wrong: '',
  },
  {
    name: 'the stack of an exec keeps its KSM pages too',
    file: MIGRATE,
    rule: 'isAnonFolio(kernel, head) && !isKsmFolio(kernel, head);\n  const control',
    wrong: 'isAnonFolio(kernel, head);\n  const control',
  },
  {
    name: 'a page that may be pinned gets a migration entry',
    file: MIGRATE,
    rule: '    if (folioTryShareAnonRmapPte(kernel, head, pfn) !== 0) {\n      pageTables.flags[entry] = pte;\n      return false;\n    }\n',
    wrong: '    folioTryShareAnonRmapPte(kernel, head, pfn);\n',
  },
  {
    name: 'a page that may be pinned loses its entry',
    file: MIGRATE,
    rule: '      pageTables.flags[entry] = pte;\n      return false;\n    }\n  }\n  if (isPresent)',
    wrong: '      return false;\n    }\n  }\n  if (isPresent)',
  },
  {
    name: 'the dirty bit does not reach the folio',
    file: MIGRATE,
    rule: '    if ((pte & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;\n  }\n  if (isPoisoned || isDropped)',
    wrong: '  }\n  if (isPoisoned || isDropped)',
  },
  {
    name: 'a poisoned page gets an ordinary entry',
    file: MIGRATE,
    rule: 'const isPoisoned = (memory.flags[pfn] & PG_HWPOISON) !== 0;',
    wrong: 'const isPoisoned = (memory.flags[pfn] & PG_HWPOISON) > PG_HWPOISON;',
  },
  {
    name: 'a poisoned page stays counted',
    file: MIGRATE,
    rule: '    vma.mm.rss[counterOf(isAnon, (memory.flags[head] & PG_SWAPBACKED) !== 0)] -= 1;\n',
    wrong: '',
  },
  {
    name: 'what a guest gave up is marked as poisoned',
    file: MIGRATE,
    rule: 'pageTables.flags[entry] = isPoisoned ? KIND_HWPOISON : 0;',
    wrong: 'pageTables.flags[entry] = KIND_HWPOISON;',
  },
  {
    name: 'a writable entry of a device becomes a readable one',
    file: MIGRATE,
    rule: '      : (pte & KIND_MASK) === KIND_DEVICE_WRITE;',
    wrong: '      : false;',
  },
  {
    name: 'exclusiveness is not written into the entry',
    file: MIGRATE,
    rule: 'migrationFlags(isWritable ? bits | PTE_WRITE : bits, isExclusive);',
    wrong: 'migrationFlags(isWritable ? bits | PTE_WRITE : bits, false);',
  },
  {
    name: 'an entry is taken and not flushed though nobody does it later',
    file: MIGRATE,
    rule: '      flushTlbRange(kernel, vma.mm, walk.vpn, walk.vpn + 1);\n',
    wrong: '      flushTlbRange(kernel, vma.mm, walk.vpn, walk.vpn);\n',
  },
  {
    name: 'the reference of an entry is kept',
    file: MIGRATE,
    rule: '  drainMlockOf(kernel, vma);\n  folioPut(kernel, head);\n',
    wrong: '  drainMlockOf(kernel, vma);\n',
  },
  {
    name: 'the dirty bit of a huge entry does not reach the folio',
    file: MIGRATE,
    rule: '  if ((pte & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;\n  pageTables.flags[pmd]',
    wrong: '  pageTables.flags[pmd]',
  },
  {
    name: 'a huge page that may be pinned loses its entry',
    file: MIGRATE,
    rule: '      pageTables.flags[pmd] = pte;\n      return false;\n',
    wrong: '      return false;\n',
  },
  {
    name: 'one page of a huge entry is flushed',
    file: MIGRATE,
    rule: 'flushTlbRange(kernel, vma.mm, blockStart, blockStart + PAGES_PER_PMD);',
    wrong: 'flushTlbRange(kernel, vma.mm, blockStart, blockStart + 1);',
  },
  {
    name: 'a huge entry is not split though it was asked for',
    file: MIGRATE,
    rule: 'let splits = (arg.flags & TTU_SPLIT_HUGE_PMD) !== 0;',
    wrong: 'let splits = (arg.flags & TTU_SPLIT_HUGE_PMD) === TTU_SPLIT_HUGE_PMD + 1;',
  },
  {
    name: 'the split of a huge entry leaves present entries',
    file: MIGRATE,
    rule: 'splitHugePmdLocked(kernel, vma, walk.vpn, walk.pmd, true);',
    wrong: 'splitHugePmdLocked(kernel, vma, walk.vpn, walk.pmd, false);',
  },
  {
    name: 'the dirty bit of hugetlb does not reach the folio',
    file: MIGRATE,
    rule: '  if ((pte & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;\n  const isPoisoned',
    wrong: '  const isPoisoned',
  },
  {
    name: 'a poisoned page of hugetlb stays counted',
    file: MIGRATE,
    rule: '    vma.mm.hugetlbPages -= folioPageCount(kernel, head);\n',
    wrong: '',
  },
];

/** What a walk for mappings takes under the lock. */
const IS_PRESENT =
  'return (pteFlags & PTE_PRESENT) !== 0 || isDeviceEntry(pteFlags);\n}\n\nfunction isSameTable';

const WALK_MUTANTS: readonly UnitMutant[] = [
  {
    name: 'a single page is found wherever it would be mapped',
    file: WALK,
    rule: '  if (kernel.pageTables.payload[pte] !== walk.pfn) return false;\n',
    wrong: '',
  },
  {
    name: 'the range ends one page early',
    file: WALK,
    rule: '    walk.vpn += 1;\n    if (walk.vpn >= end) return false;',
    wrong: '    walk.vpn += 1;\n    if (walk.vpn >= end - 1) return false;',
  },
  {
    name: 'the page behind the range is looked at',
    file: WALK,
    rule: 'return pfn < walk.pfn + walk.pageCount && walk.pfn < pfn + pageCount;',
    wrong: 'return pfn <= walk.pfn + walk.pageCount && walk.pfn < pfn + pageCount;',
  },
  {
    name: 'an entry that maps pages up to the first wanted one counts',
    file: WALK,
    rule: 'return pfn < walk.pfn + walk.pageCount && walk.pfn < pfn + pageCount;',
    wrong: 'return pfn < walk.pfn + walk.pageCount && walk.pfn <= pfn + pageCount;',
  },
  {
    name: 'the walk does not say that it left a table',
    file: WALK,
    rule: '      walk.flags |= PVMW_PGTABLE_CROSSED;\n',
    wrong: '',
  },
  {
    name: 'the walk says at once that it left a table',
    file: WALK,
    rule: '    walk.pte += 1;\n',
    wrong: '    walk.flags |= PVMW_PGTABLE_CROSSED;\n    walk.pte += 1;\n',
  },
  {
    name: 'any entry that is not present passes for a migration entry',
    file: WALK,
    rule: 'return isMigration(pteFlags);',
    wrong: 'return (pteFlags & PTE_PRESENT) === 0;',
  },
  {
    name: 'migration entries are found beside present ones',
    file: WALK,
    rule: IS_PRESENT,
    wrong: IS_PRESENT.replace('isDeviceEntry', 'isMigration(pteFlags) || isDeviceEntry'),
  },
  {
    name: 'entries of devices are passed over',
    file: WALK,
    rule: IS_PRESENT,
    wrong: IS_PRESENT.replace(' || isDeviceEntry(pteFlags)', ''),
  },
  {
    name: 'entries of devices are looked at without the lock, and not again',
    file: WALK,
    rule: 'return (pteFlags & PTE_PRESENT) !== 0 || isDeviceEntry(pteFlags);\n}\n\n/** Whether such',
    wrong: 'return (pteFlags & PTE_PRESENT) !== 0;\n}\n\n/** Whether such',
  },
  {
    name: 'a huge migration entry is found by a walk for present ones',
    file: WALK,
    rule: 'if (isPresent === wantsMigration || (!isPresent && !isMigration(pmdFlags))) return false;',
    wrong: 'if (isPresent && wantsMigration) return false;',
  },
  {
    name: 'a huge present entry is found by a walk for migration entries',
    file: WALK,
    rule: 'if (isPresent === wantsMigration || (!isPresent && !isMigration(pmdFlags))) return false;',
    wrong: 'if (!isPresent && (!wantsMigration || !isMigration(pmdFlags))) return false;',
  },
  {
    name: 'a huge entry of another folio is found',
    file: WALK,
    rule: 'return overlaps(kernel.pageTables.payload[walk.pmd], PAGES_PER_PMD, walk);',
    wrong: 'return true;',
  },
  {
    name: 'the lock of a walk that found nothing is kept',
    file: WALK,
    rule: '  if (walk.isLocked) yield* unlock(walk);\n  return false;\n}\n\nfunction* lock',
    wrong: '  return false;\n}\n\nfunction* lock',
  },
  {
    name: 'a restart goes on behind its page',
    file: WALK,
    rule: '  yield* unlock(walk);\n  walk.pmd = NIL;\n  walk.pte = NIL;\n',
    wrong: '  yield* unlock(walk);\n  walk.vpn += 1;\n  walk.pmd = NIL;\n  walk.pte = NIL;\n',
  },
  {
    name: 'a step over a missing table does not end where the table would',
    file: WALK,
    rule: 'walk.vpn += span - (walk.vpn % span);',
    wrong: 'walk.vpn += span;',
  },
];

const REFERENCED_MUTANTS: readonly UnitMutant[] = [
  {
    name: 'accessed bits are counted and stay',
    file: REFERENCED,
    rule: '      entries[entry] &= ~PTE_YOUNG;\n',
    wrong: '',
  },
  {
    name: 'every young entry of a VMA counts',
    file: REFERENCED,
    rule: '    arg.referenced += 1;\n',
    wrong: '    arg.referenced += referenced;\n',
  },
  {
    name: 'the flags of VMAs that did not use the folio are told',
    file: REFERENCED,
    rule: '  if (referenced > 0) {\n    arg.referenced += 1;\n    arg.vmFlags |= vma.flags & ~VM_LOCKED;\n  }',
    wrong:
      '  arg.vmFlags |= vma.flags & ~VM_LOCKED;\n  if (referenced > 0) {\n    arg.referenced += 1;\n  }',
  },
  {
    name: 'the young flag of the folio stays',
    file: REFERENCED,
    rule: '    flags[head] &= ~PG_YOUNG;\n',
    wrong: '',
  },
  {
    name: 'the young flag of the folio ends idleness',
    file: REFERENCED,
    rule: '    flags[head] &= ~PG_YOUNG;\n',
    wrong: '    flags[head] &= ~(PG_YOUNG | PG_IDLE);\n',
  },
  {
    name: 'a used folio stays idle',
    file: REFERENCED,
    rule: '  if (referenced > 0) flags[head] &= ~PG_IDLE;\n',
    wrong: '',
  },
  {
    name: 'the walk goes on when all mappings have been met',
    file: REFERENCED,
    rule: 'return arg.mapcount > 0;',
    wrong: 'return arg.mapcount >= 0;',
  },
  {
    name: 'a large folio is locked by the first page of it in a locked VMA',
    file: REFERENCED,
    rule: 'const isWhole = isPmd || lockedPtes === walk.pageCount;',
    wrong: 'const isWhole = isPmd || lockedPtes >= 1;',
  },
  {
    name: 'a folio across two tables is locked',
    file: REFERENCED,
    rule: 'if (!isWhole || (!isPmd && (walk.flags & PVMW_PGTABLE_CROSSED) !== 0)) continue;',
    wrong: 'if (!isWhole) continue;',
  },
  {
    name: 'a locked VMA is told of and the folio does not get its lock back',
    file: REFERENCED,
    rule: '      mlockVmaFolio(kernel, head, vma);\n',
    wrong: '',
  },
  {
    name: 'the walk goes on behind a locked VMA',
    file: REFERENCED,
    rule: '      arg.vmFlags |= VM_LOCKED;\n      return false;',
    wrong: '      arg.vmFlags |= VM_LOCKED;\n      return true;',
  },
  {
    name: 'lazyfree pages of a dying process are left to it',
    file: REFERENCED,
    rule: '  if ((kernel.memory.flags[head] & PG_SWAPBACKED) === 0) return false;\n',
    wrong: '',
  },
  {
    name: 'what others map too is left to a dying process',
    file: REFERENCED,
    rule: 'return !folioMaybeMappedShared(kernel, head);',
    wrong: 'return true;',
  },
  {
    name: 'memory of other control groups is asked too',
    file: REFERENCED,
    rule: 'return arg.memcg !== 0 && vma.mm.memcg !== arg.memcg;',
    wrong: 'return arg.memcg !== 0 && vma.mm.memcg === arg.memcg;',
  },
  {
    name: 'memory without recency is asked too',
    file: REFERENCED,
    rule: '  if (!hasRecency(vma)) return true;\n',
    wrong: '',
  },
  {
    name: 'KSM folios are not locked',
    file: REFERENCED,
    rule: '(!isAnonFolio(kernel, head) || isKsmFolio(kernel, head))',
    wrong: '!isAnonFolio(kernel, head)',
  },
  {
    name: 'a contended lock counts as no use',
    file: REFERENCED,
    rule: 'referenced: control.contended ? -1 : arg.referenced',
    wrong: 'referenced: arg.referenced',
  },
  {
    name: 'secondary users of the pages behind are asked too',
    file: REFERENCED,
    rule: 'const span = isPmd ? PAGES_PER_PMD : 1;',
    wrong: 'const span = PAGES_PER_PMD;',
  },
];

const CLEAN_MUTANTS: readonly UnitMutant[] = [
  {
    name: 'entries become clean and stay writable',
    file: CLEAN,
    rule: 'flags[entry] = entryFlags & ~(PTE_DIRTY | PTE_WRITE);',
    wrong: 'flags[entry] = entryFlags & ~PTE_DIRTY;',
  },
  {
    name: 'entries become read-only and stay dirty',
    file: CLEAN,
    rule: 'flags[entry] = entryFlags & ~(PTE_DIRTY | PTE_WRITE);',
    wrong: 'flags[entry] = entryFlags & ~PTE_WRITE;',
  },
  {
    name: 'a clean entry that is writable is left alone',
    file: CLEAN,
    rule: '(entryFlags & (PTE_DIRTY | PTE_WRITE)) === 0) continue;',
    wrong: '(entryFlags & PTE_DIRTY) === 0) continue;',
  },
  {
    name: 'a dirty entry that is read-only is left alone',
    file: CLEAN,
    rule: '(entryFlags & (PTE_DIRTY | PTE_WRITE)) === 0) continue;',
    wrong: '(entryFlags & PTE_WRITE) === 0) continue;',
  },
  {
    name: 'private mappings are cleaned too',
    file: CLEAN,
    rule: '    invalidVma: isNotShared,\n  };\n  yield* rmapWalk(kernel, head, control);',
    wrong: '  };\n  yield* rmapWalk(kernel, head, control);',
  },
  {
    name: 'private mappings of a range are cleaned too',
    file: CLEAN,
    rule: '    invalidVma: isNotShared,\n  };\n  yield* rmapWalkFileRange(',
    wrong: '  };\n  yield* rmapWalkFileRange(',
  },
  {
    name: 'a page of a huge entry is flushed, not all',
    file: CLEAN,
    rule: 'walk.vpn + (isPmd ? PAGES_PER_PMD : 1)',
    wrong: 'walk.vpn + 1',
  },
  {
    name: 'translations stay',
    file: CLEAN,
    rule: '    flushTlbRange(kernel, mm, walk.vpn, walk.vpn + (isPmd ? PAGES_PER_PMD : 1));\n',
    wrong: '',
  },
  {
    name: 'entries that were clean count as changed',
    file: CLEAN,
    rule: '    arg.cleaned += 1;\n',
    wrong: '    arg.cleaned += walk.pageCount;\n',
  },
  {
    name: 'secondary users hear of the first page only',
    file: CLEAN,
    rule: 'const end = vmaAddressEnd(walk.vma, walk.vpn, walk.pgoff, walk.pageCount);',
    wrong: 'const end = walk.vpn + 1;',
  },
  {
    name: 'the end of the change is not told',
    file: CLEAN,
    rule: "  notifyRangeEnd(kernel, mm, start, end, 'protectionPage');\n",
    wrong: '',
  },
];

const COUNT_MUTANTS: readonly UnitMutant[] = [
  {
    name: 'a second mm takes slot 1 and the folio is not shared',
    file: COUNT,
    rule: '    setSlot1(kernel, row, mmId, diff);\n    large.shared[row] = 1;\n',
    wrong: '    setSlot1(kernel, row, mmId, diff);\n',
  },
  {
    name: 'a newcomer in slot 0 does not see that others map the folio',
    file: COUNT,
    rule: '    if (total !== diff) large.shared[row] = 1;\n',
    wrong: '',
  },
  {
    name: 'the first mm makes the folio shared',
    file: COUNT,
    rule: '    if (total !== diff) large.shared[row] = 1;\n',
    wrong: '    large.shared[row] = 1;\n',
  },
  {
    name: 'sharing ends though nobody in a slot has every mapping',
    file: COUNT,
    rule: 'large.mmIdMapcount0[row] === total || large.mmIdMapcount1[row] === total',
    wrong: 'large.mmIdMapcount0[row] >= 0 || large.mmIdMapcount1[row] === total',
  },
  {
    name: 'sharing does not end when the mm in slot 1 remains alone',
    file: COUNT,
    rule: 'large.mmIdMapcount0[row] === total || large.mmIdMapcount1[row] === total',
    wrong: 'large.mmIdMapcount0[row] === total',
  },
  {
    name: 'a slot with one mapping left is freed',
    file: COUNT,
    rule: 'const count = large.mmIdMapcount1[row] - diff;\n    ownSlotRemains = count >= 1;',
    wrong: 'const count = large.mmIdMapcount1[row] - diff;\n    ownSlotRemains = count > 1;',
  },
  {
    name: 'a slot without mappings is kept',
    file: COUNT,
    rule: 'const count = large.mmIdMapcount0[row] - diff;\n    ownSlotRemains = count >= 1;',
    wrong: 'const count = large.mmIdMapcount0[row] - diff;\n    ownSlotRemains = count >= 0;',
  },
  {
    name: 'a slot overflows one mapping early',
    file: COUNT,
    rule: 'count - 1 > LAYOUT_32.mapcountMax;',
    wrong: 'count > LAYOUT_32.mapcountMax;',
  },
  {
    name: 'a slot that overflows leaves the folio unshared',
    file: COUNT,
    rule: '      setSlot1(kernel, row, MM_ID_DUMMY, 0);\n      large.shared[row] = 1;\n',
    wrong: '      setSlot1(kernel, row, MM_ID_DUMMY, 0);\n',
  },
  {
    name: 'the total changes by one',
    file: COUNT,
    rule: 'const total = large.largeMapcount[row] + diff;',
    wrong: 'const total = large.largeMapcount[row] + 1;',
  },
  {
    name: 'a fresh folio puts its mm into slot 1',
    file: COUNT,
    rule: '  setSlot0(kernel, row, mm.mmId, mapcount);\n}',
    wrong: '  setSlot1(kernel, row, mm.mmId, mapcount);\n}',
  },
  {
    name: 'a fresh folio counts one mapping in its slot',
    file: COUNT,
    rule: '  setSlot0(kernel, row, mm.mmId, mapcount);\n}',
    wrong: '  setSlot0(kernel, row, mm.mmId, 1);\n}',
  },
];

/** All of them. */
export const UNIT_MUTANTS: readonly UnitMutant[] = [
  ...RESTORE_MUTANTS,
  ...MIGRATE_MUTANTS,
  ...WALK_MUTANTS,
  ...REFERENCED_MUTANTS,
  ...CLEAN_MUTANTS,
  ...COUNT_MUTANTS,
];
