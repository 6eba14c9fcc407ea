/** Runs operations on a machine whose rules may be wrong, and says what notices. */
import { MERGE_INVARIANT, MergeOracle } from '../../src/check/merge_oracle.js';
import { CONTENT_INVARIANT, ContentOracle } from '../../src/check/shadow/shadow_scan.js';
import { findViolations } from '../../src/kernel/invariants/index.js';
import type * as MachineModule from '../../src/kernel/machine.js';
import type { Machine } from '../../src/kernel/machine.js';
import type { Operation, OperationResult } from '../../src/kernel/operation.js';
import type { Profile } from '../../src/kernel/profile.js';
import type { LoadedKernel } from './kernel_loader.js';

/** What a bug breaks that is no invariant of every state: asked once, when all is done. */
export interface Claim {
  readonly id: string;
  /** The claim in one sentence. */
  readonly claim: string;
  readonly holds: (machine: Machine) => boolean;
}

/** Away from page 0, so that a forgotten conversion shows; a multiple of 2 MiB. */
export const REGION_START = 0x1000000;

const TLB_INVARIANT = 'tlb.no-stale-translation';

export interface Verdict {
  /** Ids of the invariants that broke, in the order in which they did. */
  readonly broken: readonly string[];
  /** The first problem of each, for messages. */
  readonly problems: readonly string[];
  /** Message of an assertion of the engine that stopped the run, if one did. */
  readonly crash: string | undefined;
  readonly results: readonly OperationResult[];
  readonly machine: Machine;
}

/** Something done by hand between operations: a failing allocation, say. */
export type Step = Operation | ((machine: Machine) => void);

export async function newMachine(
  loaded: LoadedKernel,
  profile: Partial<Profile> = {},
): Promise<Machine> {
  const { Machine: LoadedMachine } = await loaded.load<typeof MachineModule>('machine');
  return new LoadedMachine({
    profile: { memoryPages: 8192, ...profile },
    regionStart: REGION_START,
  });
}

/** Collects what is wrong with a machine at rest, each id once. */
export class Judge {
  readonly broken: string[] = [];
  readonly problems: string[] = [];
  private readonly machine: Machine;
  private readonly oracle: ContentOracle;
  private readonly merges: MergeOracle;

  constructor(machine: Machine) {
    this.machine = machine;
    this.oracle = new ContentOracle(machine);
    this.merges = new MergeOracle(machine);
  }

  /** An operation is done; others may be in progress. */
  note(operation: Operation, result: OperationResult): void {
    this.add(CONTENT_INVARIANT, this.oracle.shadow.observe(operation, result));
  }

  /** The same, and no other is in progress. */
  merged(operation: Operation, result: OperationResult): void {
    this.add(MERGE_INVARIANT, this.merges.after(operation, result));
  }

  /** Operations are in progress, their flushes may be yet to come: but no page is free before. */
  inProgress(): void {
    const { kernel } = this.machine;
    const reached = kernel.tlb?.findStale(kernel).filter((one) => one.problem === 'page is free');
    this.add(
      TLB_INVARIANT,
      (reached ?? []).map(({ mm, vpn, pfn }) => `mm ${mm.id} reaches free page ${pfn} at ${vpn}`),
    );
  }

  /** Everything is over. */
  atEnd(claim: Claim | undefined): void {
    if (claim !== undefined && !claim.holds(this.machine)) this.add(claim.id, [claim.claim]);
  }

  /** A claim that the setting of a race put into the kernel begins with its id. */
  crashed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const [, id = 'crash', problem = message] = /^claim (\S+): (.*)$/s.exec(message) ?? [];
    this.add(id, [problem]);
  }

  /** No operation is in progress. */
  atRest(): void {
    for (const { id, problems } of findViolations(this.machine.kernel)) this.add(id, problems);
    this.add(CONTENT_INVARIANT, this.oracle.atRest());
  }

  add(id: string, problems: readonly string[]): void {
    if (problems.length === 0 || this.broken.includes(id)) return;
    this.broken.push(id);
    this.problems.push(`${id}: ${problems[0]}`);
  }
}

/** Runs all steps, or up to the first crash; what broke first stays broken. */
export async function judge(
  loaded: LoadedKernel,
  steps: readonly Step[],
  profile: Partial<Profile> = {},
  claim?: Claim,
): Promise<Verdict> {
  const machine = await newMachine(loaded, profile);
  const verdict = new Judge(machine);
  const results: OperationResult[] = [];
  let crash: string | undefined = undefined;
  try {
    for (const step of steps) {
      if (typeof step === 'function') {
        step(machine);
        continue;
      }
      const result = machine.apply(step);
      results.push(result);
      verdict.note(step, result);
      verdict.merged(step, result);
      verdict.atRest();
    }
    verdict.atEnd(claim);
  } catch (error) {
    crash = error instanceof Error ? error.message : String(error);
  }
  return { broken: verdict.broken, problems: verdict.problems, crash, results, machine };
}
