import type { Kernel } from '../kernel.js';
import type { Census } from './census.js';

/**
 * One claim about a machine at rest (no operation in flight). Data, so that the list can be
 * printed, and so that a test can break each by hand and see exactly it reported.
 */
export interface Invariant {
  /** Stable name, `group.claim`. */
  readonly id: string;
  /** The claim in one sentence. Source: the rule number of spec 90 A in brackets. */
  readonly claim: string;
  /** What is wrong, one sentence each; empty if the claim holds. */
  check(kernel: Kernel, census: Census): string[];
}
