import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { directReclaim } from '../reclaim/direct.js';
import type { AddressSpace } from '../vm/address_space.js';
import { addNewCacheFolio, findCachedPage } from './page_cache.js';

/**
 * Puts a new small folio into the page cache; when no page is free reclaims and tries again.
 * Returns the pfn of the file page, which somebody else may have brought in meanwhile, or NIL.
 */
export function* addCachePage(
  kernel: Kernel,
  mapping: AddressSpace,
  index: number,
  memcg: number,
): Op<number> {
  const page = addNewCacheFolio(kernel, mapping, index, 0, memcg);
  if (page !== NIL) return page;
  const freed = yield* directReclaim(kernel);
  const cached = findCachedPage(mapping, index);
  if (cached !== NIL || freed === 0) return cached;
  return addNewCacheFolio(kernel, mapping, index, 0, memcg);
}
