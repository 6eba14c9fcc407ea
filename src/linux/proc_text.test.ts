import { expect, test } from 'vitest';
import {
  findMapping,
  lengthBytes,
  MapsLines,
  numberField,
  parseFields,
  parseMaps,
  parseSmaps,
  parseStat,
} from './proc_text.js';

const MAPS = `55d0c4a00000-55d0c4a02000 r--p 00000000 fe:00 260386                     /usr/bin/head
55d0c4a10000-55d0c4a31000 rw-p 00000000 00:00 0                          [heap]
7f1000000000-7f1000004000 rw-s 00001000 00:01 1027                       /memfd:a b (deleted)
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`;

test('parses a line that many processes have once', () => {
  const lines = new MapsLines();
  const [program, heap] = parseMaps(MAPS, 'maps', lines);
  const again = parseMaps(MAPS.replace('r--p', 'r-xp'), 'maps', lines);
  expect(again[0]).toEqual({ ...program, permissions: 'r-xp' });
  expect(again[1]).toBe(heap);
  expect(() => lines.parse('nonsense', 'maps')).toThrow('maps: expected a mapping');
});

const SMAPS = `55d0c4a00000-55d0c4a02000 r--p 00000000 fe:00 260386                     /usr/bin/head
Size:                  8 kB
Rss:                   8 kB
Pss:                   4 kB
Pss_Dirty:             0 kB
Shared_Clean:          8 kB
Referenced:            8 kB
Anonymous:             0 kB
KSM:                   0 kB
AnonHugePages:         0 kB
Swap:                  0 kB
SwapPss:               0 kB
THPeligible:           0
VmFlags: rd mr mw me 
7f1000000000-7f1000400000 rw-p 00000000 00:00 0 
Size:               4096 kB
Rss:                2056 kB
Pss:                2056 kB
Anonymous:          2056 kB
KSM:                   8 kB
AnonHugePages:      2048 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Swap:                 12 kB
SwapPss:              12 kB
VmFlags: rd wr mr mw me ac hg
`;

test('parses maps in pages and leaves out the vsyscall page', () => {
  const entries = parseMaps(MAPS, 'maps');
  expect(entries.map((entry) => entry.name)).toEqual([
    '/usr/bin/head',
    '[heap]',
    '/memfd:a b (deleted)',
  ]);
  expect(entries[2]).toMatchObject({
    startVpn: 0x7f1000000,
    endVpn: 0x7f1000004,
    permissions: 'rw-s',
    offsetBytes: 4096,
    device: '00:01',
    inode: 1027,
  });
  expect(lengthBytes(entries[0])).toBe(8192);
});

test('names the file and the line that is no mapping', () => {
  expect(() => parseMaps('what is this', '/proc/7/maps')).toThrow(
    '/proc/7/maps: expected a mapping, found "what is this"',
  );
});

test('parses the fields of smaps that are used, and no others', () => {
  const [head, plain] = parseSmaps(SMAPS, 'smaps');
  expect(head).toMatchObject({
    rssKib: 8,
    pssKib: 4,
    anonKib: 0,
    swapKib: 0,
    flags: 'rd mr mw me',
  });
  expect(plain).toMatchObject({
    rssKib: 2056,
    pssKib: 2056,
    anonKib: 2056,
    ksmKib: 8,
    anonHugeKib: 2048,
    shmemHugeKib: 0,
    swapKib: 12,
    flags: 'rd wr mr mw me ac hg',
    name: '',
  });
});

test('reads fields after one that this kernel does not print', () => {
  const [entry] = parseSmaps(SMAPS.replaceAll(/^KSM:.*\n/gm, ''), 'smaps');
  expect(entry).toMatchObject({ rssKib: 8, ksmKib: 0 });
  const [, plain] = parseSmaps(SMAPS.replaceAll(/^KSM:.*\n/gm, ''), 'smaps');
  expect(plain).toMatchObject({ anonHugeKib: 2048, swapKib: 12 });
});

test('finds the mapping of a page without parsing the others', () => {
  expect(findMapping(MAPS, 0x7f1000003, 'maps')?.inode).toBe(1027);
  expect(findMapping(MAPS, 0x55d0c4a30, 'maps')?.name).toBe('[heap]');
  expect(findMapping(MAPS, 0x55d0c4a02, 'maps')).toBeUndefined();
  expect(findMapping(MAPS, 0x7f1000004, 'maps')).toBeUndefined();
});

test('parses stat with a hostile name', () => {
  const fields = Array.from({ length: 49 }, (_, index) => String(index + 4));
  const stat = parseStat(`7 (a) S (b) R ${fields.join(' ')}`, 'stat');
  // Field n of proc(5) holds n here.
  expect(stat).toMatchObject({
    comm: 'a) S (b',
    state: 'R',
    ppid: 4,
    minorFaults: 10,
    cpuTicks: 29,
    startTicks: 22,
    stackStart: 28,
    envEnd: 51,
  });
  expect(() => parseStat('nonsense', '/proc/7/stat')).toThrow('expected "pid (comm) …"');
});

test('reads numbers of status files, 0 if there is no such line', () => {
  const fields = parseFields('Name:\ta:b\nRssAnon:\t    1234 kB\n');
  expect(fields.get('Name')).toBe('a:b');
  expect(numberField(fields, 'RssAnon')).toBe(1234);
  expect(numberField(fields, 'VmPin')).toBe(0);
});
