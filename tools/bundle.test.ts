import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundle, isBundled } from './bundle.js';

const MODULES: Readonly<Record<string, string>> = {
  'base/units.js': 'export const NIL = -1;\nexport const FLAG = 1 << 4;\n',
  'kernel/walk.js': `import { FLAG, NIL } from '../base/units.js';
export function walk(word) { return (word & FLAG) === 0 ? NIL : word; }\n`,
  'trace/path.js': "export const fileOf = (name) => name + '.jsonl';\n",
  'trace/line.js': 'export const lineOf = (text) => text + 1;\n',
  'trace/read.js': `import { readFileSync } from 'node:fs';
import { walk } from '../kernel/walk.js';
import { fileOf } from './path.js';
import { lineOf } from './line.js';
export function read(name) { return lineOf(walk(readFileSync(fileOf(name)).length)); }\n`,
};

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rmap-bundle-'));
  for (const [path, text] of Object.entries(MODULES)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
});

afterEach(() => rmSync(root, { recursive: true }));

/** The code of a file and of all that it imports. */
function codeBelow(files: ReadonlyMap<string, string>, path: string): string {
  const paths = new Set([path]);
  for (const one of paths) {
    const code = files.get(one) ?? '';
    for (const [, name = ''] of code.matchAll(/from ["'](\.[^"']+)["']/g)) {
      paths.add(posix.join(posix.dirname(one), name));
    }
  }
  return [...paths].map((one) => files.get(one)).join('\n');
}

describe('bundle', () => {
  it('puts numbers in the place of the names of constants', async () => {
    const files = await bundle(root, Object.keys(MODULES));
    expect(codeBelow(files, 'kernel/walk.js')).toMatch(/\(word & 16\) === 0 \? -1 : word/);
  });

  it('keeps what a browser lacks out of what can do without', async () => {
    const files = await bundle(root, Object.keys(MODULES));
    expect(codeBelow(files, 'kernel/walk.js')).not.toMatch(/node:|lineOf/);
    expect(codeBelow(files, 'trace/line.js')).toMatch(/lineOf/);
    expect(codeBelow(files, 'trace/line.js')).not.toMatch(/node:|walk/);
    expect(codeBelow(files, 'trace/read.js')).toMatch(/from ['"]node:fs['"]/);
  });

  it('leaves the exports of every module at its path', async () => {
    const files = await bundle(root, Object.keys(MODULES));
    for (const [path, text] of files) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
    const units = (await import(join(root, 'base/units.js'))) as Record<string, unknown>;
    expect({ ...units }).toEqual({ FLAG: 16, NIL: -1 });
    const { walk } = (await import(join(root, 'kernel/walk.js'))) as {
      walk: (word: number) => number;
    };
    expect([walk(3), walk(0x13)]).toEqual([-1, 0x13]);
  });
});

describe('isBundled', () => {
  it('takes the pure layers, and no tests', () => {
    expect(isBundled('kernel/rmap/walk.js')).toBe(true);
    expect(isBundled('query/explain/explain.js')).toBe(true);
    expect(isBundled('kernel/rmap/walk.test.js')).toBe(false);
    expect(isBundled('kernel/rmap/walk.d.ts')).toBe(false);
    expect(isBundled('query/who_page.js')).toBe(false);
    expect(isBundled('linux/who.js')).toBe(false);
    expect(isBundled('cli/main.js')).toBe(false);
  });
});
