import { expect, it } from 'vitest';
import { parseSmapsFields } from './smaps_fields.js';

const TEXT = `00400000-00401000 r-xp 00000000 fe:00 12                 /bin/true
Size:                  4 kB
Rss:                   4 kB
VmFlags: rd ex mr mw me
1000000000-1000008000 rw-p 00000000 00:00 0
Size:                 32 kB
KernelPageSize:        4 kB
Rss:                  24 kB
Pss:                  12 kB
Pss_Dirty:            12 kB
Shared_Clean:          0 kB
Shared_Dirty:         24 kB
Locked:                0 kB
THPeligible:           0
VmFlags: rd wr mr mw me ac
1000010000-1000012000 rw-s 00000000 00:01 1037           /memfd:a Rss: 4 kB (deleted)
Size:                  8 kB
VmFlags: rd wr sh mr mw me ms
`;

it('keeps the non-zero sizes of a state for mappings of the range', () => {
  expect(parseSmapsFields(TEXT, 0x1000000, 0x1000010)).toEqual([
    {
      start: 0x1000000,
      file: '00:00 0',
      flags: 'rd wr mr mw me ac',
      kib: { Rss: 24, Pss: 12, Shared_Dirty: 24 },
    },
  ]);
});

it('identifies files by device and inode, whatever their name', () => {
  const vmas = parseSmapsFields(TEXT, 0x1000010, 0x2000000);
  expect(vmas).toEqual([
    { start: 0x1000010, file: '00:01 1037', flags: 'rd wr sh mr mw me ms', kib: {} },
  ]);
});
