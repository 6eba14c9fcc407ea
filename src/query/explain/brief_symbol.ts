/** Names of this length need not be shortened. */
const SHORT_LENGTH = 32;
/** Brackets that open nothing: of operators, and of unnamed name spaces. */
const LITERAL = /(?:\boperator(?:<=>|<<=?|>>=?|<=?|>=?|->\*?|\(\))|->|\(anonymous namespace\))/y;
/** What follows the parameters of a function. */
const QUALIFIERS = /(?: const| volatile|&&?)*/y;

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

/** Where the bracket at `at` closes; `undefined` if it does not. */
function closing(text: string, at: number): number | undefined {
  const open: string[] = [];
  for (let i = at; i < text.length; i += 1) {
    const literal = matchAt(LITERAL, text, i);
    const char = text.charAt(i);
    if (literal !== '') i += literal.length - 1;
    else if (char === '<' || char === '(') open.push(char === '<' ? '>' : ')');
    else if (char === '>' || char === ')') {
      if (open.pop() !== char) return undefined;
      if (open.length === 0) return i;
    }
  }
  return undefined;
}

/**
 * A function of C++ or Rust without template arguments and parameters, which say less than they
 * take room: `std::vector<…>::_M_realloc_insert<…>`. Short names and other texts stay.
 */
export function briefSymbol(symbol: string): string {
  return symbol.length <= SHORT_LENGTH ? symbol : (shorten(symbol) ?? symbol);
}

function shorten(symbol: string): string | undefined {
  let brief = '';
  for (let at = 0; at < symbol.length;) {
    const literal = matchAt(LITERAL, symbol, at);
    const char = symbol.charAt(at);
    if (literal !== '' || (char !== '<' && char !== '(')) {
      brief += literal === '' ? char : literal;
      at += Math.max(1, literal.length);
      continue;
    }
    const end = closing(symbol, at);
    if (end === undefined) return undefined;
    const isFirst = /(?:^|[ &*]|::)$/.test(brief) && !/\boperator\S+ $/.test(brief);
    // Rust's `<T as Trait>::function`, and pointers to functions, which have no short form.
    const inner = isFirst ? shorten(symbol.slice(at + 1, end)) : '';
    if (inner === undefined || (isFirst && char === '(')) return undefined;
    at = end + 1;
    if (char === '<') brief += isFirst ? `<${inner}>` : '<…>';
    else {
      at += matchAt(QUALIFIERS, symbol, at).length;
      if (symbol.startsWith('::', at)) brief += '()';
    }
  }
  return brief;
}
