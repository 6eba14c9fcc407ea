/** The rules of `tidy`. A rule looks at one file and returns what it found; it reads nothing. */
import { parseSync, Visitor } from 'oxc-parser';
import { lineOf } from './files.js';

/** One violation. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** A text file of the repository; `path` is relative to its root. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Who may import whom: a layer, and the layers that it may use beside itself. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  kernel: ['base'],
  trace: ['base', 'kernel'],
  replay: ['base', 'kernel', 'trace'],
  query: ['base', 'kernel', 'trace', 'replay'],
  check: ['base', 'kernel'],
  linux: ['base', 'kernel', 'trace', 'replay', 'query'],
  export: ['base', 'kernel', 'trace', 'replay', 'query'],
  cli: ['base', 'kernel', 'trace', 'replay', 'query', 'check', 'linux', 'export'],
  index: ['base', 'kernel', 'trace', 'replay', 'query'],
  web: ['base', 'kernel', 'trace', 'replay', 'query', 'check', 'export'],
};

/** Layers that stay free of I/O, clocks, randomness, promises and packages. */
const PURE_LAYERS = new Set(['base', 'kernel', 'check']);
/** Layers that never touch Node, so that they run in a browser. */
const BROWSER_LAYERS = new Set([...PURE_LAYERS, 'replay', 'query', 'web']);

const CODE = /\.(ts|tsx)$/;
const TEST = /\.test\.tsx?$|^test\//;
const LINE_LIMITED = /\.(ts|tsx|c|h|css)$/;
const FILE_LINES = 450;
const TEST_FILE_LINES = 700;
const FOLDER_DEPTH = 3;
const CODE_NAME =
  /^(?:[a-z0-9]+(?:_[a-z0-9]+)*(?:\.(?:test|bench|worker|d))?|vite\.config|vitest\.config)\.tsx?$/;

/** Written with `[O]` and the like, so that this file passes its own rule. */
const BANNED_TEXT: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  { pattern: /(?<![\w.-])\/(?:root|work)\/[\w.]/, why: 'a path of one machine' },
  { pattern: /\bregistry\.[a-z0-9-]+\.[a-z]{2,}\b/, why: 'a registry host' },
  { pattern: /\b(?:T[O]DO|FIX[M]E|X[X]X)\b/, why: 'unfinished work' },
];
const BANNED_IN_TESTS =
  /\b(?:it|test|describe|suite)(?:\.\w+)*\.(?:skip|only|todo|fails|skipIf|runIf)\b/;

/** The layer of a path, or undefined outside of `src` and `web`. */
export function layerOf(path: string): string | undefined {
  if (path.startsWith('web/')) return 'web';
  const match = /^src\/(?:(\w+)\/|index\.ts$)/.exec(path);
  return match === null ? undefined : (match[1] ?? 'index');
}

/** All rules on one file. */
export function checkFile(file: SourceFile): Finding[] {
  const findings = [...checkText(file), ...checkShape(file)];
  if (CODE.test(file.path)) findings.push(...checkCode(file));
  return findings;
}

function checkText({ path, text }: SourceFile): Finding[] {
  const findings: Finding[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    for (const { pattern, why } of BANNED_TEXT) {
      const found = pattern.exec(line);
      if (found !== null) findings.push({ path, line: index + 1, message: `${why}: ${found[0]}` });
    }
    if (TEST.test(path) && BANNED_IN_TESTS.test(line)) {
      findings.push({ path, line: index + 1, message: 'a test that does not always run' });
    }
  }
  return findings;
}

