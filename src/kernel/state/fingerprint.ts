import { Fingerprint } from '../../base/fingerprint.js';
import type { Kernel } from '../kernel.js';
import { PTE_PRESENT } from '../pgtable/pte.js';
import { canonicalState } from './canonical_state.js';
import { pageAt, walkEntries } from './page_walk.js';

/**
 * Hash of the canonical state and of the contents of every mapped page.
 */
export function fingerprintKernel(kernel: Kernel): string {
  const fingerprint = new Fingerprint();
  fingerprint.addText(JSON.stringify(canonicalState(kernel, '', 0, 0)));
  for (const mm of kernel.mms) {
    for (const vma of mm.vmas) {
      walkEntries(kernel, vma, (entry, vpn, count, level) => {
        if ((kernel.pageTables.flags[entry] & PTE_PRESENT) === 0) return;
        for (let i = 0; i < count; i += 1) {
          fingerprint.add(kernel.memory.content[pageAt(kernel, entry, vpn + i, level)]);
        }
      });
    }
  }
  return fingerprint.digest();
}
