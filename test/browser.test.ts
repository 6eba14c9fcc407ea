import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface Exports {
  readonly exports: Readonly<Record<string, string | { readonly browser?: string }>>;
}

/** Every module that `entry` loads, and what it names that is no module of ours. */
function loaded(entry: string): { readonly modules: Set<string>; readonly foreign: string[] } {
  const modules = new Set([entry]);
  const foreign: string[] = [];
  for (const module of modules) {
    const code = readFileSync(module, 'utf8');
    for (const [, name = ''] of code.matchAll(
      /^(?:import|export)\b[^;]*?from ["']([^"']+)["']/gm,
    )) {
      if (name.startsWith('.')) modules.add(join(dirname(module), name));
      else foreign.push(name);
    }
  }
  return { modules, foreign };
}

describe('in a browser', () => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Exports;

  it.each(['.', './kernel', './replay'])('%s loads nothing that only Node has', (name) => {
    const target = exports[name];
    const path = typeof target === 'string' ? target : target?.browser;
    const { modules, foreign } = loaded(join(ROOT, path ?? ''));
    expect([...modules].some((module) => module.endsWith('bundle/kernel.js'))).toBe(true);
    expect(foreign).toEqual([]);
  });

  it('the check would notice a package of Node', () => {
    const target = exports['./replay'];
    const path =
      typeof target === 'string' ? target : join(dirname(target?.browser ?? ''), 'index.js');
    expect(loaded(join(ROOT, path)).foreign).toContain('node:fs');
  });
});
