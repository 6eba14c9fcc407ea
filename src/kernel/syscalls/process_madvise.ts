import { EINVAL } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { MadviseAdvice } from '../operation.js';
import type { Mm } from '../vm/mm.js';
import { doMadvise } from './madvise.js';

/** What a process may advise about another's memory. */
const REMOTE: ReadonlySet<MadviseAdvice> = new Set(['cold', 'pageout', 'willneed', 'collapse']);

/**
 * process_madvise(2) on one range: of another process only what loses nothing. Returns the number
 * of pages advised or a negative errno. @kernel process_madvise
 */
export function* processMadvise(
  kernel: Kernel,
  caller: Mm,
  target: Mm,
  at: number,
  lengthPages: number,
  advice: MadviseAdvice,
): Op<number> {
  if (caller !== target && !REMOTE.has(advice)) return -EINVAL;
  const result = yield* doMadvise(kernel, target, at, lengthPages, advice);
  return result === 0 ? lengthPages : result;
}
