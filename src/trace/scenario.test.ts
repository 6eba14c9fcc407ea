import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../test/support/trace_events.js';
import { formatScenario, parseOperation, parseScenario } from './scenario.js';
import { readScenario } from './scenario_file.js';

const CASES = fileURLToPath(new URL('../../test/cases', import.meta.url));

describe('scenarios', () => {
  it('of all cases are read, and nothing but tolerated fields is left out', async () => {
    const files = readdirSync(CASES).filter((file) => file.endsWith('.ops.jsonl'));
    expect(files.length).toBeGreaterThan(600);
    for (const file of files) {
      const path = join(CASES, file);
      const operations = await readScenario(path);
      const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
      expect(operations.length).toBe(lines.length);
      for (const [i, operation] of operations.entries()) {
        const expected = JSON.parse(lines[i] ?? '') as Record<string, unknown>;
        if (operation.op === 'munlock') delete expected['onfault'];
        if (operation.op === 'read') delete expected['v'];
        if (operation.op === 'unpin') for (const field of ['at', 'n']) delete expected[field];
        if (typeof expected['value'] === 'string' && /^\d+$/.test(expected['value'])) {
          expected['value'] = Number(expected['value']);
        }
        expect(operation).toEqual(expected);
      }
    }
  });

  it('survive being written and read again', () => {
    const text = '{"op":"fork","p":0,"c":1}\n{"op":"dump","label":"a b"}\n';
    expect(formatScenario(parseScenario(text, 'x'))).toBe(text);
  });

  it('take numbers that are written as texts', () => {
    expect(parseOperation('{"op":"config","key":"hugetlb","value":"4"}')).toEqual({
      op: 'config',
      key: 'hugetlb',
      value: 4,
    });
    expect(parseOperation('{"op":"fork","p":"0","c":"12"}')).toEqual({ op: 'fork', p: 0, c: 12 });
    expect(parseOperation('{"op":"config","key":"thp","value":"always"}')).toMatchObject({
      value: 'always',
    });
  });

  it('skip empty lines and count all of them', () => {
    const text = '{"op":"drain"}\r\n\n  \n{"op":"nothing"}';
    expect(() => parseScenario(text, 'a.ops.jsonl')).toThrow(/^a\.ops\.jsonl:4: unknown operation/);
    expect(parseScenario('\n{"op":"drain"}\n\n', 'x')).toEqual([{ op: 'drain' }]);
  });

  it.each([
    ['{', /malformed JSON: "\{"/],
    ['[]', /expected an object like/],
    ['{"op":"constructor"}', /unknown operation "constructor", expected one of mmap /],
    ['{"p":0}', /unknown operation undefined/],
    ['{"op":"fork","p":0}', /fork: field c is missing/],
    ['{"op":"fork","p":0,"c":1,"q":2}', /fork: unknown field q, it has p c/],
    ['{"op":"fork","p":0,"c":1,"constructor":2}', /fork: unknown field constructor/],
    ['{"op":"fork","p":-1,"c":1}', /fork: p is -1, expected a process number/],
    ['{"op":"fork","p":0.5,"c":1}', /fork: p is 0\.5/],
    ['{"op":"fork","p":null,"c":1}', /fork: p is null/],
    ['{"op":"munmap","p":0,"at":-4,"n":1}', /munmap: at is -4, expected a page number/],
    ['{"op":"munmap","p":0,"at":0,"n":-1}', /munmap: n is -1, expected a number of pages/],
    ['{"op":"munmap","p":0,"at":34359738368,"n":0}', /end behind the address space/],
    ['{"op":"munmap","p":0,"at":34342961152,"n":1}', /pages 34342961152 to 34342961153 end behind/],
    [
      '{"op":"mremap","p":0,"at":0,"n":1,"new":34342961153,"flags":"none"}',
      /mremap: pages 0 to 34342961153 end behind/,
    ],
    [
      '{"op":"mremap","p":0,"at":0,"n":1,"new":2,"to":34342961151,"flags":"fixed"}',
      /mremap: pages 34342961151 to 34342961153 end behind/,
    ],
    ['{"op":"mprotect","p":0,"at":0,"n":1,"prot":"wr"}', /prot is "wr", expected one of n r w x/],
    [
      '{"op":"mmap","p":0,"at":0,"n":1,"prot":"r","flags":"private|private"}',
      /flags is .*, expected words joined by \|/,
    ],
    ['{"op":"madvise","p":0,"at":0,"n":1,"advice":"nicely"}', /advice is "nicely"/],
    ['{"op":"config","key":"mthp","value":1}', /key is "mthp"/],
    ['{"op":"dump","label":""}', /label is ""/],
    ['{"op":"swapon","kind":"tape"}', /kind is "tape", expected one of zram file/],
  ])('refuse %s', (line, message) => {
    expect(() => parseOperation(line)).toThrow(message);
  });

  it('of a process that was never created are refused, of one that has ended not', () => {
    const text = '{"op":"fork","p":0,"c":1}\n{"op":"exit","p":1}\n{"op":"exit","p":1}\n';
    expect(parseScenario(text, 'a')).toHaveLength(3);
    expect(() => parseScenario(`${text}{"op":"exit","p":2}`, 'a')).toThrow(
      'a:4: exit: process 2 was never created',
    );
  });

  it('are refused with file and line, also from a file', async () => {
    const path = join(temporaryDirectory(), 'a.ops.jsonl');
    writeFileSync(path, '{"op":"drain"}\n{"op":"fork"}\n');
    await expect(readScenario(path)).rejects.toThrow(`${path}:2: fork: field p is missing`);
    writeFileSync(path, `{"op":"drain"}\n${'x'.repeat(2_000_000)}`);
    await expect(readScenario(path)).rejects.toThrow(/line is longer than 1048576 bytes/);
  });
});
