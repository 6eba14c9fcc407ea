import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import { ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { downWrite, updatePoint, upWrite, type Op } from '../op/prims.js';
import type { Vma } from '../vm/vma.js';
import { anonVmaAlloc, anonVmaLockWrite, anonVmaUnlockWrite, putAnonVma } from './anon_vma.js';
import { avcFree, avcInsert, avcLink, avcRemove } from './anon_vma_chain.js';
import { AnonVmaChain, type AnonVma } from './anon_vma_types.js';

/**
 * Connects `to`, whose chain is empty, to every anon_vma that `from` is connected to, in the same
 * order (spec 10 §4). If `to` has no anon_vma yet (fork), it takes the oldest ancestor that no VMA
 * uses and that has at most one child. Returns 0 or -ENOMEM; then `to` is connected to nothing.
 * @kernel anon_vma_clone
 */
export function* anonVmaClone(kernel: Kernel, to: Vma, from: Vma): Op<number> {
  const source = from.anonVmaChain;
  if (source.length === 0) return 0;
  const { root } = source[0].anonVma;
  const chain = to.anonVmaChain;
  if (chain.length !== 0) fail('an anon_vma chain is cloned onto a chain');
  let failed = false;
  yield* downWrite(root.rwsem);
  for (let i = source.length - 1; i >= 0; i -= 1) {
    const { anonVma } = source[i];
    if (anonVma.root !== root) fail(`anon_vma ${anonVma.id} on a chain has another root`);
    failed = kernel.allocationFails();
    if (failed) break;
    const avc = new AnonVmaChain(to, anonVma, kernel.intervals.alloc());
    chain.push(avc);
    avcInsert(kernel, avc);
    if (to.anonVma === undefined && from.anonVma !== undefined && isReusable(anonVma)) {
      to.anonVma = anonVma;
    }
  }
  chain.reverse();
  if (!failed && to.anonVma !== undefined) to.anonVma.activeVmaCount += 1;
  yield* upWrite(root.rwsem);
  if (!failed) return 0;
  // `to` was not counted as an active VMA yet, so unlinking must not uncount it.
  to.anonVma = undefined;
  yield* unlinkAnonVmas(kernel, to);
  return -ENOMEM;
}

/** Nobody's own, and a walk of one branch through it visits no other branch. */
function isReusable(anonVma: AnonVma): boolean {
  return anonVma.childCount < 2 && anonVma.activeVmaCount === 0;
}

/**
 * Connects a forked VMA to its parent's anon_vmas and gives it an own one for its new pages,
 * recycled or new (spec 10 §5). Returns 0 or -ENOMEM; then the child is connected to nothing.
 * @kernel anon_vma_fork
 */
export function* anonVmaFork(kernel: Kernel, child: Vma, parent: Vma): Op<number> {
  const parentAnonVma = parent.anonVma;
  if (parentAnonVma === undefined) return 0;
  child.anonVma = undefined;
  const failed = yield* anonVmaClone(kernel, child, parent);
  if (failed !== 0) return failed;
  if (child.anonVma !== undefined) return 0;
  const anonVma = anonVmaAlloc(kernel);
  if (anonVma === undefined || kernel.allocationFails()) {
    if (anonVma !== undefined) yield* putAnonVma(kernel, anonVma);
    yield* unlinkAnonVmas(kernel, child);
    return -ENOMEM;
  }
  anonVma.activeVmaCount = 1;
  anonVma.root = parentAnonVma.root;
  anonVma.parent = parentAnonVma;
  yield* updatePoint('anon_vma.refcount', anonVma.root.id);
  anonVma.root.refcount += 1;
  child.anonVma = anonVma;
  yield* anonVmaLockWrite(anonVma);
  avcLink(kernel, child, anonVma);
  anonVma.parent.childCount += 1;
  yield* anonVmaUnlockWrite(anonVma);
  return 0;
}

/**
 * Disconnects the VMA from all anon_vmas; those whose tree becomes empty are put. Its pages are
 * unmapped (or moved) already (spec 10 §6). @kernel unlink_anon_vmas
 */
export function* unlinkAnonVmas(kernel: Kernel, vma: Vma): Op<void> {
  const chain = vma.anonVmaChain;
  if (chain.length === 0) {
    if (vma.anonVma !== undefined) fail('a VMA has an anon_vma but no chain');
    return;
  }
  const { root } = chain[0].anonVma;
  let emptied = 0;
  yield* downWrite(root.rwsem);
  for (const avc of chain) {
    const { anonVma } = avc;
    if (anonVma.root !== root) fail(`anon_vma ${anonVma.id} on a chain has another root`);
    avcRemove(kernel, avc);
    if (anonVma.tree.root === NIL) {
      anonVma.parent.childCount -= 1;
      chain[emptied] = avc;
      emptied += 1;
    } else {
      avcFree(kernel, avc);
    }
  }
  if (vma.anonVma !== undefined) {
    vma.anonVma.activeVmaCount -= 1;
    vma.anonVma = undefined;
  }
  yield* upWrite(root.rwsem);
  // Freeing may take the root's lock to wait for readers, so it happens without it.
  for (let i = 0; i < emptied; i += 1) {
    const { anonVma } = chain[i];
    if (anonVma.childCount !== 0 || anonVma.activeVmaCount !== 0) {
      fail(`anon_vma ${anonVma.id} has an empty tree but children or VMAs`);
    }
    yield* putAnonVma(kernel, anonVma);
    avcFree(kernel, chain[i]);
  }
  vma.anonVmaChain = [];
}

/**
 * Disconnects a VMA that was merged away; the survivor's chain leads to the same anon_vmas.
 * @kernel anon_vma_merge
 */
export function* anonVmaMerge(kernel: Kernel, survivor: Vma, removed: Vma): Op<void> {
  if (removed.anonVma !== undefined && removed.anonVma !== survivor.anonVma) {
    fail('VMAs with different anon_vmas are merged');
  }
  yield* unlinkAnonVmas(kernel, removed);
}
