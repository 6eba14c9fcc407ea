/**
 * Goal: the unit tests of the reverse mapping notice plausible mistakes. Method: the kernel is
 * loaded with one rule replaced, and the tests beside the file with the rule are run on it: one of
 * them must fail. None does where the rule is right.
 */
import { describe, expect, it } from 'vitest';
import { loadKernel, LoadedKernel } from './mutants/kernel_loader.js';
import { editOf, UNIT_MUTANTS } from './mutants/unit_mutants.js';
import { firstFailure } from './mutants/unit_tests.js';

const FILES = [...new Set(UNIT_MUTANTS.map(({ file }) => file))];

describe('unit tests', () => {
  it.each(FILES)('of %s hold where the rules are right', async (file) => {
    expect(await firstFailure(new LoadedKernel('fast', []), file)).toBeUndefined();
  });

  it.each(UNIT_MUTANTS)('of $file notice that $name', async (mutant) => {
    const failure = await firstFailure(loadKernel('fast', [editOf(mutant)]), mutant.file);
    expect(failure).toBeDefined();
  });
});
