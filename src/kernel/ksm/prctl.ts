import { EINVAL } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Mm } from '../vm/mm.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from '../vm/vma_lock.js';
import { isKsmCompatible } from './compatible.js';
import { ksmEnter } from './register.js';
import { unmergeKsmPages } from './unmerge.js';
import { VM_MERGEABLE } from '../vm/vm_flags.js';

/**
 * PR_SET_MEMORY_MERGE: everything that can be merged becomes mergeable, now and in future
 * mappings; or nothing stays merged. VMAs are neither split nor merged by it. Returns 0 or a
 * negative errno. @kernel ksm_enable_merge_any, ksm_disable_merge_any
 */
export function* setMergeAny(kernel: Kernel, mm: Mm, isOn: boolean): Op<number> {
  if (!kernel.profile.ksm) return -EINVAL;
  yield* mmapWriteLock(mm);
  let result: number;
  if (isOn) result = yield* enableMergeAny(kernel, mm);
  else result = yield* disableMergeAny(kernel, mm);
  yield* mmapWriteUnlock(mm);
  return result;
}

function* enableMergeAny(kernel: Kernel, mm: Mm): Op<number> {
  if (mm.mergeAny) return 0;
  ksmEnter(kernel, mm);
  mm.mergeAny = true;
  for (const vma of mm.vmas) {
    if (!isKsmCompatible(vma.flags)) continue;
    yield* vmaStartWrite(vma);
    vma.flags |= VM_MERGEABLE;
  }
  return 0;
}

function* disableMergeAny(kernel: Kernel, mm: Mm): Op<number> {
  if (!mm.mergeAny) return 0;
  for (const vma of mm.vmas) {
    if ((vma.flags & VM_MERGEABLE) === 0) continue;
    yield* vmaStartWrite(vma);
    if (vma.anonVma !== undefined) {
      const failed = yield* unmergeKsmPages(kernel, vma, vma.start, vma.end);
      if (failed !== 0) return failed;
    }
    vma.flags &= ~VM_MERGEABLE;
  }
  mm.mergeAny = false;
  return 0;
}
