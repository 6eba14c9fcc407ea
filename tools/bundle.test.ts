import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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

describe('bundle', () => {
  it('puts numbers in the place of the names of constants', async () => {
    const files = await bundle(root, Object.keys(MODULES));
    const engine = files.get('bundle/engine.js') ?? '';
    expect(engine).toMatch(/\(word & 16\) === 0 \? -1 : word/);
  });

  it('keeps what a browser lacks out of what can do without', async () => {
    const files = await bundle(root, Object.keys(MODULES));
    expect(files.get('bundle/engine.js')).not.toMatch(/\bimport\b/);
    expect(files.get('bundle/analysis.js')).toMatch(/lineOf/);
    expect(files.get('bundle/analysis.js')).not.toMatch(/node:/);
    expect(files.get('trace/read.js')).toMatch(/from ['"]node:fs['"]/);
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
    expect(isBundled('query/index.js')).toBe(true);
    expect(isBundled('kernel/rmap/walk.test.js')).toBe(false);
    expect(isBundled('kernel/rmap/walk.d.ts')).toBe(false);
    expect(isBundled('linux/who.js')).toBe(false);
    expect(isBundled('cli/main.js')).toBe(false);
  });
});
