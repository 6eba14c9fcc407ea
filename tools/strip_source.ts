import { parseSync, Visitor } from 'oxc-parser';

/** What could not be stripped, with the place in the source. */
export class StripError extends Error {
  override readonly name = 'StripError';
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Turns the generator functions of one source file into plain functions.
 *
 * The `*` of every generator function or method and every `yield*` is overwritten with blanks of
 * the same length, so that lines, columns and source maps stay valid. Works on TypeScript and on
 * the JavaScript that the compiler emits.
 *
 * @param fileName Used for the choice of language (`.ts`, `.js`) and in messages.
 * @throws StripError on a bare `yield` (it has no meaning in a plain function) and on a `yield*`
 *   whose operand starts on another line (blanks after `return` would end the statement there).
 */
export function stripGenerators(fileName: string, source: string): string {
  const parsed = parseSync(fileName, source, { sourceType: 'module' });
  const [firstError] = parsed.errors;
  if (firstError !== undefined) throw new StripError(`${fileName}: ${firstError.message}`);

  const blanks: Span[] = [];
  const place = (offset: number): string => {
    const before = source.slice(0, offset);
    const line = before.split('\n').length;
    return `${fileName}:${line}:${offset - before.lastIndexOf('\n')}`;
  };
  const starIn = (start: number, end: number): void => {
    const star = findStar(source, start, end);
    if (star === -1) throw new StripError(`${place(start)}: no '*' found in a generator's head`);
    blanks.push({ start: star, end: star + 1 });
  };

  const visitor = new Visitor({
    FunctionDeclaration(node) {
      if (node.generator) starIn(node.start, headEnd(node));
    },
    FunctionExpression(node) {
      // The star of a method stands before its name, outside of the function node.
      if (node.generator && source.startsWith('function', node.start)) {
        starIn(node.start, headEnd(node));
      }
    },
    MethodDefinition(node) {
      if (node.value.generator) starIn(node.start, node.key.start);
    },
    Property(node) {
      if (node.method && node.value.type === 'FunctionExpression' && node.value.generator) {
        starIn(node.start, node.key.start);
      }
    },
    YieldExpression(node) {
      if (!node.delegate || node.argument === null) {
        throw new StripError(`${place(node.start)}: bare yield; only yield* can be stripped`);
      }
      const star = findStar(source, node.start + 'yield'.length, node.argument.start);
      if (star === -1) throw new StripError(`${place(node.start)}: no '*' found after yield`);
      if (source.slice(node.start, node.argument.start).includes('\n')) {
        throw new StripError(`${place(node.start)}: the operand of yield* must start on its line`);
      }
      blanks.push({ start: node.start, end: node.start + 'yield'.length });
      blanks.push({ start: star, end: star + 1 });
    },
  });
  visitor.visit(parsed.program);
  return overwrite(source, blanks);
}

function headEnd(node: { readonly end: number; readonly body: Span | null }): number {
  return node.body === null ? node.end : node.body.start;
}

/** Offset of the first `*` in [start, end) that does not belong to a comment, or -1. */
function findStar(source: string, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    if (source.startsWith('/*', at)) at = source.indexOf('*/', at) + 1;
    else if (source.startsWith('//', at)) at = source.indexOf('\n', at);
    else if (source[at] === '*') return at;
  }
  return -1;
}

function overwrite(source: string, blanks: readonly Span[]): string {
  const sorted = blanks.toSorted((a, b) => a.start - b.start);
  let result = '';
  let at = 0;
  for (const { start, end } of sorted) {
    result += source.slice(at, start) + ' '.repeat(end - start);
    at = end;
  }
  return result + source.slice(at);
}

/** Whether a file of `kernel/`, given by its path inside `kernel/`, is stripped in the fast build. */
export function isStripped(pathInKernel: string): boolean {
  return !pathInKernel.startsWith('op/') && !/\.test\.[jt]s$/.test(pathInKernel);
}
