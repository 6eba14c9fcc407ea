import { describe, expect, it } from 'vitest';
import { type Benchmark, runBenchmark, type Variant } from './harness.js';

/** A clock that moves only when a variant works, so that the figures are exact. */
function fakeClock(): { nowNs: () => number; spend: (ns: number) => void } {
  let now = 0;
  return { nowNs: () => now, spend: (ns) => void (now += ns) };
}

function setup(costNs: Readonly<Record<string, (size: number) => number>>, hash = (): number => 7) {
  const clock = fakeClock();
  const order: string[] = [];
  const variants: Variant[] = Object.entries(costNs).map(([name, cost]) => ({
    name,
    setup: (size) => ({
      run: () => {
        order.push(name);
        clock.spend(cost(size));
        return hash();
      },
    }),
  }));
  const benchmark: Benchmark = {
    name: 'b',
    item: 'page',
    sizes: [10, 100, 1000],
    smokeSize: 2,
    warmUpMs: 0,
    variants,
  };
  return { benchmark, order, options: { smoke: false, timeMs: 0.001, nowNs: clock.nowNs } };
}

describe('runBenchmark', () => {
  it('takes the time that a trial was told by the program that did the work', async () => {
    const { benchmark, options } = setup({ a: (size) => 5 * size });
    const told: Variant = {
      name: 'told',
      setup: (size) => ({ run: () => 7, elapsedNs: () => 100 * size }),
    };
    const report = await runBenchmark(
      {
        ...benchmark,
        sizes: [10],
        variants: [...benchmark.variants, told],
        budget: { minTimesFaster: 30 },
      },
      options,
    );
    expect(report.measurements.map((m) => [m.variant, m.medianNsPerItem])).toEqual([
      ['a', 5],
      ['told', 100],
    ]);
    expect(report.problems).toEqual(['b: 20.0 times faster than told, budget 30']);
  });

  it('compares the least time of both with a program that was told', async () => {
    const costs = [900, 100, 900, 900, 900, 900];
    let calls = 0;
    const { benchmark, options } = setup({ a: () => costs[calls++ % 6] ?? 0 });
    const told: Variant = { name: 'told', setup: () => ({ run: () => 7, elapsedNs: () => 1000 }) };
    const report = await runBenchmark(
      {
        ...benchmark,
        sizes: [10],
        variants: [...benchmark.variants, told],
        budget: { minTimesFaster: 11 },
      },
      options,
    );
    expect(report.measurements[0]).toMatchObject({ minNsPerItem: 10, medianNsPerItem: 90 });
    expect(report.problems).toEqual(['b: 10.0 times faster than told, budget 11']);
  });

  it('takes the rounds that nothing disturbed, and at least the five quietest', async () => {
    let rounds = 0;
    // Nothing disturbs rounds 3, 6, 9 and so on; the others take nine times as long.
    const disturbance = (): number => (rounds % 3 === 0 ? 1 : 1.5);
    const { benchmark, options } = setup({ a: () => ((rounds += 1) % 3 === 0 ? 100 : 900) });
    const gauge = { disturbance, waitForQuiet: () => 1 };
    const only = { ...benchmark, sizes: [10] };
    const many = await runBenchmark(only, { ...options, timeMs: 0.02, gauge });
    expect(many.measurements[0]).toMatchObject({
      rounds: 32,
      quietRounds: 11,
      medianNsPerItem: 10,
    });
    rounds = 0;
    const few = await runBenchmark(only, { ...options, timeMs: 0.002, gauge });
    expect(few.measurements[0]).toMatchObject({ rounds: 5, quietRounds: 2, medianNsPerItem: 90 });
  });

  it('waits for a quiet core before each round, but not before long ones', async () => {
    const waitedMs: number[] = [];
    const waitForQuiet = (mostMs: number): number => waitedMs.push(mostMs);
    const gauge = { disturbance: () => 1, waitForQuiet };
    const short = setup({ a: () => 100 });
    const options = { ...short.options, timeMs: 30, gauge };
    await runBenchmark({ ...short.benchmark, sizes: [10] }, options);
    expect(waitedMs).toHaveLength(200);
    expect(Math.min(...waitedMs)).toBe(30);
    waitedMs.length = 0;
    const long = setup({ a: () => 11e6 });
    await runBenchmark({ ...long.benchmark, sizes: [10] }, { ...long.options, timeMs: 30, gauge });
    expect(waitedMs).toEqual([30, 0, 0, 0, 0]);
  });

  it('does not count what a variant takes before it is warm', async () => {
    let rounds = 0;
    const { benchmark, options } = setup({ a: () => ((rounds += 1) < 6 ? 5000 : 100) });
    const { measurements } = await runBenchmark(
      { ...benchmark, sizes: [10], warmUpMs: 0.025 },
      options,
    );
    expect(measurements[0]?.medianNsPerItem).toBe(10);
    const cold = setup({ a: (size) => 500 * size });
    const report = await runBenchmark({ ...cold.benchmark, sizes: [10] }, cold.options);
    expect(report.measurements[0]?.medianNsPerItem).toBe(500);
  });

  it('interleaves the variants and reports time per item', async () => {
    const { benchmark, options, order } = setup({ a: (size) => 5 * size, b: (size) => 50 * size });
    const report = await runBenchmark({ ...benchmark, sizes: [10] }, options);
    const quick = Array.from({ length: 8 }, () => 'a');
    // One round each to get warm; then the quick one does more in its turn.
    expect(order.slice(0, 20)).toEqual(['a', 'b', ...quick, 'b', 'b', ...quick]);
    expect(report.measurements.map((m) => [m.variant, m.medianNsPerItem, m.minNsPerItem])).toEqual([
      ['a', 5, 5],
      ['b', 50, 50],
    ]);
    expect(report.measurements[0]?.rounds).toBeGreaterThanOrEqual(5);
    expect(report.problems).toEqual([]);
  });

  it('takes the quietest of three runs', async () => {
    let rounds = 0;
    const busy = new Set([1, 2, 3, 4, 5, 11, 13, 14, 16]);
    const { benchmark, options } = setup({ a: () => (busy.has((rounds += 1)) ? 900 : 100) });
    const only = { ...benchmark, sizes: [10] };
    const { measurements } = await runBenchmark(only, { ...options, timeMs: 0.0075 });
    expect(measurements[0]).toMatchObject({ rounds: 15, minNsPerItem: 10, medianNsPerItem: 10 });
  });

  it('fits the growth over the sizes', async () => {
    const { benchmark, options } = setup({ a: (size) => 3 * size ** 2 });
    const report = await runBenchmark({ ...benchmark, budget: { maxSlope: 1.1 } }, options);
    expect(report.slope).toBeCloseTo(2);
    expect(report.problems).toEqual(['b: time grows as size^2.00, budget 1.1']);
  });

  it('fails budgets of time and of ratio', async () => {
    const { benchmark, options } = setup({ a: (size) => 10 * size, b: (size) => 20 * size });
    const budget = { maxNsPerItem: 9, minTimesFaster: 10 };
    expect((await runBenchmark({ ...benchmark, budget }, options)).problems).toEqual([
      'b: 10.0 ns per page, budget 9 ns',
      'b: 2.0 times faster than b, budget 10',
    ]);
    const kept = { maxNsPerItem: 10, minTimesFaster: 2 };
    expect((await runBenchmark({ ...benchmark, budget: kept }, options)).problems).toEqual([]);
  });

  it('notices a result that changes between rounds or variants', async () => {
    let calls = 0;
    const { benchmark, options } = setup({ a: () => 1 }, () => calls++);
    expect((await runBenchmark(benchmark, options)).problems[0]).toBe(
      'b: a gave two results for one input',
    );
    const constant = setup({ a: () => 1 });
    const other: Variant = { name: 'c', setup: () => ({ run: () => 8 }) };
    const differing = {
      ...constant.benchmark,
      variants: [...constant.benchmark.variants, other],
      sameResult: true,
    };
    expect((await runBenchmark(differing, constant.options)).problems).toContain(
      'b: the variants give different results',
    );
  });

  it('runs once at the smoke size and judges no budget', async () => {
    const { benchmark, options, order } = setup({ a: () => 1000 });
    const strict = { ...benchmark, budget: { maxNsPerItem: 1 } };
    const report = await runBenchmark(strict, { ...options, smoke: true });
    expect(order).toEqual(['a']);
    expect(report.measurements.map((m) => m.size)).toEqual([2]);
    expect(report.problems).toEqual([]);
  });
});
