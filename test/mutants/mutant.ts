import type { Profile } from '../../src/kernel/profile.js';
import type { Claim, Step } from './judge.js';
import type { Build, Edit } from './kernel_loader.js';

/** A rule that Linux had wrong once, or that is turned round to test the invariants. */
export interface Mutant {
  /** Number in spec 90 B (or of an invariant in A, or C, the mutation list) and what is wrong. */
  readonly name: string;
  /** What the kernel must do for the rule to matter; made for both, right rule and wrong. */
  readonly setting?: readonly Edit[];
  readonly edits: readonly Edit[];
  /** What exposes it; breaks nothing where the rule is right. */
  readonly steps: readonly Step[];
  /** Id of the invariant, or of the claim below, that must notice. */
  readonly broken: string;
  readonly claim?: Claim;
  readonly profile?: Partial<Profile>;
  /** Default `fast`; `check` where the fast build takes a shortcut around the rule. */
  readonly build?: Build;
}
