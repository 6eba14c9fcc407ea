/** What `fuzz` found: printed, saved, and as JSON. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Operation } from '../kernel/operation.js';
import { formatScenario } from '../trace/scenario.js';
import { formatStateFile, type StateFile } from '../trace/state.js';
import { cReproducer } from './c_reproducer.js';
import type { Cli } from './command.js';
import { replayLine, type PlannedScenario, type PlanOptions } from './fuzz_plan.js';
import { printable } from './sanitize.js';

/** A scenario on which something is wrong, made as small as it gets. */
export interface FuzzFinding {
  readonly planned: PlannedScenario;
  readonly operations: readonly Operation[];
  /** The broken invariant, the exception, or that two machines differ: one line. */
  readonly message: string;
  /** How they differ, one line each. */
  readonly details: readonly string[];
  /** What the running kernel answered. */
  readonly live?: StateFile;
}

const MOST_DETAILS = 12;

/** What is wrong, the command that shows it again, and the scenario in its file format. */
export function printFinding(cli: Cli, options: PlanOptions, finding: FuzzFinding): void {
  cli.print(`found: ${printable(finding.message)}`);
  for (const line of finding.details.slice(0, MOST_DETAILS)) cli.print(`  ${printable(line)}`);
  const left = finding.details.length - MOST_DETAILS;
  if (left > 0) cli.print(`  and ${left} more`);
  cli.print(`replay: ${replayLine(options, finding.planned)}`);
  cli.print(`shrunk to ${finding.operations.length} operations:`);
  cli.print(formatScenario(finding.operations).trimEnd());
}

/** A finding as `--json` shows it. */
export function findingJson(options: PlanOptions, finding: FuzzFinding): object {
  const { planned, ...shown } = finding;
  const { profile, generated } = planned;
  return { ...generated, profile, replay: replayLine(options, planned), ...shown };
}

/** Writes MODE_SEED.ops.jsonl and what belongs to it into a directory. */
export async function saveFinding(
  cli: Cli,
  directory: string,
  finding: FuzzFinding,
  withProgram: boolean,
): Promise<void> {
  const { planned, operations, live } = finding;
  await mkdir(directory, { recursive: true });
  const path = join(directory, `${planned.generated.mode}_${planned.generated.seed}`);
  await writeFile(`${path}.ops.jsonl`, formatScenario(operations));
  if (live !== undefined) await writeFile(`${path}.state.json`, formatStateFile(live));
  if (!withProgram) return;
  const program = cReproducer(operations);
  if (typeof program === 'string') await writeFile(`${path}.c`, program);
  else cli.note(`${path}: no C program, it has ${program.unsupported}`);
}
