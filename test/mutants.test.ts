/**
 * Goal: the invariants notice the bugs that Linux had (spec 90 B, and the mutation list C). Method:
 * the kernel is loaded with one rule replaced by the old one; the sequence that exposes it must
 * break the invariant that is named for it, or a claim about its outcome where Linux's rule guards
 * no state that would be wrong by itself. The same sequence breaks nothing where the rule is right.
 */
import { describe, expect, test } from 'vitest';
import { ANON_VMA_MUTANTS } from './mutants/anon_vma_mutants.js';
import { COUNT_MUTANTS } from './mutants/count_mutants.js';
import { LARGE_MUTANTS } from './mutants/large_mutants.js';
import { MERGE_MUTANTS } from './mutants/merge_mutants.js';
import { judge } from './mutants/judge.js';
import { loadKernel } from './mutants/kernel_loader.js';
import { explore } from './mutants/race.js';
import { RACES } from './mutants/races.js';
import { SHARING_MUTANTS } from './mutants/sharing_mutants.js';
import { SWAP_MUTANTS } from './mutants/swap_mutants.js';
import { TLB_RACES } from './mutants/tlb_races.js';
import { WALK_RACES } from './mutants/walk_races.js';

const MUTANTS = [
  ...ANON_VMA_MUTANTS,
  ...COUNT_MUTANTS,
  ...LARGE_MUTANTS,
  ...MERGE_MUTANTS,
  ...SHARING_MUTANTS,
  ...SWAP_MUTANTS,
];
const ALL_RACES = [...RACES, ...TLB_RACES, ...WALK_RACES];

describe('mutants of the kernel', () => {
  test.each(MUTANTS)('$name', async (mutant) => {
    const { setting = [], edits, steps, broken, profile, build = 'fast', claim } = mutant;
    const right = await judge(loadKernel(build, setting), steps, profile, claim);
    expect(right.problems, 'where the rule is right').toEqual([]);
    expect(right.crash).toBeUndefined();
    const wrong = await judge(loadKernel(build, [...setting, ...edits]), steps, profile, claim);
    expect(wrong.broken, `${wrong.problems.join('\n')}\n${wrong.crash}`).toContain(broken);
  });
});

describe('mutants that need another CPU', () => {
  test.each(ALL_RACES)('$name', async (race) => {
    const right = await explore(race, []);
    expect(right.problems, 'where the rule is right').toEqual([]);
    expect(right.orders).toBeGreaterThan(3);
    const wrong = await explore(race, race.edits);
    const found = wrong.problems.slice(0, 5).join('\n');
    expect([...wrong.broken], `found ${found}`).toContain(race.broken);
  });
});
