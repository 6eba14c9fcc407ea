import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ThroughputGauge } from './gauge.js';

const VARIABLE = 'RMAP_BENCH_GAUGE_NS';

/** A gauge that reads these, again and again. */
function gaugeOf(...readings: number[]): ThroughputGauge {
  let next = 0;
  return new ThroughputGauge(() => readings[next++ % readings.length] ?? 0);
}

describe('ThroughputGauge', () => {
  beforeEach(() => delete process.env[VARIABLE]);
  afterEach(() => delete process.env[VARIABLE]);

  it('compares with the least reading', () => {
    const gauge = gaugeOf(200, 100, 150, 50, 60);
    const disturbances = [1, 2, 3, 4, 5].map(() => gauge.disturbance());
    expect(disturbances).toEqual([1, 1, 1.5, 1, 1.2]);
  });

  it('knows the least reading of the process that started this one', () => {
    gaugeOf(100).learn(0);
    expect(process.env[VARIABLE]).toBe('100');
    const child = gaugeOf(150, 80);
    expect([child.disturbance(), child.disturbance()]).toEqual([1.5, 1]);
    child.learn(0);
    expect(process.env[VARIABLE]).toBe('80');
  });

  it('waits for three quiet readings in a row', () => {
    process.env[VARIABLE] = '100';
    const readings = [160, 110, 112, 170, 114, 113, 108, 190];
    let count = 0;
    const gauge = new ThroughputGauge(() => readings[count++] ?? 0);
    expect(gauge.waitForQuiet(60_000)).toBe(1.08);
    expect(count).toBe(7);
  });

  it('gives up when its time is over', () => {
    process.env[VARIABLE] = '100';
    expect(gaugeOf(160).waitForQuiet(0)).toBe(1.6);
  });

  it('reads a loop of its own', () => {
    expect(new ThroughputGauge().disturbance()).toBe(1);
  });
});
