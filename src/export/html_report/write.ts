import { closeSync, openSync, writeSync } from 'node:fs';
import { RmapError } from '../../base/errors.js';
import type { ExplainReport } from '../../query/explain/report.js';
import { htmlReport } from './page.js';

/** Writes the report as one file, readable by its owner only. Refuses to overwrite unless forced. */
export function writeHtmlReport(path: string, report: ExplainReport, force: boolean): void {
  let file: number;
  try {
    file = openSync(path, force ? 'w' : 'wx', 0o600);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'EEXIST') {
      throw new RmapError('usage', `${path} exists; overwrite it with -f`, { cause: error });
    }
    throw error;
  }
  try {
    writeSync(file, htmlReport(report));
  } finally {
    closeSync(file);
  }
}
