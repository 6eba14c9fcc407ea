import { expect, test } from 'vitest';
import { anon, testPicture, testProcess } from '../../test/support/page_map_picture.js';
import { printedCli } from '../../test/support/printed_cli.js';
import type { AnonVmaReading } from '../query/anon_vma_view.js';
import { computeLive } from '../query/live.js';
import type { PictureMethod } from '../query/page_map.js';
import { liveHtml } from './live_html.js';
import { headline, methodLine, printLive } from './live_text.js';

const FAMILY = testPicture([
  testProcess(10, anon(1, 2, 3)),
  testProcess(11, anon(1, 2, 4), { comm: 'evil\u001b[31m\nname' }),
]);

test('prints the totals, the processes and the matrix', () => {
  const cli = printedCli();
  printLive(cli, computeLive(FAMILY));
  expect(cli.lines.map((line) => line.trimEnd())).toMatchInlineSnapshot(`
    [
      "2 processes use 16.0 KiB: adding up RSS (24.0 KiB) overstates 1.5 times",
      "shared inside 8.0 KiB, with others 0 B; killing all frees 16.0 KiB",
      "",
      "processes by PSS (exact)",
      "  PID  name            RSS      PSS      USS  shared inside  outside  freed if killed",
      "  10   worker     12.0 KiB  8.0 KiB  4.0 KiB        8.0 KiB      0 B          4.0 KiB",
      "  11   evil name  12.0 KiB  8.0 KiB  4.0 KiB        8.0 KiB      0 B          4.0 KiB",
      "",
      "shared by two; diagonal: by nobody (exact)",
      "  PID       10       11",
      "  10   4.0 KiB  8.0 KiB",
      "  11   8.0 KiB  4.0 KiB",
      "",
      "10 entries at 10.0 k/s of CPU; nothing moved meanwhile",
    ]
  `);
});

/** A parent and a child whose chain also leads to an ancestor that is gone. */
const CHAINS: AnonVmaReading = {
  anonVmaBytes: 96,
  chainBytes: 64,
  processes: [
    { pid: 10, mm: 0, vmas: 2, chains: [[1, 0, 0]] },
    { pid: 11, mm: 1, vmas: 2, chains: [[3, 1, 1, 2, 0]] },
  ],
  dead: [0, 0, 1],
};

test('shows the anon_vmas, on the terminal and on the page', () => {
  const report = computeLive(FAMILY, CHAINS);
  const cli = printedCli();
  printLive(cli, report);
  const start = cli.lines.findIndex((line) => line.startsWith('anon_vmas'));
  expect(cli.lines.slice(start, start + 6).map((line) => line.trimEnd())).toMatchInlineSnapshot(`
    [
      "anon_vmas by PSS (exact)",
      "  PID  name       VMAs  anon_vmas  links (AVCs)  longest chain  dead ancestors  widest walk",
      "  10   worker        2          1             1              1               0            2",
      "  11   evil name     2          3             3              3               1            2",
      "  3 anon_vmas and 4 links for 4 VMAs, 544 B of kernel memory",
      "  1 dead ancestor kept alive by descendants alone; the mappings of a page are found among up to 2 VMAs",
    ]
  `);
  const page = liveHtml(report, false);
  expect(page).toContain('1 dead ancestor kept alive by descendants alone');
  expect(page).toContain('<th>dead ancestors</th>');
  expect(page).not.toContain('\u001b');
});

test('a report without sharing says so', () => {
  const alone = testPicture([testProcess(10, anon(1)), testProcess(11, anon(2))]);
  expect(headline(computeLive(alone), false)).toBe(
    '2 processes map 8.0 KiB and share nothing among themselves',
  );
  const one = testPicture([testProcess(10, anon(1, 2))]);
  expect(headline(computeLive(one), false)).toBe('one process maps 8.0 KiB, 8.0 KiB of it alone');
});

test('says what moved, what ended and what was closed to it', () => {
  const line = (method: Partial<PictureMethod>): string => {
    const report = computeLive(FAMILY);
    return methodLine({ ...report, method: { ...report.method, ...method } });
  };
  expect(line({})).toContain('nothing moved meanwhile');
  expect(line({ consistency: 'frozen' })).toContain('all held meanwhile');
  expect(line({ movedPages: 1234, movedPids: [10] })).toContain('1,234 pages of 1 process moved');
  expect(line({ kernelMovedPages: 12 })).toContain('the kernel moved up to 12 pages meanwhile');
  expect(line({ vanishedPids: [5, 6] })).toContain('2 processes ended meanwhile');
  expect(line({ deniedPids: [1] })).toContain('no right to read 1');
  expect(line({ entriesRead: 5_000_000, cpuMs: 500 })).toContain('5,000,000 entries at 10.0 M/s');
});

test('without frames it prints no matrix and names what is missing', () => {
  const method = { ...FAMILY.method, hasFrames: false };
  const cli = printedCli();
  printLive(cli, computeLive({ ...FAMILY, method }));
  expect(cli.lines.join('\n')).not.toContain('shared by two');
  expect(cli.notes.join('\n')).toContain('CAP_SYS_ADMIN');
});
