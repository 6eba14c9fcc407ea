import { FOLL_GET } from '../fault/gup_flags.js';
import { getUserPage } from '../fault/gup.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { folioPageCount } from '../phys/folio.js';
import type { Mm } from '../vm/mm.js';
import { memoryFailure } from './memory_failure.js';
import { softOfflinePage } from './soft_offline.js';

/**
 * MADV_HWPOISON and MADV_SOFT_OFFLINE: what a failure of the pages behind a range would do; absent
 * pages are faulted in first. A large folio is dealt with once, by the first of its pages. Stops at
 * the first failure. Returns 0 or a negative errno. @kernel madvise_inject_error
 */
export function* injectError(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
  kind: 'hard' | 'soft',
): Op<number> {
  for (let vpn = at; vpn < at + lengthPages;) {
    yield* downRead(mm.mmapLock);
    const pfn = yield* getUserPage(kernel, mm, vpn, FOLL_GET);
    yield* upRead(mm.mmapLock);
    if (pfn < 0) return pfn;
    const pages = folioPageCount(kernel, kernel.memory.folioOf(pfn));
    const result =
      kind === 'soft' ? yield* softOfflinePage(kernel, pfn) : yield* memoryFailure(kernel, pfn);
    if (result !== 0) return result;
    vpn += pages;
  }
  return 0;
}
