import { NIL, PMD_ORDER, PUD_ORDER, TASK_SIZE_PAGES } from '../../base/units.js';
import { EEXIST, EINVAL, ENOMEM } from '../errno.js';
import { createMapping } from '../file/page_cache.js';
import { hugetlbReserve } from '../hugetlb/reserve.js';
import type { Kernel } from '../kernel.js';
import { isKsmCompatible } from '../ksm/compatible.js';
import { ksmEnter } from '../ksm/register.js';
import type { Op } from '../op/prims.js';
import { OpenFile, type AddressSpace } from '../vm/address_space.js';
import { linkFile, putMapping, unlinkFile } from '../vm/file_map.js';
import { findVmaIndex, hasOverlap, type Mm } from '../vm/mm.js';
import { unmapRange } from '../vm/unmap.js';
import { findUnmappedArea } from '../vm/unmapped_area.js';
import { mmapWriteLock, mmapWriteUnlock } from '../vm/vma_lock.js';
import { mergeNewRange } from '../vm/vma_merge.js';
import { accountPages } from '../vm/vm_stat.js';
import { insertVma } from '../vm/vma_split.js';
import { Vma } from '../vm/vma.js';
import {
  VM_ACCOUNT,
  VM_DONTEXPAND,
  VM_GROWSDOWN,
  VM_HUGETLB,
  VM_LOCKED,
  VM_LOCKONFAULT,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_MERGEABLE,
  VM_NOHUGEPAGE,
  VM_NORESERVE,
  VM_SHARED,
  VM_SOFTDIRTY,
  VM_SPECIAL,
  VM_WRITE,
} from '../vm/vm_flags.js';
import {
  MAP_FIXED,
  MAP_GROWSDOWN,
  MAP_HUGE_1GB,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_SHARED,
  MAP_STACK,
} from './map_flags.js';
import { populateUnlocked } from './populate_unlocked.js';

/** What every mapping may be changed to: all files here are open for reading and writing. */
const MAY_FLAGS = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;

/** Arguments of mmap; lengths and offsets in pages. */
export interface MmapRequest {
  /** First page, or undefined: the kernel chooses. Without `MAP_FIXED` nothing is replaced. */
  readonly at: number | undefined;
  readonly lengthPages: number;
  /** `VM_READ`, `VM_WRITE` and `VM_EXEC` bits. */
  readonly prot: number;
  /** `MAP_*` bits. */
  readonly flags: number;
  /** Inode that is mapped; undefined for anonymous memory. */
  readonly file: AddressSpace | undefined;
  /** First file page. */
  readonly pgoff: number;
}

/** Maps memory (spec 97 §1.2). Returns the first page or a negative errno. @kernel do_mmap */
export function* doMmap(kernel: Kernel, mm: Mm, given: MmapRequest): Op<number> {
  const { flags, file } = given;
  const isHugetlb = (flags & MAP_HUGETLB) !== 0 || file?.kind === 'hugetlb';
  const unit = isHugetlb ? 2 ** hugeOrderOfRequest(given) : 1;
  if (given.lengthPages <= 0 || given.pgoff % unit !== 0) return -EINVAL;
  // Lengths of hugetlb mappings are rounded up, addresses are not.
  const lengthPages = Math.ceil(given.lengthPages / unit) * unit;
  const request = { ...given, lengthPages };
  const isStackLike = (flags & MAP_GROWSDOWN) !== 0;
  if (isStackLike && (file !== undefined || isHugetlb || (flags & MAP_SHARED) !== 0)) {
    return -EINVAL;
  }
  yield* mmapWriteLock(mm);
  const at = request.at ?? findUnmappedArea(mm, lengthPages, unit);
  const result = yield* mmapAt(kernel, mm, request, at, isHugetlb);
  yield* mmapWriteUnlock(mm);
  const isPopulated = (flags & (MAP_POPULATE | MAP_LOCKED)) !== 0;
  if (result >= 0 && (isPopulated || (mm.defaultFlags & VM_LOCKED) !== 0)) {
    yield* populateUnlocked(kernel, mm, at, at + lengthPages, true);
  }
  return result;
}

function* mmapAt(
  kernel: Kernel,
  mm: Mm,
  request: MmapRequest,
  at: number,
  isHugetlb: boolean,
): Op<number> {
  const end = at + request.lengthPages;
  if (at === NIL || end > TASK_SIZE_PAGES) return -ENOMEM;
  if (isHugetlb && at % 2 ** hugeOrderOfRequest(request) !== 0) return -EINVAL;
  const isReplacing = hasOverlap(mm, at, end);
  if (isReplacing && (request.flags & MAP_FIXED) === 0) return -EEXIST;
  // Files of replaced mappings, and what they were promised, go when the new mapping is there.
  const replaced = isReplacing ? filesIn(mm, at, end) : [];
  for (const mapping of replaced) mapping.users += 1;
  let result = isReplacing ? yield* unmapRange(kernel, mm, at, end) : 0;
  if (result === 0) result = yield* mapIntoGap(kernel, mm, request, at, isHugetlb);
  for (const mapping of replaced) yield* putMapping(kernel, mapping);
  return result;
}

