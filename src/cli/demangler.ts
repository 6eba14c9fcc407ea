import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

type Exports = Readonly<Record<string, () => void>>;

/** Part of the language, but not of its types without those of a browser. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Exports };
  readonly RuntimeError: new () => Error;
};

/** What of gecko-profiler-demangle is used; its own entry point needs a bundler. */
interface Glue {
  demangle_any(name: string): string;
  __wbg_set_wasm(exports: Exports): void;
}

/** Names of the C++ ABI that compilers of Linux use, and of Rust's old and new scheme. */
const MANGLED = /^_(?:Z|R)\w/;
/** Substitutions of a longer name can stand for more text than there is memory. */
const MOST_CHARACTERS = 4096;
/** Longest text that is shown; that of a name with many substitutions can be megabytes. */
const MOST_SHOWN = 16_384;

let glue: Glue | undefined;
let hasTrapped = false;

function load(): Glue {
  const require = createRequire(import.meta.url);
  const loaded = require('gecko-profiler-demangle/index_bg.js') as Glue;
  const module = new WebAssembly.Module(
    readFileSync(require.resolve('gecko-profiler-demangle/index_bg.wasm')),
  );
  const { exports } = new WebAssembly.Instance(module, { './index_bg.js': loaded });
  loaded.__wbg_set_wasm(exports);
  exports['__wbindgen_start']?.();
  return loaded;
}

/**
 * Name of a C++ or Rust function as its source has it, from the name that the linker knows; other
 * names, and those that cannot be read, stay. What demangles is loaded with the first such name.
 */
export function demangle(name: string): string {
  if (hasTrapped || name.length > MOST_CHARACTERS || !MANGLED.test(name)) return name;
  glue ??= load();
  try {
    const text = glue.demangle_any(name);
    // A name that it cannot read comes back without its first underscore.
    return text === name.slice(1) || text.length > MOST_SHOWN ? name : text;
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    hasTrapped = true;
    return name;
  }
}
