import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseStateFile } from '../trace/state.js';
import type { StateFile } from '../trace/state.js';
import { agrees, verifyScenario } from './verify_live.js';
import type { ScenarioRunner } from './verify_live.js';

const cases = fileURLToPath(new URL('../../test/cases', import.meta.url));
const file = join(cases, 'cow_basic.ops.jsonl');
const stored = parseStateFile(readFileSync(join(cases, 'cow_basic.state.json'), 'utf8'), 'stored');

/** The stored answer with `count` wrong results. */
function wrong(count: number): StateFile {
  const results = stored.results.map((result, i) => (i < count ? { ...result, ret: 99 } : result));
  return { ...stored, results };
}

/** A kernel that gives these answers one after the other. */
function kernelThatAnswers(...answers: StateFile[]): ScenarioRunner {
  return { run: async () => Promise.resolve(answers.shift() ?? wrong(9)) };
}

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rmap-verify-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe('verifyScenario', () => {
  it('agrees at once', async () => {
    const verdict = await verifyScenario(kernelThatAnswers(stored), file, {});
    expect(agrees(verdict)).toBe(true);
    expect(verdict.tries).toBe(1);
    expect(verdict.engine).toBeUndefined();
  });

  it('tries again, and says how often', async () => {
    const verdict = await verifyScenario(kernelThatAnswers(wrong(1), stored), file, {});
    expect(agrees(verdict)).toBe(true);
    expect(verdict.tries).toBe(2);
  });

  it('keeps the closest of all tries when the difference stays', async () => {
    const kernel = kernelThatAnswers(wrong(3), wrong(1), wrong(2), stored);
    const verdict = await verifyScenario(kernel, file, { tries: 3 });
    expect(agrees(verdict)).toBe(false);
    expect(verdict.given?.count).toBe(1);
    expect(verdict.tries).toBe(3);
  });

  it('compares the engine with the kernel, not with the given state', async () => {
    const verdict = await verifyScenario(kernelThatAnswers(wrong(2)), file, {
      tries: 1,
      engine: () => stored,
    });
    expect(verdict.engine?.count).toBe(2);
    expect(verdict.engine?.differences[0]).toMatchObject({ expected: '99', got: '0' });
  });

  it('needs no given state', async () => {
    const lonely = join(directory, 'lonely.ops.jsonl');
    copyFileSync(file, lonely);
    const verdict = await verifyScenario(kernelThatAnswers(wrong(1)), lonely, {
      engine: () => wrong(1),
    });
    expect(verdict.given).toBeUndefined();
    expect(agrees(verdict)).toBe(true);
  });

  it('refuses no tries at all', async () => {
    await expect(verifyScenario(kernelThatAnswers(), file, { tries: 0 })).rejects.toThrow(
      'tries is 0, expected 1 or more',
    );
  });
});
