import { expect, it } from 'vitest';
import { noFindings } from '../replay/findings.js';
import type { ReplayResult } from '../replay/replay.js';
import { disagrees, replayReport } from './replay_report.js';

function resultOf(...pages: ReadonlyArray<{ readonly agree: number; readonly extra: number }>) {
  const snapshots = pages.map((some) => ({ name: 's', anonymousPages: 7, ...some }));
  const info = { name: 'made', precision: 'exact' };
  const result = { recording: { info }, events: 1, elapsedMs: 1.4, lostEvents: 0, snapshots };
  return { ...result, findings: noFindings() } as unknown as ReplayResult;
}

it.each([
  ['all pages agree', [{ agree: 7, extra: 0 }], true, false],
  ['one is missing', [{ agree: 6, extra: 0 }], false, true],
  ['one is extra', [{ agree: 7, extra: 1 }], false, true],
  ['nothing was compared', [], false, false],
])('%s', (_what, pages, exact, isWrong) => {
  const report = replayReport(resultOf(...pages));
  expect([report.exact, disagrees(report)]).toEqual([exact, isWrong]);
});
