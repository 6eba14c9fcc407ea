import { expect, it } from 'vitest';
import { chosenValue, settingPath } from './live_settings.js';

it.each([
  ['thp', '/sys/kernel/mm/transparent_hugepage/enabled'],
  ['mthp.16kB', '/sys/kernel/mm/transparent_hugepage/hugepages-16kB/enabled'],
  ['shmem_mthp.64kB', '/sys/kernel/mm/transparent_hugepage/hugepages-64kB/shmem_enabled'],
  ['hugetlb', '/proc/sys/vm/nr_hugepages'],
  ['ksm_max_sharing', '/sys/kernel/mm/ksm/max_page_sharing'],
  ['mthp.16MB', undefined],
  ['constructor', undefined],
])('knows the file of the key %s', (key, path) => {
  expect(settingPath(key)).toBe(path);
});

it('reads the chosen one of a list, or a plain number', () => {
  expect(chosenValue('always defer [madvise] never\n')).toBe('madvise');
  expect(chosenValue('3\n')).toBe('3');
});