function checkShape({ path, text }: SourceFile): Finding[] {
  const findings: Finding[] = [];
  const report = (message: string): number => findings.push({ path, line: 1, message });
  const lines = text.split('\n').length - 1;
  const limit = TEST.test(path) ? TEST_FILE_LINES : FILE_LINES;
  if (LINE_LIMITED.test(path) && lines > limit) report(`${lines} lines; the limit is ${limit}`);
  const parts = path.split('/');
  const name = parts.at(-1) ?? '';
  if (CODE.test(path) && !CODE_NAME.test(name)) report('file names are snake_case');
  if (path.startsWith('src/') && parts.length - 1 > FOLDER_DEPTH) {
    report(`deeper than ${FOLDER_DEPTH} folders`);
  }
  return findings;
}

function checkCode({ path, text }: SourceFile): Finding[] {
  const layer = layerOf(path);
  if (layer === undefined || TEST.test(path)) return [];
  const findings: Finding[] = [];
  const report = (offset: number, message: string): void => {
    findings.push({ path, line: lineOf(text, offset), message });
  };
  const allowed = LAYERS[layer];
  if (allowed === undefined) {
    report(0, `src/${layer} is not in the table of layers`);
    return findings;
  }
  const checkImport = (offset: number, specifier: string): void => {
    const message = importProblem(path, layer, allowed, specifier);
    if (message !== undefined) report(offset, message);
  };
  const parsed = parseSync(path, text, { sourceType: 'module' });
  for (const entry of parsed.module.staticImports) {
    checkImport(entry.start, entry.moduleRequest.value);
  }
  for (const entry of parsed.module.staticExports.flatMap((statement) => statement.entries)) {
    if (entry.moduleRequest !== null) checkImport(entry.start, entry.moduleRequest.value);
  }
  const pure = PURE_LAYERS.has(layer);
  const impure = (offset: number, name: string): void => {
    if (pure) report(offset, `${name} in src/${layer}: no clock, randomness, promises or I/O here`);
  };
  const visitor = new Visitor({
    ImportExpression(node) {
      if (node.source.type === 'Literal' && typeof node.source.value === 'string') {
        checkImport(node.start, node.source.value);
      }
      impure(node.start, 'import()');
    },
    AwaitExpression(node) {
      impure(node.start, 'await');
    },
    FunctionDeclaration(node) {
      if (node.async) impure(node.start, 'async function');
    },
    FunctionExpression(node) {
      if (node.async) impure(node.start, 'async function');
    },
    ArrowFunctionExpression(node) {
      if (node.async) impure(node.start, 'async function');
    },
    MemberExpression(node) {
      if (text.slice(node.start, node.end) === 'Math.random') impure(node.start, 'Math.random');
    },
    NewExpression(node) {
      const name = text.slice(node.callee.start, node.callee.end);
      if (name === 'Date' || name === 'Promise') impure(node.start, name);
    },
    Program(node) {
      if (!pure) return;
      for (const statement of node.body) {
        const declaration =
          statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
        if (declaration?.type === 'VariableDeclaration' && declaration.kind !== 'const') {
          report(declaration.start, `module state: ${declaration.kind} at the top level`);
        }
      }
    },
  });
  visitor.visit(parsed.program);
  return findings;
}

function importProblem(
  path: string,
  layer: string,
  allowed: readonly string[],
  specifier: string,
): string | undefined {
  if (specifier.startsWith('.')) {
    const target = layerOf(resolve(path, specifier));
    if (target === undefined || target === layer || allowed.includes(target)) return undefined;
    return `src/${layer} must not import src/${target}`;
  }
  if (specifier.startsWith('node:')) {
    return BROWSER_LAYERS.has(layer) ? `${specifier} in src/${layer}: no Node here` : undefined;
  }
  const own = /^(?:rmap|#rmap)\/(\w+)/.exec(specifier)?.[1];
  if (own !== undefined && own !== 'package') {
    return allowed.includes(own) ? undefined : `src/${layer} must not import src/${own}`;
  }
  return PURE_LAYERS.has(layer) ? `package ${specifier} in src/${layer}: none here` : undefined;
}

/** Path of a relative import, relative to the root of the repository. */
function resolve(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of specifier.replace(/\.js$/, '.ts').split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}
