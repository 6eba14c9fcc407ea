/**
 * Goal: the engine's state equals what Linux held, in every scenario, and no invariant breaks on
 * the way. Method: each scenario runs on a fresh machine with all invariants, and the content of
 * memory, checked after every operation; results and states are compared field by field.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkMachine } from '../src/check/check_machine.js';
import { verifyScenarioFile } from '../src/query/scenario.js';
import { describeDifference } from '../src/trace/difference.js';

const DIRECTORY = join(import.meta.dirname, 'cases');

const names = readdirSync(DIRECTORY)
  .filter((name) => name.endsWith('.ops.jsonl'))
  .map((name) => name.slice(0, -'.ops.jsonl'.length));

describe('scenarios of Linux 6.18', () => {
  test('all are here', () => {
    expect(names.length).toBe(627);
  });

  test.each(names)('%s', async (name) => {
    const path = join(DIRECTORY, `${name}.ops.jsonl`);
    const comparison = await verifyScenarioFile(path, { watch: checkMachine });
    expect(comparison.differences.map(describeDifference)).toEqual([]);
    expect(comparison.count).toBe(0);
  });
});
