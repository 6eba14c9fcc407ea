/**
 * The example of the README runs as printed: its code is executed against the built package, and
 * each `// …` behind a console.log is what it prints.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const examples = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');

describe('README', () => {
  it('has an example', () => {
    expect(examples).not.toHaveLength(0);
  });

  it.each(examples)('example %# prints what it says', (code) => {
    const promised = [...code.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map((match) => match[1]);
    const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', code], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(printed.trimEnd().split('\n')).toEqual(promised);
  });
});
