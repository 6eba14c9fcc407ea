import { NIL, TASK_SIZE_PAGES } from '../../base/units.js';
import type { Mm } from './mm.js';
import { guardedStart } from './stack_growth.js';

/** First page above the area in which mappings are placed: room for the stack is left above it. */
export const MMAP_BASE_PAGES = TASK_SIZE_PAGES - 2 ** 15;
/** Lowest page that is given out. @kernel mmap_min_addr */
const MMAP_MIN_PAGES = 16;

/**
 * The highest free place of this length below the mmap base whose first page is a multiple of
 * `alignPages`, or NIL. The mmap lock is held. @kernel arch_get_unmapped_area_topdown
 */
export function findUnmappedArea(mm: Mm, lengthPages: number, alignPages: number): number {
  let ceiling = MMAP_BASE_PAGES;
  for (let i = mm.vmas.length - 1; i >= -1; i -= 1) {
    const floor = i === -1 ? MMAP_MIN_PAGES : Math.max(mm.vmas[i].end, MMAP_MIN_PAGES);
    const highest = ceiling - lengthPages;
    const at = highest - (((highest % alignPages) + alignPages) % alignPages);
    if (at >= floor) return at;
    if (i >= 0) ceiling = Math.min(ceiling, guardedStart(mm.vmas[i]));
  }
  return NIL;
}
