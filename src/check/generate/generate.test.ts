import { describe, expect, it } from 'vitest';
import { Machine } from '../../kernel/machine.js';
import { generateScenario } from './generate.js';
import { MODE_NAMES } from './modes.js';
import { profileOf } from './profiles.js';

describe('generateScenario', () => {
  it('gives the same scenario for the same options', () => {
    for (const mode of MODE_NAMES) {
      const options = { seed: 42, mode, operationCount: 30, isLive: true, dumpRate: 0.1 };
      expect(generateScenario(options)).toEqual(generateScenario(options));
      expect(generateScenario({ ...options, seed: 43 })).not.toEqual(generateScenario(options));
    }
  });

  it.each(MODE_NAMES)('makes scenarios that make sense: %s', (mode) => {
    let succeeded = 0;
    let failed = 0;
    const scenarios = mode === 'gigantic' ? 2 : 12;
    for (let seed = 0; seed < scenarios; seed += 1) {
      const machine = new Machine({ profile: profileOf('default', mode) });
      for (const operation of generateScenario({ seed, mode, operationCount: 40 })) {
        // An input error would be an operation that no machine can perform.
        const { ret } = machine.apply(operation);
        if (ret < 0) failed += 1;
        else succeeded += 1;
      }
    }
    expect(succeeded).toBeGreaterThan(failed);
  });

  it('uses process numbers once and leaves no operation to a process that is gone', () => {
    for (const mode of MODE_NAMES) {
      const living = new Set([0]);
      const used = new Set([0]);
      for (const operation of generateScenario({ seed: 9, mode, operationCount: 200 })) {
        expect('p' in operation ? living.has(operation.p) : true).toBe(true);
        if (operation.op === 'exit') living.delete(operation.p);
        if (!('c' in operation)) continue;
        expect(used).not.toContain(operation.c);
        used.add(operation.c);
        living.add(operation.c);
      }
    }
  });

  it('makes scenarios whose operations meet: most accesses find memory', () => {
    let accesses = 0;
    let clean = 0;
    for (let seed = 0; seed < 20; seed += 1) {
      const machine = new Machine({ profile: { memoryPages: 2048 } });
      const options = { seed, mode: 'small', operationCount: 40, isLive: true } as const;
      for (const operation of generateScenario(options)) {
        const { vals = [] } = machine.apply(operation);
        if (operation.op !== 'read' && operation.op !== 'write') continue;
        accesses += 1;
        if (!vals.some(([value]) => typeof value === 'string')) clean += 1;
      }
    }
    expect(clean / accesses).toBeGreaterThan(0.55);
  });
});
