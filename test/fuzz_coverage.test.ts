import { beforeAll, describe, expect, it } from 'vitest';
import { generateScenario } from '../src/check/generate/generate.js';
import { MODE_NAMES } from '../src/check/generate/modes.js';
import { PROFILE_NAMES, profileOf } from '../src/check/generate/profiles.js';
import { planScenarios } from '../src/cli/fuzz_plan.js';
import { DEFAULT_PROFILE } from '../src/kernel/profile.js';
import type { Operation } from '../src/kernel/operation.js';
import { OPERATION_RULES } from '../src/trace/scenario_rules.js';

const SCENARIOS = 800;

/** What was seen: operations, and `operation.field` with the values of the field. */
const operations = new Set<string>();
const values = new Map<string, Set<string>>();

function note(operation: Operation): void {
  operations.add(operation.op);
  for (const [field, value] of Object.entries(operation)) {
    const key = `${operation.op}.${field}`;
    const seen = values.get(key) ?? new Set();
    for (const word of String(value).split('|')) seen.add(word);
    values.set(key, seen);
  }
}

/**
 * Every field of every operation of the type `Operation`: the keys of these rules are checked
 * against the type by the compiler.
 */
const FIELDS = Object.entries(OPERATION_RULES).flatMap(([op, fields]) =>
  Object.entries(fields ?? {}).map(([field, { rule }]) => ({ key: `${op}.${field}`, rule })),
);

beforeAll(() => {
  for (const { generated } of planScenarios({ seed: '1', runs: String(SCENARIOS), ops: '40' })) {
    for (const operation of generateScenario(generated)) note(operation);
  }
});

describe(`${SCENARIOS} generated scenarios`, () => {
  it('cover every operation of the type', () => {
    const all = Object.keys(OPERATION_RULES);
    expect(all.length).toBeGreaterThan(50);
    expect([...operations].sort()).toEqual(all.sort());
  });

  it('give every field of every operation, optional ones too', () => {
    expect([...values.keys()].filter((key) => !key.endsWith('.op')).sort()).toEqual(
      FIELDS.map(({ key }) => key).sort(),
    );
  });

  it('use every word that a field may hold', () => {
    const missing = FIELDS.flatMap(({ key, rule }) =>
      (rule.words ?? [])
        .filter((word) => values.get(key)?.has(word) !== true)
        .map((word) => `${key} ${word}`),
    );
    expect(missing).toEqual([]);
  });

  it('meet every mode on every profile', () => {
    const pairs = new Set<string>();
    const runs = String(MODE_NAMES.length * PROFILE_NAMES.length);
    for (const { generated, profile } of planScenarios({ seed: '1', runs, ops: '1' })) {
      pairs.add(`${generated.mode} ${profile}`);
    }
    expect(pairs.size).toBe(MODE_NAMES.length * PROFILE_NAMES.length);
  });

  it('have profiles that turn every option of the type', () => {
    for (const option of Object.keys(DEFAULT_PROFILE) as Array<keyof typeof DEFAULT_PROFILE>) {
      const seen = new Set(
        PROFILE_NAMES.map((name) => JSON.stringify(profileOf(name, 'small')[option])),
      );
      expect([option, seen.size > 1]).toEqual([option, true]);
    }
  });
});
