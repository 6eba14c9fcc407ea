import { EACCES, EINVAL } from '../errno.js';
import { isKsmCompatible } from '../ksm/compatible.js';
import type { MadviseAdvice } from '../operation.js';
import type { Profile } from '../profile.js';
import { isAnonymous, type Vma } from '../vm/vma.js';
import {
  VM_DONTCOPY,
  VM_DONTDUMP,
  VM_HUGEPAGE,
  VM_HUGETLB,
  VM_LOCKED,
  VM_MAYWRITE,
  VM_MERGEABLE,
  VM_NOHUGEPAGE,
  VM_PFNMAP,
  VM_RAND_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_SPECIAL,
  VM_WIPEONFORK,
} from '../vm/vm_flags.js';

/** How the advices that only set VMA flags change them: `[set, clear]`. */
const FLAG_CHANGES: ReadonlyMap<MadviseAdvice, readonly [number, number]> = new Map<
  MadviseAdvice,
  readonly [number, number]
>([
  ['normal', [0, VM_SEQ_READ | VM_RAND_READ]],
  ['sequential', [VM_SEQ_READ, VM_RAND_READ]],
  ['random', [VM_RAND_READ, VM_SEQ_READ]],
  ['dontfork', [VM_DONTCOPY, 0]],
  ['dofork', [0, VM_DONTCOPY]],
  ['mergeable', [VM_MERGEABLE, 0]],
  ['unmergeable', [0, VM_MERGEABLE]],
  ['hugepage', [VM_HUGEPAGE, VM_NOHUGEPAGE]],
  ['nohugepage', [VM_NOHUGEPAGE, VM_HUGEPAGE]],
  ['dontdump', [VM_DONTDUMP, 0]],
  ['dodump', [0, VM_DONTDUMP]],
  ['wipeonfork', [VM_WIPEONFORK, 0]],
  ['keeponfork', [0, VM_WIPEONFORK]],
]);

/** Whether the advice only changes VMA flags. */
export function isFlagAdvice(advice: MadviseAdvice): boolean {
  return FLAG_CHANGES.has(advice);
}

/** Flags of the VMA after the advice. */
export function advisedFlags(vma: Vma, advice: MadviseAdvice): number {
  const change = FLAG_CHANGES.get(advice);
  if (change === undefined) return vma.flags;
  if (advice === 'mergeable' && !isKsmCompatible(vma.flags)) return vma.flags;
  return (vma.flags | change[0]) & ~change[1];
}

/** Whether a kernel built like this knows the advice. @kernel madvise_behavior_valid */
export function isKnownAdvice(profile: Profile, advice: MadviseAdvice): boolean {
  switch (advice) {
    case 'mergeable':
    case 'unmergeable':
      return profile.ksm;
    case 'hugepage':
    case 'nohugepage':
    case 'collapse':
      return profile.transparentHugepage;
    default:
      return true;
  }
}

/** Why a VMA refuses the advice: a negative errno, or 0 (spec 97 §1.4, 98 §5.1, §10). */
export function adviceRefusal(vma: Vma, advice: MadviseAdvice): number {
  const { flags } = vma;
  const isLocked = (flags & VM_LOCKED) !== 0;
  const isHugetlb = (flags & VM_HUGETLB) !== 0;
  switch (advice) {
    case 'dontneed':
      return isLocked || (flags & VM_PFNMAP) !== 0 ? -EINVAL : 0;
    case 'dontneed_locked':
      return (flags & VM_PFNMAP) !== 0 ? -EINVAL : 0;
    case 'free':
      return !isAnonymous(vma) || isLocked || (flags & VM_PFNMAP) !== 0 ? -EINVAL : 0;
    case 'cold':
    case 'pageout':
      return isLocked || isHugetlb || (flags & VM_PFNMAP) !== 0 ? -EINVAL : 0;
    case 'wipeonfork':
      return isAnonymous(vma) ? 0 : -EINVAL;
    case 'remove':
      if (isLocked || isAnonymous(vma)) return -EINVAL;
      return (flags & VM_SHARED) === 0 || (flags & VM_MAYWRITE) === 0 ? -EACCES : 0;
    case 'guard_install':
      return isLocked || isHugetlb || (flags & VM_SPECIAL) !== 0 ? -EINVAL : 0;
    case 'guard_remove':
      return isHugetlb || (flags & VM_SPECIAL) !== 0 ? -EINVAL : 0;
    case 'dofork':
      return (flags & VM_SPECIAL) !== 0 ? -EINVAL : 0;
    case 'dodump':
      return !isHugetlb && (flags & VM_SPECIAL) !== 0 ? -EINVAL : 0;
    default:
      return 0;
  }
}
