import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { fileURLToPath } from 'node:url';
import { explain } from '../../query/explain/explain.js';
import type { ExplainReport } from '../../query/explain/report.js';
import { openRecording } from '../../trace/open.js';
import { htmlReport } from './page.js';
import { escapeHtml, ticks } from './svg.js';

const HOSTILE = `"><script>alert('x')</script><img src=x onerror=y>\u202e`;

describe('the HTML report', () => {
  let report: ExplainReport;
  let page: string;
  beforeAll(async () => {
    const path = fileURLToPath(new URL('../../../examples/redis', import.meta.url));
    report = await explain(await openRecording(path));
    page = htmlReport(report);
  }, 120_000);

  it('needs nothing from outside and allows nothing but its own script and style', () => {
    expect(page).not.toMatch(/(?:src|href)=/);
    expect(page).not.toMatch(/https?:/);
    expect(page).not.toMatch(/ style="/);
    expect(page).not.toMatch(/ on\w+="/);
    const [, policy = ''] = /Content-Security-Policy" content="([^"]*)"/.exec(page) ?? [];
    expect(policy).toContain("default-src 'none'");
    const hashOf = (text = ''): string => createHash('sha256').update(text).digest('base64');
    expect(policy).toContain(
      `script-src 'sha256-${hashOf(/<script>(.*?)<\/script>/s.exec(page)?.[1])}'`,
    );
    expect(policy).toContain(
      `style-src 'sha256-${hashOf(/<style>(.*?)<\/style>/s.exec(page)?.[1])}'`,
    );
  });

  it('says the sentence and the proof, and has every picture', () => {
    expect(page).toContain('202,788 of 202,788 pages agree');
    expect(page.replaceAll('\u00a0', ' ')).toContain('119.2 MiB (94 %) was unshared by writes');
    for (const id of ['tree', 'causes', 'kept', 'erosion', 'strips', 'forks', 'memory']) {
      expect(page).toContain(`aria-labelledby="${id}"`);
    }
    expect(page).toContain('<table class="sortable">');
    const shown = page.replaceAll(/<(script|style).*?<\/\1>/gs, '');
    expect(/NaN|undefined|Infinity/.exec(shown)).toBeNull();
  });

  it('carries the report as JSON', () => {
    const [, json = ''] = /id="report">(.*?)<\/script>/s.exec(page) ?? [];
    expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(report)));
  });

  it('shows hostile names as text', () => {
    const hostile = htmlReport({
      ...report,
      recording: HOSTILE,
      unknowns: [HOSTILE],
      precision: 'estimated',
      summary: { ...report.summary, sentence: HOSTILE },
      processes: report.processes.map((process) => ({ ...process, comm: HOSTILE })),
      regions: report.regions.map((region) => ({ ...region, label: HOSTILE })),
      causes: report.causes.map((cause) => ({
        ...cause,
        writer: {
          ...cause.writer,
          module: HOSTILE,
          modulePath: HOSTILE,
          symbol: HOSTILE,
          linkerSymbol: HOSTILE,
        },
      })),
      advice: report.advice.map((advice) => ({ ...advice, title: HOSTILE, detail: HOSTILE })),
      budgets: [{ expression: HOSTILE, value: 1, failed: true, note: HOSTILE }],
    });
    const markup = hostile.replace(/<script type="application\/json".*?<\/script>/s, '');
    expect(markup).not.toContain('<img');
    expect(markup.match(/<script/g)).toHaveLength(1);
    expect(markup).not.toContain('\u202e');
    const [, json = ''] = /id="report">(.*?)<\/script>/s.exec(hostile) ?? [];
    expect((JSON.parse(json) as ExplainReport).recording).toBe(HOSTILE);
  });

  it('works for a report without forks', () => {
    const empty = htmlReport({
      ...report,
      forks: [],
      causes: [],
      regions: [],
      fanOut: [],
      advice: [],
      timeline: { timesNs: [], processes: [], forks: [] },
      summary: { ...report.summary, forks: 0, sentence: 'Nothing forked.' },
    });
    expect(empty).toContain('Nothing forked.');
    expect(empty).not.toContain('aria-labelledby="tree"');
    expect(empty).not.toContain('NaN');
  });
});

describe('building blocks', () => {
  it('escapes markup and drops control characters', () => {
    expect(escapeHtml(`<a b="c" d='e'>&\u0000`)).toBe(
      '&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp; ',
    );
  });

  it('chooses round ticks', () => {
    expect(ticks(0, 6.7, 8)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(ticks(0, 130, 4)).toEqual([0, 50, 100]);
    expect(ticks(3, 3, 4)).toEqual([3]);
  });
});
