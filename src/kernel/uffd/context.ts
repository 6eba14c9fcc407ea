import { RmapError } from '../../base/errors.js';
import type { Vma } from '../vm/vma.js';
import { VM_UFFD_MISSING, VM_UFFD_WP } from '../vm/vm_flags.js';

/** VMA flags that a registration sets. @kernel __VM_UFFD_FLAGS */
export const VM_UFFD_FLAGS = VM_UFFD_MISSING | VM_UFFD_WP;

/** The userfaultfd of an address space; each has at most one here. @kernel userfaultfd_ctx */
export interface UffdContext {
  /** A fault raises SIGBUS instead of waiting for a handler. @kernel UFFD_FEATURE_SIGBUS */
  readonly hasSigbus: boolean;
  /** A write to a protected page goes on by itself. @kernel UFFD_FEATURE_WP_ASYNC */
  readonly isWpAsync: boolean;
  /** Empty anonymous entries can be protected. @kernel UFFD_FEATURE_WP_UNPOPULATED */
  readonly protectsUnpopulated: boolean;
  /** A fork child stays registered. @kernel UFFD_FEATURE_EVENT_FORK */
  readonly hasEventFork: boolean;
}

const FEATURES = ['sigbus', 'wp_async', 'wp_unpopulated', 'event_fork'] as const;

/** A context with the `|`-joined features; asynchronous protection implies empty entries. */
export function parseUffdFeatures(text: string): UffdContext {
  const words = text === '' ? [] : text.split('|');
  for (const word of words) {
    if (!FEATURES.some((feature) => feature === word)) {
      throw new RmapError(
        'input',
        `unknown userfaultfd feature ${word}, expected ${FEATURES.join(' ')}`,
      );
    }
  }
  const isWpAsync = words.includes('wp_async');
  return {
    hasSigbus: words.includes('sigbus'),
    isWpAsync,
    protectsUnpopulated: isWpAsync || words.includes('wp_unpopulated'),
    hasEventFork: words.includes('event_fork'),
  };
}

/** Whether any registration covers the VMA. @kernel userfaultfd_armed */
export function isUffdArmed(vma: Vma): boolean {
  return (vma.flags & VM_UFFD_FLAGS) !== 0;
}