/** The place is free now. */
function* mapIntoGap(
  kernel: Kernel,
  mm: Mm,
  request: MmapRequest,
  at: number,
  isHugetlb: boolean,
): Op<number> {
  const end = at + request.lengthPages;
  const flags = mmapVmFlags(kernel, mm, request, isHugetlb);
  const mapping = request.file ?? anonymousFile(kernel, request, isHugetlb);
  if (mapping === undefined) return yield* mapAnonymous(kernel, mm, at, end, flags);
  return yield* mapFile(kernel, mm, at, end, flags, new OpenFile(mapping), request.pgoff);
}

/** Files that are mapped somewhere in [at, end). */
function filesIn(mm: Mm, at: number, end: number): AddressSpace[] {
  const files = new Set<AddressSpace>();
  for (let i = findVmaIndex(mm, at); i < mm.vmas.length && mm.vmas[i].start < end; i += 1) {
    const mapping = mm.vmas[i].file?.mapping;
    if (mapping !== undefined) files.add(mapping);
  }
  return [...files];
}

/** Order of the huge pages of a hugetlb request: the file's, or what the flags ask for. */
function hugeOrderOfRequest({ file, flags }: MmapRequest): number {
  return file?.hugeOrder ?? ((flags & MAP_HUGE_1GB) === MAP_HUGE_1GB ? PUD_ORDER : PMD_ORDER);
}

/** Shared anonymous and hugetlb memory is a mapping of a nameless file of its own. */
function anonymousFile(
  kernel: Kernel,
  request: MmapRequest,
  isHugetlb: boolean,
): AddressSpace | undefined {
  if (isHugetlb) {
    const mapping = createMapping(kernel, 'hugetlb', undefined, request.lengthPages);
    mapping.hugeOrder = hugeOrderOfRequest(request);
    return mapping;
  }
  if ((request.flags & MAP_SHARED) === 0) return undefined;
  return createMapping(kernel, 'sharedAnonymous', undefined, request.lengthPages);
}

function mmapVmFlags(kernel: Kernel, mm: Mm, request: MmapRequest, isHugetlb: boolean): number {
  const { flags } = request;
  let vmFlags = request.prot | MAY_FLAGS;
  if ((flags & MAP_SHARED) !== 0) vmFlags |= VM_SHARED | VM_MAYSHARE;
  if ((flags & MAP_NORESERVE) !== 0) vmFlags |= VM_NORESERVE;
  else if ((vmFlags & (VM_SHARED | VM_WRITE)) === VM_WRITE && !isHugetlb) vmFlags |= VM_ACCOUNT;
  if ((flags & MAP_GROWSDOWN) !== 0) vmFlags |= VM_GROWSDOWN;
  if ((flags & MAP_STACK) !== 0) vmFlags |= VM_NOHUGEPAGE;
  if ((flags & MAP_LOCKED) !== 0) vmFlags |= VM_LOCKED;
  if (isHugetlb) vmFlags |= VM_HUGETLB | VM_DONTEXPAND;
  return newVmaFlags(kernel, mm, vmFlags);
}

/** Adds what the mm and the kernel's options give to every new VMA. @kernel ksm_vma_flags */
export function newVmaFlags(kernel: Kernel, mm: Mm, flags: number): number {
  let vmFlags = flags | mm.defaultFlags;
  if (kernel.profile.softDirty) vmFlags |= VM_SOFTDIRTY;
  if ((vmFlags & (VM_SPECIAL | VM_HUGETLB)) !== 0) vmFlags &= ~(VM_LOCKED | VM_LOCKONFAULT);
  if (mm.mergeAny && isKsmCompatible(vmFlags)) {
    vmFlags |= VM_MERGEABLE;
    // ksmd forgets an address space in which it finds nothing mergeable.
    ksmEnter(kernel, mm);
  }
  return vmFlags;
}

/**
 * Puts private anonymous memory into a free place: into a neighbour, or a VMA of its own. The mmap
 * lock is held for write. Returns the first page or -ENOMEM. Also the growth of the heap.
 */
export function* mapAnonymous(
  kernel: Kernel,
  mm: Mm,
  at: number,
  end: number,
  flags: number,
): Op<number> {
  const range = { start: at, end, pgoff: at, flags, file: undefined };
  // A merge that lacks memory is not fatal: a VMA of its own may still be had.
  if (typeof (yield* mergeNewRange(kernel, mm, range, undefined)) === 'number') {
    if (kernel.allocationFails()) return -ENOMEM;
    insertVma(new Vma(mm, at, end, at, flags, undefined));
  }
  accountPages(mm, flags, end - at);
  return at;
}

/** Two mappings of one file never merge: each call opens it anew (spec 97 §3.2). */
function* mapFile(
  kernel: Kernel,
  mm: Mm,
  at: number,
  end: number,
  flags: number,
  file: OpenFile,
  pgoff: number,
): Op<number> {
  if (kernel.allocationFails()) return -ENOMEM;
  const vma = new Vma(mm, at, end, pgoff, flags, file);
  yield* linkFile(kernel, vma);
  if ((flags & VM_HUGETLB) !== 0) {
    const failed = hugetlbReserve(kernel, vma);
    if (failed !== 0) {
      yield* unlinkFile(kernel, vma);
      return failed;
    }
    // A mapping for writing makes the file as long as it is, a private one too.
    const { mapping } = file;
    if ((flags & VM_WRITE) !== 0) mapping.sizePages = Math.max(mapping.sizePages, pgoff + end - at);
  }
  insertVma(vma);
  accountPages(mm, flags, end - at);
  return at;
}
