import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable } from './sanitize.js';

describe('printable', () => {
  it.each([
    ['redis\u001b[31m-server\u001b[0m', 'redis-server'],
    ['\u001b]0;evil title\u0007name', 'name'],
    ['\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\', 'link'],
    ['\u009b2Jcleared', 'cleared'],
    ['\u001bcreset', 'reset'],
    ['a\tb\nc\rd', 'a b c d'],
    ['abc\u202egnp.exe', 'abcgnp.exe'],
    ['ünïcode 名前 😀', 'ünïcode 名前 😀'],
  ])('%j becomes %j', (text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  it('never leaves a control character, whatever the text', () => {
    const hostile = fc.string({
      unit: fc.constantFrom('\u001b', '[', ']', '0', 'm', '\u0007', '\\', '\u009b', 'a', '\n'),
    });
    fc.assert(
      fc.property(hostile, (text) => {
        // eslint-disable-next-line no-control-regex
        expect(printable(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      }),
      { seed: 1 },
    );
  });
});
