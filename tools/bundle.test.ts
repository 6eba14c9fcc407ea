import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundle, bundleAlone, joinedModules } from './bundle.js';

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

describe('bundleAlone', () => {
  it('needs Node only, and holds what is used only', async () => {
    const code = await bundleAlone(root, 'trace/read.js');
    expect(code).toMatch(/from ['"]node:fs['"]/);
    expect(code.match(/from ['"]/g)).toHaveLength(1);
    expect(code).toContain('.jsonl');
    expect(code).not.toContain('FLAG');
  });
});

/** A command line with two commands, of which one must answer at once. */
const COMMANDS: Readonly<Record<string, string>> = {
  'cli/run_cli.js':
    "export { NIL } from '../base/units.js';\nexport const shared = 'shared words';\n",
  'cli/command_table.js': `export const table = [
  () => import('./commands/who.js'),
  () => import('./commands/other.js'),
];\n`,
  'cli/commands/who.js': `import {
  look,
} from '../../linux/look.js';
import { shared } from '../run_cli.js';
import { page } from '../../query/who_page.js';
export const command = () => look() + shared + page();\n`,
  'cli/commands/other.js': "export const command = () => 'another command';\n",
  'linux/look.js':
    "import { readFileSync } from 'node:fs';\nexport const look = () => readFileSync;\n",
  'linux/look.test.js': '',
  'query/who_page.js': "export const page = () => 'page report';\n",
};

describe('joinedModules', () => {
  beforeEach(() => {
    for (const [path, text] of Object.entries(COMMANDS)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
  });

  const paths = [...Object.keys(MODULES), ...Object.keys(COMMANDS), 'kernel/walk.test.js'];

  it('takes the engine and what must answer at once, and nothing that is loaded later', () => {
    const rest = new Set(paths);
    for (const path of joinedModules(root, [...paths, 'kernel/walk.d.ts'])) rest.delete(path);
    expect([...rest]).toEqual([
      'cli/commands/other.js',
      'linux/look.test.js',
      'kernel/walk.test.js',
    ]);
  });

  it('makes one file of each command, and one of what all need', async () => {
    const files = await bundle(root, joinedModules(root, paths));
    const line = files.get('bundle/command_line.js') ?? '';
    const who = files.get('bundle/who.js') ?? '';
    expect(line).toContain('shared words');
    expect(line).not.toContain('readFileSync');
    expect(line).toMatch(/import\(["']\.\.\/cli\/commands\/who\.js["']\)/);
    expect(line).toMatch(/import\(["']\.\.\/cli\/commands\/other\.js["']\)/);
    expect(who).toContain('readFileSync');
    expect(who).toMatch(/import ["']\.\/command_line\.js["']/);
    expect(codeBelow(files, 'query/who_page.js')).toContain('page report');
    expect(codeBelow(files, 'query/who_page.js')).not.toMatch(/node:|shared words/);
    expect([...files.values()].join('')).not.toContain('another command');
  });
});
