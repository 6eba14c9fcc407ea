import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FATE, ForkLedger } from './fork_ledger.js';
import { evaluate, parseFailIf, sharedAfterPercent } from './fail_if.js';
import { PageSet } from './page_set.js';
import type { Summary } from './report.js';
import { SharerSets } from './sharer_sets.js';
import { countWords, percentWords, sizeWords, timeWords } from './words.js';

describe('SharerSets', () => {
  it('counts the pages of every set as a plain model does', () => {
    const step = fc.tuple(fc.nat(19), fc.nat(4), fc.boolean());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const sets = new SharerSets(20);
        const before: Array<readonly [number, number]> = [];
        const model = Array.from({ length: 20 }, () => new Set<number>());
        for (const [pfn, member, joins] of steps) {
          const own = model[pfn];
          if (own === undefined) continue;
          const first = own.values().next().value ?? (member + 1) % 5;
          if (joins && first !== member) {
            sets.share(pfn, first, member);
            own.add(first).add(member);
          } else if (own.has(member)) {
            before.push([sets.leave(pfn, member), own.size]);
            own.delete(member);
          }
        }
        expect(before.filter(([found, real]) => found !== real)).toEqual([]);
        const expected = new Map<string, number>();
        for (const own of model) {
          const key = [...own].sort((a, b) => a - b).join(' ');
          if (own.size > 1) expected.set(key, (expected.get(key) ?? 0) + 1);
        }
        const found = new Map<string, number>();
        sets.visitSets((members, pages) => found.set(members.join(' '), pages));
        expect(found).toEqual(expected);
      }),
      { seed: 7 },
    );
  });
});

describe('ForkLedger', () => {
  it('ends every page once', () => {
    const fork = new ForkLedger(0, 1, 1000, 3);
    for (const vpn of [5, 511, 512]) fork.begin(vpn);
    expect(fork.end(5, FATE.childWrote, 1500)).toBe(true);
    expect(fork.end(5, FATE.parentWrote, 1600)).toBe(false);
    expect(fork.end(6, FATE.parentWrote, 1600)).toBe(false);
    expect(fork.end(512, FATE.childExit, 2000)).toBe(true);
    expect([fork.born, fork.written]).toEqual([3, 1]);
    expect(fork.ends).toMatchObject({ childWrote: 4096, parentWrote: 0, childExit: 4096 });
    const seen: number[][] = [];
    fork.forEachPage((...page) => seen.push(page));
    expect(seen).toEqual([
      [5, FATE.childWrote, 1500],
      [511, FATE.shared, 0],
      [512, FATE.childExit, 2000],
    ]);
  });

  it('keeps what it knows when it is sealed', () => {
    const fork = new ForkLedger(0, 1, 1000, 3);
    for (const vpn of [5, 6, 511, 512, 513]) fork.begin(vpn);
    fork.end(6, FATE.childWrote, 1500);
    fork.end(512, FATE.parentWrote, 1700);
    for (const vpn of [5, 511, 513]) fork.end(vpn, FATE.childExit, 2000);
    const pages = (): number[][] => {
      const seen: number[][] = [];
      fork.forEachPage((...page) => seen.push(page));
      return seen;
    };
    const before = pages();
    fork.seal();
    fork.seal();
    expect(pages()).toEqual(before);
    expect(before.map(([, , endNs]) => endNs)).toEqual([2000, 1500, 2000, 1700, 2000]);
    expect([fork.born, fork.written]).toEqual([5, 2]);
  });

  it('begins anew with what is still shared', () => {
    const fork = new ForkLedger(0, 1, 0, 2);
    fork.begin(1);
    fork.begin(2);
    fork.end(1, FATE.parentWrote, 5);
    fork.rebase();
    expect([fork.born, fork.written, fork.bornInWindow]).toEqual([1, 0, false]);
  });
});

describe('PageSet', () => {
  it('ranks its pages by address', () => {
    const pages = fc.uniqueArray(fc.nat(5000), { minLength: 1 });
    fc.assert(
      fc.property(pages, (list) => {
        const set = new PageSet();
        for (const vpn of [...list, ...list]) set.add(vpn);
        set.seal();
        const sorted = list.toSorted((a, b) => a - b);
        expect(set.size).toBe(list.length);
        expect(sorted.map((vpn) => set.rank(vpn))).toEqual(sorted.map((_, rank) => rank));
        expect(set.rank(5001)).toBe(-1);
      }),
      { seed: 3 },
    );
  });
});

describe('--fail-if', () => {
  it.each([
    ['shared_after(60s) < 70%', { metric: 'shared_after', afterNs: 60e9, limit: 70 }],
    ['shared_after( 500ms )>=99.5 %', { metric: 'shared_after', afterNs: 5e8, comparison: '>=' }],
    ['unshared_bytes > 64MiB', { metric: 'unshared_bytes', comparison: '>', limit: 2 ** 26 }],
    ['unshared_bytes<=4096', { comparison: '<=', limit: 4096 }],
  ])('parses %s', (text, expected) => {
    expect(parseFailIf(text)).toMatchObject(expected);
  });

  it.each([
    '',
    'shared_after < 70%',
    'shared_after(60) < 70%',
    'shared_after(60s) < 70',
    'shared_after(60s) == 70%',
    'unshared_bytes > 10%',
    'rss > 1',
    'shared_after(60s) < 70% or more',
  ])('refuses %j', (text) => {
    expect(() => parseFailIf(text)).toThrow(/--fail-if/);
  });

  it('counts writes within the time, and nothing else, as lost', () => {
    const fork = new ForkLedger(0, 1, 1e9, 10);
    for (let vpn = 0; vpn < 10; vpn += 1) fork.begin(vpn);
    fork.end(0, FATE.childWrote, 1.5e9);
    fork.end(1, FATE.parentWrote, 2e9);
    fork.end(2, FATE.childWrote, 9e9);
    fork.end(3, FATE.childExit, 1.1e9);
    expect(sharedAfterPercent([fork], 1e9)).toBe(80);
    expect(sharedAfterPercent([fork], 100e9)).toBe(70);
    expect(sharedAfterPercent([], 1e9)).toBe(100);
    const summary = { unsharedBytes: 3 * 4096 } as Summary;
    const check = (text: string): boolean =>
      evaluate(parseFailIf(text), [fork], summary, 20e9).failed;
    expect(check('shared_after(1s) < 80%')).toBe(false);
    expect(check('shared_after(1s) <= 80%')).toBe(true);
    expect(check('unshared_bytes > 12KiB')).toBe(false);
    expect(check('unshared_bytes >= 12KiB')).toBe(true);
    const short = evaluate(parseFailIf('shared_after(60s) < 1%'), [fork], summary, 20e9);
    expect(short.note).toMatch(/ends earlier/);
  });
});

describe('words', () => {
  it('rounds without claiming all or nothing', () => {
    expect(percentWords(9999, 10_000)).toBe('> 99.9 %');
    expect(percentWords(998, 1000)).toBe('99.8 %');
    expect(percentWords(1, 10_000)).toBe('< 0.1 %');
    expect(percentWords(0, 0)).toBe('0 %');
    expect(percentWords(5, 5)).toBe('100 %');
    expect(sizeWords(4096)).toBe('4.0 KiB');
    expect(sizeWords(100)).toBe('100 B');
    expect([timeWords(0), timeWords(2e6), timeWords(2.5e9)]).toEqual(['0 s', '2 ms', '2.50 s']);
    expect(countWords(1, 'child', 'children')).toBe('1 child');
    expect(countWords(1200, 'page')).toBe('1,200 pages');
  });
});
