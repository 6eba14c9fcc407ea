import { describe, expect, it } from 'vitest';
import { collectOpNames, findUndrivenOps } from './op_rules.js';
import { checkFile, layerOf } from './tidy_rules.js';

/** Joins what must not stand in this file in one piece. */
function join(...parts: string[]): string {
  return parts.join('');
}

function messages(path: string, text: string): string[] {
  return checkFile({ path, text }).map((finding) => `${finding.line}: ${finding.message}`);
}

describe('layers', () => {
  it('knows the layer of a path', () => {
    expect(layerOf('src/kernel/rmap/walk.ts')).toBe('kernel');
    expect(layerOf('src/index.ts')).toBe('index');
    expect(layerOf('web/src/main.tsx')).toBe('web');
    expect(layerOf('tools/tidy.ts')).toBeUndefined();
  });

  it('lets an import point to a lower layer only', () => {
    expect(messages('src/query/a.ts', "import { b } from '../kernel/b.js';\n")).toEqual([]);
    expect(messages('src/kernel/rmap/a.ts', "\nimport { b } from '../../trace/b.js';\n")).toEqual([
      '2: src/kernel must not import src/trace',
    ]);
    expect(messages('src/trace/a.ts', "export * from '../cli/b.js';\n")).toEqual([
      '1: src/trace must not import src/cli',
    ]);
    expect(messages('src/replay/a.ts', "const b = await import('../linux/b.js');\n")).toEqual([
      '1: src/replay must not import src/linux',
    ]);
    expect(messages('src/query/a.ts', "import { b } from 'rmap/check';\n")).toEqual([
      '1: src/query must not import src/check',
    ]);
  });

  it('keeps packages and Node out of the pure layers', () => {
    expect(messages('src/base/a.ts', "import * as v from 'valibot';\n")).toHaveLength(1);
    expect(messages('src/query/a.ts', "import { join } from 'node:path';\n")).toHaveLength(1);
    expect(messages('src/linux/a.ts', "import { join } from 'node:path';\n")).toEqual([]);
  });

  it('refuses a folder that is no layer', () => {
    expect(messages('src/misc/a.ts', 'export const a = 1;\n')).toEqual([
      '1: src/misc is not in the table of layers',
    ]);
  });
});

describe('purity', () => {
  it.each([
    'export const a = Math.random();\n',
    'export const a = () => new Date();\n',
    'export async function a() {}\n',
    'export const a = async () => 1;\n',
    'export let a = 1;\n',
    'let a = 1;\n',
  ])('refuses %j in the kernel', (text) => {
    expect(messages('src/kernel/a.ts', text)).toHaveLength(1);
    expect(messages('src/linux/a.ts', text)).toEqual([]);
  });
});

describe('text and shape', () => {
  it('refuses paths of a machine and registry hosts', () => {
    expect(
      messages('docs/a.md', `see ${join('/ro', 'ot/x')} or ${join('regis', 'try.npmjs.org')}\n`),
    ).toHaveLength(2);
    expect(messages('docs/a.md', 'see src/root/x and test/work/y\n')).toEqual([]);
  });

  it('refuses unfinished work and tests that do not run', () => {
    expect(messages('src/base/a.ts', `// ${join('TO', 'DO')}: later\n`)).toHaveLength(1);
    expect(messages('src/base/a.test.ts', `it.${join('sk', 'ip')}('x', () => {});\n`)).toHaveLength(
      1,
    );
  });

  it('limits the length of a file, the depth of folders and the form of names', () => {
    expect(messages('src/base/a.ts', '\n'.repeat(451))).toEqual(['1: 451 lines; the limit is 450']);
    expect(messages('src/base/a.test.ts', '\n'.repeat(451))).toEqual([]);
    expect(messages('src/kernel/a/b/c.ts', '\n')).toEqual(['1: deeper than 3 folders']);
    expect(messages('src/base/intervalTree.ts', '\n')).toEqual(['1: file names are snake_case']);
  });
});

describe('operations that nobody drives', () => {
  const points = {
    path: 'src/kernel/op/prims.ts',
    text: 'export function* lock(a: Sem): Op<void> {}\nclass A { *walk(): Op<number> {} }\n',
  };
  const names = collectOpNames([points]);
  const undriven = (text: string): string[] =>
    findUndrivenOps({ path: 'a.ts', text }, names).map((finding) => finding.message);

  it('collects functions and methods', () => {
    expect([...names]).toEqual(['lock', 'walk']);
  });

  it('accepts yield*, a plain function that hands on, and a driver', () => {
    expect(undriven('function* f(): Op<void> { yield* lock(s); }')).toEqual([]);
    expect(undriven('function f(): Op<void> { return lock(s); }')).toEqual([]);
    expect(undriven('const f = (): Op<number> => a.walk();')).toEqual([]);
    expect(undriven('const x = runOp(a.walk());')).toEqual([]);
  });

  it('finds a call without yield*', () => {
    expect(undriven('function* f(): Op<void> { lock(s); }')).toEqual([
      'lock() returns an Op that nobody drives: yield* is missing',
    ]);
    expect(undriven('function* f(): Op<number> { return a.walk(); }')).toHaveLength(1);
    expect(undriven('const n = a.walk() + 1;')).toHaveLength(1);
  });
});
