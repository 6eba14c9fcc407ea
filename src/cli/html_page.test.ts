import { expect, test } from 'vitest';
import { testPicture, testProcess } from '../../test/support/page_map_picture.js';
import { computeLive } from '../query/live.js';
import { escapeHtml, htmlPage, htmlTable } from './html_page.js';
import { liveHtml } from './live_html.js';

const HOSTILE = `</title><script>alert("1")</script>&'`;

test('names are text, never markup', () => {
  expect(escapeHtml(HOSTILE)).not.toMatch(/[<>"']/);
  const table = htmlTable([HOSTILE], [{ header: HOSTILE, value: (row) => row }]);
  expect(table).not.toContain('<script');
  expect(htmlPage(HOSTILE, '')).not.toContain('<script');
});

test('a live page needs nothing from anywhere and runs nothing', () => {
  const picture = testPicture([testProcess(1, [{ pfn: 1 }], { comm: HOSTILE })]);
  const page = liveHtml(computeLive(picture), false);
  expect(page).toContain("default-src 'none'");
  expect(page).not.toContain('<script');
  expect(page).not.toMatch(/(src|href)=/);
  expect(page).toContain('&lt;script&gt;');
  expect(page).toContain('4.0 KiB');
});
