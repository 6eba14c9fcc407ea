import { describe, expect, it } from 'vitest';
import { isStripped, stripGenerators } from './strip_source.js';

function strip(source: string): string {
  return stripGenerators('file.ts', source);
}

describe('stripGenerators', () => {
  it('blanks the star of functions and each yield*, at the same length', () => {
    const source = 'export function* f(a: number): Op<void> { yield* g(a * 2); }\n';
    const stripped = strip(source);
    expect(stripped).toBe('export function  f(a: number): Op<void> {        g(a * 2); }\n');
    expect(stripped).toHaveLength(source.length);
  });

  it('blanks the star of methods, static ones and those of object literals', () => {
    const source = 'class A { *m() {} static *s() {} *[k]() {} }\nconst o = { *p() {}, q: 1 };';
    expect(strip(source)).toBe(
      'class A {  m() {} static  s() {}  [k]() {} }\nconst o = {  p() {}, q: 1 };',
    );
  });

  it('blanks function expressions and nested yields', () => {
    expect(strip('const f = function* () { return (yield* a()) + (yield* b(yield* c())); };')).toBe(
      'const f = function  () { return (       a()) + (       b(       c())); };',
    );
  });

  it('leaves comments, strings and products alone', () => {
    const source = '/* yield* */ function g() { return 2 * 3 + "yield* x".length; }';
    expect(strip(source)).toBe(source);
  });

  it('finds the star behind a comment', () => {
    expect(strip('function /* a * b */* f() {}')).toBe('function /* a * b */  f() {}');
  });

  it('refuses a bare yield and names the line', () => {
    expect(() => strip('function* f() {\n  yield 1;\n}')).toThrow(/^file\.ts:2:3: bare yield/);
  });

  it('refuses an operand on another line', () => {
    expect(() => strip('function* f() { return yield*\n g(); }')).toThrow(/must start on its line/);
  });

  it('refuses source that does not parse', () => {
    expect(() => strip('function* f( {')).toThrow(/^file\.ts/);
  });
});

describe('isStripped', () => {
  it('spares the points and the tests', () => {
    expect(isStripped('rmap/walk.ts')).toBe(true);
    expect(isStripped('op/prims.ts')).toBe(false);
    expect(isStripped('rmap/walk.test.ts')).toBe(false);
  });
});
