/**
 * Goal: the scenarios of Linux make sense in the other builds too. Method: they run to their end
 * with every invariant and the content of memory checked after each operation; results and states
 * are those of Linux wherever the build changes nothing.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ContentOracle } from '../src/check/shadow/shadow_scan.js';
import { checkInvariants } from '../src/kernel/invariants/index.js';
import { Machine } from '../src/kernel/machine.js';
import type { Operation } from '../src/kernel/operation.js';
import { PG_HEAD, PG_HUGETLB, PG_ZERO } from '../src/kernel/phys/page_flags.js';
import type { Profile } from '../src/kernel/profile.js';
import { verifyScenarioFile } from '../src/query/scenario.js';
import { describeDifference } from '../src/trace/difference.js';
import { REGION_START_PAGE } from '../src/trace/scenario.js';
import { readScenario } from '../src/trace/scenario_file.js';

const DIRECTORY = join(import.meta.dirname, 'cases');
const NAMES = readdirSync(DIRECTORY)
  .filter((name) => name.endsWith('.ops.jsonl'))
  .map((name) => name.slice(0, -'.ops.jsonl'.length));

const pathOf = (name: string): string => join(DIRECTORY, `${name}.ops.jsonl`);

/** Every sixth scenario about the subject, and a few of all others. */
function choose(subject: RegExp): string[] {
  const about = NAMES.filter((name) => subject.test(name));
  const others = NAMES.filter((name) => !subject.test(name));
  return [...about.filter((_, i) => i % 6 === 0), ...others.filter((_, i) => i % 60 === 0)];
}

/** Large folios come into being in these. */
const LARGE = /thp|collapse|huge|large|split|slots|shmem_write|swap_order|swap_zero|deferred/;
const SWAP = /swap|reclaim|pageout|memcg/;
const KSM = /ksm/;

interface ProfileCase {
  readonly profile: Partial<Profile>;
  readonly names: readonly string[];
  /** What must hold at any time beyond the invariants. */
  readonly holds?: (machine: Machine) => void;
}

function hasNoLargeFolio({ kernel }: Machine): void {
  const { large, memory } = kernel;
  for (let row = 0; row < large.rowLimit; row += 1) {
    const head = large.head[row];
    if (head < 0) continue;
    const flags = memory.flags[head];
    const isOther = (flags & (PG_HUGETLB | PG_ZERO)) !== 0;
    if ((flags & PG_HEAD) !== 0 && !isOther) expect.fail(`folio ${head} is large`);
  }
}

function hasNothingInSwap({ kernel }: Machine): void {
  expect(kernel.swap.devices.filter((device) => device !== undefined)).toEqual([]);
  for (const mm of kernel.mms) expect(mm.rss[2]).toBe(0);
}

function hasNothingMerged({ kernel }: Machine): void {
  expect(kernel.ksm.nodes.filter((node) => node !== undefined && node.items.length > 0)).toEqual(
    [],
  );
}

const CASES: Readonly<Record<string, ProfileCase>> = {
  'no-page-mapcount': { profile: { pageMapcount: false }, names: choose(LARGE) },
  'no-mm-id': { profile: { mmIds: 'none' }, names: choose(LARGE) },
  'no-page-mapcount, no-mm-id': {
    profile: { pageMapcount: false, mmIds: 'none' },
    names: choose(/_mthp|^thp/),
  },
  'no-thp': {
    profile: { transparentHugepage: false },
    names: choose(/thp_|collapse/),
    holds: hasNoLargeFolio,
  },
  'no-swap': { profile: { swap: false }, names: choose(SWAP), holds: hasNothingInSwap },
  'no-ksm': { profile: { ksm: false }, names: choose(KSM), holds: hasNothingMerged },
};

/** What goes wrong while the operations run; invariants crash by themselves. */
function problemsOf(
  operations: readonly Operation[],
  { profile, holds }: ProfileCase,
): readonly string[] {
  const machine = new Machine({ profile, regionStart: REGION_START_PAGE });
  const oracle = new ContentOracle(machine);
  for (const [i, operation] of operations.entries()) {
    const result = machine.apply(operation);
    checkInvariants(machine.kernel);
    const problems = oracle.after(operation, result);
    if (problems.length > 0) return [`operation ${i}: ${problems[0]}`];
    holds?.(machine);
  }
  return [];
}

describe.each(Object.entries(CASES))('scenarios in %s', (_name, profileCase) => {
  test.each(profileCase.names)('%s', async (name) => {
    expect(problemsOf(await readScenario(pathOf(name)), profileCase)).toEqual([]);
  });
});

/** Differences from what Linux held. */
async function differences(name: string, profile: Partial<Profile>): Promise<string[]> {
  const { differences: found } = await verifyScenarioFile(pathOf(name), { profile });
  return found.map(describeDifference);
}

describe('what a build does not change is as Linux has it', () => {
  const isLarge = (name: string): boolean =>
    LARGE.test(name) || /^probe2_(uffd_move|walk_large|pageout_noswap|cow_huge)/.test(name);
  const small = NAMES.filter((name, i) => !isLarge(name) && i % 24 === 0);
  const large = NAMES.filter((name, i) => /thp/.test(name) && i % 6 === 0);

  test.each(large)('mm ids of 15 bits, large folios: %s', async (name) => {
    expect(await differences(name, { mmIds: '32-bit' })).toEqual([]);
  });

  test.each(small)('neither mapcounts of pages nor mm ids, small folios: %s', async (name) => {
    expect(await differences(name, { pageMapcount: false, mmIds: 'none' })).toEqual([]);
  });

  test.each(large)('what operations answer, without mapcounts of pages: %s', async (name) => {
    const found = await differences(name, { pageMapcount: false });
    expect(found.filter((difference) => !difference.startsWith('state '))).toEqual([]);
  });
});
