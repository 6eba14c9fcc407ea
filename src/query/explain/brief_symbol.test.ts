import { expect, test } from 'vitest';
import { briefSymbol } from './brief_symbol.js';

test.each([
  [
    'std::vector<int, std::allocator<int> >::_M_realloc_insert<int const&>(std::pair<int*, A>, B)',
    'std::vector<…>::_M_realloc_insert<…>',
  ],
  [
    '(anonymous namespace)::Stuff::walk(std::ostream&, Tree const*) const',
    '(anonymous namespace)::Stuff::walk',
  ],
  [
    'main::foo(int, unsigned long)::{lambda(int)#1}::operator()(int) const',
    'main::foo()::{lambda#1}::operator()',
  ],
  ['std::operator<< <std::char_traits<char> >(std::ostream&, char const*)', 'std::operator<< <…>'],
  ['Holder<&(A::operator->), &(B::operator<)>::get(unsigned long)', 'Holder<…>::get'],
  ['Tree::make(int, std::map<int, int>) [clone .constprop.0]', 'Tree::make [clone .constprop.0]'],
  [
    '<alloc::vec::Vec<T, A> as core::clone::Clone>::clone',
    '<alloc::vec::Vec<…> as core::clone::Clone>::clone',
  ],
])('%s', (symbol, brief) => {
  expect(briefSymbol(symbol)).toBe(brief);
});

test.each([
  'short<int>(long)',
  'void (*choose_a_function_by_its_name(char const*))(int)',
  'unbalanced_brackets_of_a_hostile_name<<<<(((',
  'closing_before_opening_of_a_hostile_name>)',
  'a_function_of_c_with_a_name_that_is_quite_long',
  'copy to user memory, or another text that is no symbol',
])('stays: %s', (symbol) => {
  expect(briefSymbol(symbol)).toBe(symbol);
});
