/**
 * From a folio to its anon_vma (spec 10 §7).
 *
 * `folio.mapping` is trustworthy only while the folio is mapped: the anon_vma may be freed and used
 * for something else once it is not. Freed objects keep their memory inside an RCU section, and
 * "mapped" is tested again after the object was secured.
 */
import type { Kernel } from '../kernel.js';
import {
  downRead,
  downReadTrylock,
  rcuReadLock,
  rcuReadUnlock,
  readPoint,
  updatePoint,
  upRead,
  type Op,
} from '../op/prims.js';
import { folioMapcount } from '../phys/folio.js';
import { MAPPING_ANON, MAPPING_TAG_MASK } from '../phys/memory.js';
import { freeLastAnonVma, putAnonVma } from './anon_vma.js';
import type { AnonVma } from './anon_vma_types.js';

/** The part of a walk's control that locking looks at. */
export interface LockControl {
  readonly tryLock: boolean;
  contended: boolean;
}

/**
 * The anon_vma of a mapped anonymous folio, with a reference of its own; undefined if the folio is
 * not anonymous or not mapped. @kernel folio_get_anon_vma
 */
export function* folioGetAnonVma(kernel: Kernel, head: number): Op<AnonVma | undefined> {
  yield* rcuReadLock();
  const mapping = yield* readMapping(kernel, head);
  let found: AnonVma | undefined = undefined;
  if (isAnonMapping(mapping) && (yield* isMapped(kernel, head))) {
    const anonVma = kernel.anonVmas[mapping >> 2];
    if (yield* getUnlessZero(anonVma)) {
      // The object may have been freed and taken again before it was secured.
      if (yield* isMapped(kernel, head)) found = anonVma;
      else {
        yield* rcuReadUnlock();
        yield* putAnonVma(kernel, anonVma);
        return undefined;
      }
    }
  }
  yield* rcuReadUnlock();
  return found;
}

/**
 * The anon_vma of a mapped anonymous folio with its root locked for read, without a reference.
 * Undefined if the folio is not anonymous or not mapped, or if the lock is contended and `control`
 * says not to wait. @kernel folio_lock_anon_vma_read
 */
export function* folioLockAnonVmaRead(
  kernel: Kernel,
  head: number,
  control: LockControl | undefined,
): Op<AnonVma | undefined> {
  for (;;) {
    yield* rcuReadLock();
    const mapping = yield* readMapping(kernel, head);
    if (!isAnonMapping(mapping) || !(yield* isMapped(kernel, head))) {
      yield* rcuReadUnlock();
      return undefined;
    }
    const anonVma = kernel.anonVmas[mapping >> 2];
    const rootLock = anonVma.root.rwsem;
    if (yield* downReadTrylock(rootLock)) {
      // A write fault may have moved the folio to a child anon_vma meanwhile.
      if ((yield* readMapping(kernel, head)) !== mapping) {
        yield* upRead(rootLock);
        yield* rcuReadUnlock();
        continue;
      }
      const stillMapped = yield* isMapped(kernel, head);
      if (!stillMapped) yield* upRead(rootLock);
      yield* rcuReadUnlock();
      return stillMapped ? anonVma : undefined;
    }
    if (control?.tryLock === true) {
      control.contended = true;
      yield* rcuReadUnlock();
      return undefined;
    }
    const secured = yield* getUnlessZero(anonVma);
    const mapped = secured && (yield* isMapped(kernel, head));
    yield* rcuReadUnlock();
    if (!mapped) {
      if (secured) yield* putAnonVma(kernel, anonVma);
      return undefined;
    }
    yield* downRead(anonVma.root.rwsem);
    if ((yield* readMapping(kernel, head)) !== mapping) {
      yield* upRead(anonVma.root.rwsem);
      yield* putAnonVma(kernel, anonVma);
      continue;
    }
    yield* updatePoint('anon_vma.refcount', anonVma.id);
    anonVma.refcount -= 1;
    if (anonVma.refcount === 0) {
      // All VMAs went away while waiting. Freeing waits for the lock's readers: unlock first.
      yield* upRead(anonVma.root.rwsem);
      yield* freeLastAnonVma(kernel, anonVma);
      return undefined;
    }
    return anonVma;
  }
}

function isAnonMapping(mapping: number): boolean {
  return (mapping & MAPPING_TAG_MASK) === MAPPING_ANON;
}

function* readMapping(kernel: Kernel, head: number): Op<number> {
  yield* readPoint('folio.mapping', head);
  return kernel.memory.mapping[head];
}

function* isMapped(kernel: Kernel, head: number): Op<boolean> {
  yield* readPoint('folio.mapcount', head);
  return folioMapcount(kernel, head) > 0;
}

function* getUnlessZero(anonVma: AnonVma): Op<boolean> {
  yield* updatePoint('anon_vma.refcount', anonVma.id);
  if (anonVma.refcount === 0) return false;
  anonVma.refcount += 1;
  return true;
}
