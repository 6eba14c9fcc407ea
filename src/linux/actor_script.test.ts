import { expect, it } from 'vitest';
import type { Operation } from '../kernel/operation.js';
import { actorScript } from './actor_script.js';

it('writes an operation as name and fields, and nothing for a dump', () => {
  const { lines } = actorScript([
    { op: 'mmap', p: 0, at: 16, n: 4, prot: 'rw', flags: 'private|anon' },
    { op: 'dump', label: 'a b' },
    { op: 'mremap', p: 1, at: 16, n: 4, new: 8, to: 64, flags: 'fixed|dontunmap' },
    { op: 'ksm_unmerge' },
  ]);
  expect(lines).toEqual([
    'mmap p=0 at=16 n=4 prot=rw flags=private|anon',
    '',
    'mremap p=1 at=16 n=4 new=8 to=64 flags=fixed|dontunmap',
    'ksm_unmerge',
  ]);
});

it('numbers files, so that no name of the scenario reaches the actor', () => {
  const { lines } = actorScript([
    { op: 'file', id: 'a name', n: 4, kind: 'memfd' },
    { op: 'file', id: 'b', n: 1, kind: 'tmp' },
    { op: 'filewrite', file: 'b', at: 0, n: 1, v: 7 },
    { op: 'mmap', p: 0, at: 0, n: 4, prot: 'r', flags: 'shared', file: 'a name', off: 0 },
    { op: 'fadvise', file: 'a name', advice: 'noreuse' },
    { op: 'pin', p: 0, at: 0, n: 1, id: 3 },
  ]);
  expect(lines).toEqual([
    'file file=0 n=4 kind=memfd',
    'file file=1 n=1 kind=tmp',
    'filewrite file=1 at=0 n=1 v=7',
    'mmap p=0 at=0 n=4 prot=r flags=shared file=0 off=0',
    'fadvise file=0 advice=noreuse',
    'pin p=0 at=0 n=1 id=3',
  ]);
});

it('turns config keys into paths, and says which it will change', () => {
  const { lines, settingPaths } = actorScript([
    { op: 'config', key: 'mthp.64kB', value: 'always' },
    { op: 'config', key: 'hugetlb', value: 4 },
  ]);
  const folioSize = '/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled';
  const pool = '/proc/sys/vm/nr_hugepages';
  expect(lines).toEqual([`set path=${folioSize} value=always`, `set path=${pool} value=4`]);
  expect([...settingPaths]).toEqual([folioSize, pool]);
});

it.each(['no_such_key', 'mthp.../../x', 'mthp.64kB/../..', 'toString'])(
  'refuses the config key %s',
  (key) => {
    expect(() => actorScript([{ op: 'config', key, value: '1' }])).toThrow(/config: unknown key/);
  },
);

it.each(['a b', 'x\nset path=/etc/passwd', ''])('refuses the config value %j', (value) => {
  expect(() => actorScript([{ op: 'config', key: 'thp', value }])).toThrow(/config thp: value/);
});

it.each<Operation>([
  { op: 'khugepaged', p: 0 },
  { op: 'fault', p: 0, at: 1, write: 1 },
])('says which operation cannot be performed live: $op', (operation) => {
  const operations: Operation[] = [{ op: 'drain' }, operation];
  expect(() => actorScript(operations)).toThrow(`operation 1: ${operation.op} cannot`);
});
