/**
 * Goal: the invariants notice the bugs that Linux had (spec 90 B, and the mutation list C). Method:
 * the kernel is loaded with one rule replaced by the old one; the sequence that exposes it must
 * break the invariant that is named for it. The same sequence breaks nothing where the rule is
 * right.
 */
import { describe, expect, test } from 'vitest';
import { ANON_VMA_MUTANTS } from './mutants/anon_vma_mutants.js';
import { COUNT_MUTANTS } from './mutants/count_mutants.js';
import { judge } from './mutants/judge.js';
import { LoadedKernel } from './mutants/kernel_loader.js';
import { explore } from './mutants/race.js';
import { RACES } from './mutants/races.js';
import { SHARING_MUTANTS } from './mutants/sharing_mutants.js';
import { SWAP_MUTANTS } from './mutants/swap_mutants.js';

const MUTANTS = [...ANON_VMA_MUTANTS, ...COUNT_MUTANTS, ...SHARING_MUTANTS, ...SWAP_MUTANTS];

describe('mutants of the kernel', () => {
  test.each(MUTANTS)('$name', async ({ edits, steps, broken, profile, build = 'fast' }) => {
    const right = await judge(new LoadedKernel(build, []), steps, profile);
    expect(right.problems, 'where the rule is right').toEqual([]);
    expect(right.crash).toBeUndefined();
    const wrong = await judge(new LoadedKernel(build, edits), steps, profile);
    expect(wrong.broken, `${wrong.problems.join('\n')}\n${wrong.crash}`).toContain(broken);
  });
});

describe('mutants that need another CPU', () => {
  test.each(RACES)('$name', async (race) => {
    const right = await explore(race, []);
    expect(right.problems, 'where the rule is right').toEqual([]);
    expect(right.orders).toBeGreaterThan(3);
    const wrong = await explore(race, race.edits);
    const found = wrong.problems.slice(0, 5).join('\n');
    expect([...wrong.broken], `found ${found}`).toContain(race.broken);
  });
});
