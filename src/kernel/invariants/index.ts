/** Invariants of a machine at rest: the list, and the check that stops at the first broken one. */
import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import { ANON_VMA_CLAIMS } from './anon_vma_claims.js';
import { Census } from './census.js';
import { COUNT_CLAIMS } from './count_claims.js';
import { EXCLUSIVE_CLAIMS } from './exclusive_claims.js';
import type { Invariant } from './invariant.js';
import { MM_ID_CLAIMS } from './mm_id_claims.js';
import { REACH_CLAIMS } from './reach_claims.js';
import { VMA_CLAIMS } from './vma_claims.js';

export type { Invariant } from './invariant.js';

/** Every invariant, in a fixed order. */
export const INVARIANTS: readonly Invariant[] = [
  ...VMA_CLAIMS,
  ...ANON_VMA_CLAIMS,
  ...COUNT_CLAIMS,
  ...MM_ID_CLAIMS,
  ...EXCLUSIVE_CLAIMS,
  ...REACH_CLAIMS,
];

/** A broken invariant: its id and what is wrong. */
export interface Violation {
  readonly id: string;
  readonly problems: readonly string[];
}

/** Checks all invariants; linear in the machine's page tables. */
export function findViolations(kernel: Kernel): Violation[] {
  const census = new Census(kernel);
  const violations: Violation[] = [];
  for (const invariant of INVARIANTS) {
    const problems = invariant.check(kernel, census);
    if (problems.length > 0) violations.push({ id: invariant.id, problems });
  }
  return violations;
}

/** Crashes (RmapError `bug`) if an invariant is broken, naming it and the first problem. */
export function checkInvariants(kernel: Kernel): void {
  const [first] = findViolations(kernel);
  if (first !== undefined) fail(`invariant ${first.id}: ${first.problems[0]}`);
}
