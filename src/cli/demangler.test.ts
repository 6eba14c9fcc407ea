import { expect, test } from 'vitest';
import { demangle } from './demangler.js';

test.each([
  ['_ZN3art10ArenaStack5allocEj', 'art::ArenaStack::alloc(unsigned int)'],
  ['_ZNK1AltERKS_', 'A::operator<(A const&) const'],
  ['_ZZN4main3fooEiENKUlvE_clEv', 'main::foo(int)::{lambda()#1}::operator()() const'],
  ['_ZN4Tree4makeEi.constprop.0', 'Tree::make(int) [clone .constprop.0]'],
  [
    '_ZNSt6vectorIiSaIiEE17_M_realloc_insertIJRKiEEEvN9__gnu_cxx17__normal_iteratorIPiS1_EEDpOT_',
    'std::vector<int, std::allocator<int> >::_M_realloc_insert<int const&>(' +
      '__gnu_cxx::__normal_iterator<int*, std::vector<int, std::allocator<int> > >, int const&)',
  ],
  // Rust's old scheme without its hash, and the new one.
  [
    '_ZN5alloc7raw_vec19RawVec$LT$T$C$A$GT$8grow_one17h05af221e174051e9E',
    'alloc::raw_vec::RawVec<T,A>::grow_one',
  ],
  ['_RNvCs5l0EXMQXRMU_4main4main', 'main::main'],
])('%s', (name, text) => {
  expect(demangle(name)).toBe(text);
});

test.each([
  'main',
  '__fork',
  '_start',
  'runtime.mallocgc',
  '_Z',
  '_ZZZZZZ',
  '_R',
  '',
  '_Zx\u001b[31m',
])('other names stay: %j', (name) => {
  expect(demangle(name)).toBe(name);
});

test('a name that is too long stays', () => {
  const name = `_ZN4000${'a'.repeat(4000)}3${'b'.repeat(3)}Ev`;
  expect(demangle(name)).toMatch(/^a{4000}::bbb\(\)$/);
  expect(demangle(`_ZN5000${'a'.repeat(5000)}1bEv`)).toMatch(/^_ZN5000/);
});

test('a name whose substitutions double its text stays', () => {
  // A<int, int>, then A of the last two times: each parameter is twice as long as the one before.
  const parameters = ['_', ...Array.from({ length: 14 }, (_, i) => `${i}_`)];
  const name = (count: number): string =>
    `_Z1f1AIiiE${Array.from({ length: count }, (_, i) => `S_IS${parameters[i + 1]}S${parameters[i + 1]}E`).join('')}`;
  expect(demangle(name(2))).toMatch(/^f\(A<int, int>, A<A<int, int>, A<int, int> >, /);
  expect(demangle(name(10))).toBe(name(10));
});
