import { fail } from '../../base/errors.js';
import type { ZapOptions } from '../fault/zap.js';
import type { Kernel } from '../kernel.js';
import type { Vma } from '../vm/vma.js';

/** @kernel zap_huge_pmd */
export function zapHugePmd(
  _kernel: Kernel,
  _vma: Vma,
  _pmd: number,
  from: number,
  _to: number,
  _options: ZapOptions,
): void {
  fail(`zap of a huge PMD at page ${from} is not written yet`);
}
