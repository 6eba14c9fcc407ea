import { expect, test } from 'vitest';
import { anon, testPicture, testProcess } from '../../test/support/page_map_picture.js';
import { printedCli } from '../../test/support/printed_cli.js';
import { computeWhoObject } from '../query/who_object.js';
import { computeWhoPage } from '../query/who_page.js';
import type { PageEvidence } from '../query/who_page.js';
import { computeWhoProcess } from '../query/who_process.js';
import { printWhoFooter, printWhoObject, printWhoPage, printWhoProcess } from './who_text.js';

const EVIDENCE: PageEvidence = {
  target: 'pfn:16',
  state: 'present',
  page: {
    pfn: 16,
    mapcount: 1,
    isMapcountExact: true,
    flags: ['lru', 'anonymous'],
    chargedTo: '/app',
  },
  mappings: [
    {
      pid: 7,
      comm: 'worker',
      address: '0x1000',
      vmaStart: '0x1000',
      vmaEnd: '0x3000',
      vmaPermissions: 'rw-p',
      vmaName: '',
      level: 'unknown',
      isWritable: true,
      isExclusive: true,
      pinnedBytes: 0,
    },
  ],
  deniedPids: [1],
  elapsedMs: 12,
};

test('a page: facts, holders, mappers', () => {
  const cli = printedCli();
  printWhoPage(cli, computeWhoPage(EVIDENCE));
  printWhoFooter(cli, 12, [1]);
  expect(cli.lines.join('\n')).toMatchInlineSnapshot(`
    "pfn 0x10: anonymous page, mapcount 1 (lru, anonymous)
    charged to cgroup /app
    alive because of: 1 mapping (1 process found)
    process 7 is the last one: 4.0 KiB are freed when it goes

    mapped by 1 (exact)
      PID  name    address  mapping        rights  level       exclusive  of
      7    worker  0x1000   0x1000-0x3000  rw-p    pmd or pte  yes        anonymous

    answered in 12 ms; no right to read 1"
  `);
});

test('no page: why', () => {
  const cli = printedCli();
  const { page: _, ...rest } = EVIDENCE;
  printWhoPage(cli, computeWhoPage({ ...rest, page: undefined, state: 'swapped out' }));
  expect(cli.lines).toEqual(['the page is swapped out']);
});

test('mappings that were not found are said', () => {
  const cli = printedCli();
  const { page, ...rest } = EVIDENCE;
  if (page === undefined) throw new Error('the evidence has a page');
  printWhoPage(cli, computeWhoPage({ ...rest, page: { ...page, mapcount: 3 } }));
  expect(cli.notes[0]).toContain('2 mappings more than were found');
});

test('an object: what one mapping keeps alive', () => {
  const cli = printedCli();
  const mapping = {
    pid: 4711,
    comm: 'sidecar',
    vmaStart: '0x1000',
    vmaEnd: '0x2000',
    vmaPermissions: 'r--s',
    offsetBytes: 0,
    lengthBytes: 4096,
    touchedBytes: 4096,
    copiedBytes: 0,
  };
  const object = {
    name: '/memfd:ca\u001b[1mche',
    device: '00:01',
    inode: 5,
    type: 'memory file' as const,
    isDeleted: true,
    sizeBytes: 2 ** 36,
    memoryBytes: 47 * 2 ** 30,
    mappings: [mapping],
    descriptors: [],
  };
  printWhoObject(cli, computeWhoObject('memfd:cache', [object], [], 1));
  expect(cli.lines.join('\n')).toMatchInlineSnapshot(`
    "memory file /memfd:cache (inode 5 on 00:01, deleted): 64.0 GiB, 47.0 GiB of it in memory or swap
    no name leads to it: it goes with the last holder
    releasing process 4711 (sidecar), which maps 4.0 KiB, frees 47.0 GiB

    held by 1 process (exact)
      PID   name     mappings   mapped  touched  open files  frees alone
      4711  sidecar         1  4.0 KiB  4.0 KiB           0     47.0 GiB"
  `);
});

test('a process: sums, regions, relatives', () => {
  const picture = testPicture([
    testProcess(1, anon(10, 11)),
    testProcess(2, [...anon(11), { pfn: 20, exclusive: true }]),
  ]);
  const report = computeWhoProcess('pid:2', 2, picture, 3, 1);
  if (report === undefined) throw new Error('the process is in the picture');
  const cli = printedCli();
  printWhoProcess(cli, report);
  expect(cli.lines.join('\n')).toMatchInlineSnapshot(`
    "2 (worker): RSS 8.0 KiB, PSS 6.0 KiB, USS 4.0 KiB, swap 0 B
    killing it frees 4.0 KiB

    where its own memory is (exact)
      region  mappings      RSS      USS
      [heap]         1  8.0 KiB  4.0 KiB

    parent, children and siblings that share with it (exact)
      PID  name     shared
      1    worker  4.0 KiB
      3 relatives more not read"
  `);
});
