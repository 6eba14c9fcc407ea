import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { checkMachine } from '../src/check/check_machine.js';
import { verifyScenarioFile } from '../src/query/scenario.js';
import { describeDifference } from '../src/trace/difference.js';

const DIRECTORY = new URL('regressions/', import.meta.url).pathname;
const SCENARIOS = readdirSync(DIRECTORY).filter((name) => name.endsWith('.ops.jsonl'));

it('has scenarios', () => {
  expect(SCENARIOS.length).toBeGreaterThan(10);
});

// What random scenarios found, and the state that a Linux 6.18 answered.
it.each(SCENARIOS)('%s agrees with Linux, and all invariants hold', async (name) => {
  const { differences } = await verifyScenarioFile(`${DIRECTORY}${name}`, { watch: checkMachine });
  expect(differences.map(describeDifference)).toEqual([]);
});
