/**
 * Runs every scenario of a folder in the fast build and in the check build and compares the
 * fingerprints of the final machines.
 *
 *   node dist/tools/builds_agree.js [folder]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '#rmap/kernel/machine.js';
import type { Operation } from '#rmap/kernel/operation.js';

/** What this tool needs of a build. */
interface Build {
  readonly Machine: new (options: { readonly regionStart: number }) => Machine;
  readonly parseScenario: (text: string, name: string) => Operation[];
}

async function load(name: 'fast' | 'check'): Promise<Build> {
  const at = (path: string): string => new URL(`../${name}/${path}`, import.meta.url).href;
  const machine = (await import(at('kernel/machine.js'))) as Pick<Build, 'Machine'>;
  const scenario = (await import(at('trace/scenario.js'))) as Pick<Build, 'parseScenario'>;
  return { Machine: machine.Machine, parseScenario: scenario.parseScenario };
}

const REGION_START_PAGE = 0x1000000;

function fingerprint(build: Build, text: string, name: string): string {
  const machine = new build.Machine({ regionStart: REGION_START_PAGE });
  for (const operation of build.parseScenario(text, name)) machine.apply(operation);
  return machine.fingerprint();
}

async function main(folder: string): Promise<number> {
  const [fast, check] = [await load('fast'), await load('check')];
  const names = readdirSync(folder).filter((name) => name.endsWith('.ops.jsonl'));
  let differing = 0;
  for (const name of names) {
    const text = readFileSync(join(folder, name), 'utf8');
    const [quick, stepped] = [fingerprint(fast, text, name), fingerprint(check, text, name)];
    if (quick === stepped) continue;
    differing += 1;
    process.stdout.write(`${name}: fast ${quick}, check ${stepped}\n`);
  }
  process.stdout.write(
    `builds agree in ${names.length - differing} of ${names.length} scenarios\n`,
  );
  return differing === 0 && names.length > 0 ? 0 : 1;
}

process.exitCode = await main(process.argv[2] ?? 'test/cases');
