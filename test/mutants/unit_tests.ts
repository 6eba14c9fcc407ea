/** The unit tests of a kernel file, run against a kernel with other rules. */
import * as fastCheck from 'fast-check';
import { expect } from 'vitest';
import type { Exports, LoadedKernel } from './kernel_loader.js';

interface UnitTest {
  readonly name: string;
  readonly run: () => unknown;
}

type Body = (...given: unknown[]) => unknown;
type Define = (name: string, body: Body) => void;

/** What a test file sees of vitest; tests are gathered, in order, and not run. */
class Gathering {
  readonly tests: UnitTest[] = [];
  private readonly groups: string[] = [];

  get exports(): Exports {
    const describe = eachOf((name, body) => {
      this.groups.push(name);
      body();
      this.groups.pop();
    });
    const it = eachOf((name, body) => {
      this.tests.push({ name: [...this.groups, name].join(' > '), run: body });
    });
    return { describe, it, test: it, expect };
  }
}

/** The function, with an `each` that calls it for every row. */
function eachOf(define: Define): Define & { each: (rows: readonly unknown[]) => Define } {
  const each =
    (rows: readonly unknown[]): Define =>
    (name, body) => {
      for (const [i, row] of rows.entries()) {
        define(`${name} (row ${i})`, () => (Array.isArray(row) ? body(...row) : body(row)));
      }
    };
  return Object.assign((name: string, body: Body) => define(name, body), { each });
}

/**
 * Runs the tests of `PATH.test.ts` up to the first that fails; undefined if none does.
 * @param path Below `src/kernel`, without suffix.
 */
export async function firstFailure(
  kernel: LoadedKernel,
  path: string,
): Promise<string | undefined> {
  const gathering = new Gathering();
  const packages = new Map<string, Exports>([
    ['vitest', gathering.exports],
    ['fast-check', { ...fastCheck }],
  ]);
  await kernel.loadTest(path, packages);
  if (gathering.tests.length === 0) throw new Error(`${path} has no tests`);
  for (const { name, run } of gathering.tests) {
    try {
      await run();
    } catch (error) {
      return `${name}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return undefined;
}
