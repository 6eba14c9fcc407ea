/**
 * The rule of the points: a function of type `Op<T>` does nothing until it is driven, so every
 * call of one stands behind `yield*`, is handed on by a plain function that itself returns an
 * `Op`, or is an argument of a driver (`run…`, `spawn…`). The fast build would hide the mistake.
 */
import { parseSync, Visitor } from 'oxc-parser';
import { lineOf } from './files.js';
import type { Finding, SourceFile } from './tidy_rules.js';

const RETURNS_OP = /^\s*:\s*Op</;
const DRIVER = /^(?:run|spawn|drive)/;

interface Span {
  readonly start: number;
  readonly end: number;
}

interface Scope {
  readonly generator: boolean;
  readonly returnsOp: boolean;
}

/** Names of the functions and methods of these files that return an `Op`. */
export function collectOpNames(files: readonly SourceFile[]): Set<string> {
  const names = new Set<string>();
  for (const { path, text } of files) {
    const add = (key: Span | null, head: { readonly returnType?: Span | null } | null): void => {
      const type = head?.returnType ?? undefined;
      if (key === null || type === undefined || !isOpType(text, type)) return;
      names.add(text.slice(key.start, key.end).replace(/^#/, ''));
    };
    const visitor = new Visitor({
      FunctionDeclaration: (node) => add(node.id, node),
      MethodDefinition: (node) => add(node.key, node.value),
      TSMethodSignature: (node) => add(node.key, node),
      Property(node) {
        if (node.value.type === 'FunctionExpression') add(node.key, node.value);
        if (node.value.type === 'ArrowFunctionExpression') add(node.key, node.value);
      },
      VariableDeclarator(node) {
        if (node.init?.type === 'ArrowFunctionExpression') add(node.id, node.init);
        if (node.init?.type === 'FunctionExpression') add(node.id, node.init);
      },
    });
    visitor.visit(parseSync(path, text, { sourceType: 'module' }).program);
  }
  return names;
}

/** Calls of an `Op` function that nobody drives. */
export function findUndrivenOps(file: SourceFile, opNames: ReadonlySet<string>): Finding[] {
  const { path, text } = file;
  const parsed = parseSync(path, text, { sourceType: 'module' });
  const driven = new Set<number>();
  const scopes: Scope[] = [];
  const findings: Finding[] = [];
  const enter = (node: {
    readonly generator?: boolean;
    readonly returnType?: Span | null;
  }): void => {
    const type = node.returnType ?? undefined;
    const returnsOp = type !== undefined && isOpType(text, type);
    scopes.push({ generator: node.generator === true, returnsOp });
  };
  const leave = (): void => void scopes.pop();
  const visitor = new Visitor({
    FunctionDeclaration: enter,
    'FunctionDeclaration:exit': leave,
    FunctionExpression: enter,
    'FunctionExpression:exit': leave,
    ArrowFunctionExpression(node) {
      enter(node);
      if (scopes.at(-1)?.returnsOp === true) driven.add(node.body.start);
    },
    'ArrowFunctionExpression:exit': leave,
    YieldExpression(node) {
      if (node.argument !== null) driven.add(node.argument.start);
    },
    ReturnStatement(node) {
      const scope = scopes.at(-1);
      if (scope?.returnsOp === true && !scope.generator && node.argument !== null) {
        driven.add(node.argument.start);
      }
    },
    CallExpression(node) {
      const name = calleeName(text.slice(node.callee.start, node.callee.end));
      if (DRIVER.test(name)) for (const argument of node.arguments) driven.add(argument.start);
      if (opNames.has(name) && !driven.has(node.start)) {
        findings.push({
          path,
          line: lineOf(text, node.start),
          message: `${name}() returns an Op that nobody drives: yield* is missing`,
        });
      }
    },
  });
  visitor.visit(parsed.program);
  return findings;
}

function isOpType(text: string, type: Span): boolean {
  return RETURNS_OP.test(text.slice(type.start, type.end));
}

function calleeName(callee: string): string {
  return /([A-Za-z_]\w*)$/.exec(callee)?.[1] ?? '';
}
