import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { QUIET, ThroughputGauge } from './gauge.js';

const VARIABLE = 'RMAP_BENCH_GAUGE_NS';

describe('ThroughputGauge', () => {
  beforeEach(() => delete process.env[VARIABLE]);
  afterEach(() => delete process.env[VARIABLE]);

  it('hands the least reading on to the processes that it starts', () => {
    const gauge = new ThroughputGauge();
    gauge.learn(1);
    expect(gauge.leastNs).toBeLessThan(1e9);
    expect(process.env[VARIABLE]).toBe(String(gauge.leastNs));
    process.env[VARIABLE] = '1';
    expect(new ThroughputGauge().leastNs).toBe(1);
  });

  it('calls a core disturbed that is slower than the least reading', () => {
    process.env[VARIABLE] = '1';
    const gauge = new ThroughputGauge();
    expect(gauge.disturbance()).toBeGreaterThan(QUIET);
    expect(gauge.waitForQuiet(1)).toBeGreaterThan(QUIET);
    gauge.leastNs = 1e12;
    expect(gauge.disturbance()).toBeLessThan(QUIET);
    expect(gauge.waitForQuiet(1)).toBeLessThan(QUIET);
  });
});
