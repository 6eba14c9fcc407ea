import { RmapError } from '../base/errors.js';
import { computeWhoObject } from '../query/who_object.js';
import type { WhoObjectReport } from '../query/who_object.js';
import { computeWhoPage } from '../query/who_page.js';
import type { WhoPageReport } from '../query/who_page.js';
import { computeWhoProcess } from '../query/who_process.js';
import type { WhoProcessReport } from '../query/who_process.js';
import type { WhoTarget } from '../query/who_target.js';
import { findFile, findMemfds, findSegment } from './find_objects.js';
import type { FoundObjects } from './find_objects.js';
import { findFilePage, findPage } from './find_page.js';
import { takePicture } from './picture.js';
import { listChildren, processId, readStat, readStatus } from './processes.js';

export type WhoReport = WhoPageReport | WhoObjectReport | WhoProcessReport;

/** Relatives are read up to this much memory together: 20 ms. */
const RELATIVES_KIB = 1 << 20;
const RELATIVES_COUNT = 32;

interface Relatives {
  readonly pids: readonly number[];
  readonly unreadCount: number;
}

/** Parent, children and siblings of a process, as many as can be read quickly. */
function findRelatives(pid: number): Relatives {
  const parent = readStat(pid)?.ppid ?? 0;
  // Process 1 is everybody's last parent: its children are no family.
  const siblings = parent > 1 ? listChildren(parent) : [];
  const family = new Set([...(parent > 0 ? [parent] : []), ...listChildren(pid), ...siblings]);
  family.delete(pid);
  const relatives = [...family].toSorted((left, right) => left - right);
  const chosen: number[] = [];
  let totalKib = 0;
  for (const candidate of relatives) {
    const status = readStatus(candidate);
    if (status === undefined) continue;
    totalKib += status.rssAnonKib + status.rssFileKib + status.rssShmemKib;
    if (totalKib > RELATIVES_KIB || chosen.length === RELATIVES_COUNT) break;
    chosen.push(candidate);
  }
  return { pids: chosen, unreadCount: relatives.length - chosen.length };
}

function aboutProcess(target: string, pid: number): WhoProcessReport {
  const startMs = performance.now();
  if (processId(pid) === undefined) throw new RmapError('usage', `there is no process ${pid}`);
  const relatives = findRelatives(pid);
  const pids = [pid, ...relatives.pids].toSorted((left, right) => left - right);
  const picture = takePicture({ pids, wantsKernelSums: false });
  if (picture.method.deniedPids.includes(pid)) {
    throw new RmapError('environment', `no right to read process ${pid}: needs CAP_SYS_PTRACE`);
  }
  const report = computeWhoProcess(target, pid, picture, relatives.unreadCount, 0);
  if (report !== undefined) return { ...report, elapsedMs: performance.now() - startMs };
  throw new RmapError(
    'usage',
    `process ${pid} has no memory of its own: a kernel thread or zombie`,
  );
}

function aboutObjects(target: string, find: () => FoundObjects): WhoObjectReport {
  const startMs = performance.now();
  const { objects, deniedPids } = find();
  const report = computeWhoObject(target, objects, deniedPids, 0);
  return { ...report, elapsedMs: performance.now() - startMs };
}

/** Answers a question about the memory of this machine, from /proc alone. */
export function answerWho(text: string, target: WhoTarget): WhoReport {
  switch (target.kind) {
    case 'address':
    case 'pfn':
      return computeWhoPage(findPage(text, target));
    case 'file': {
      if (target.pageIndex === undefined) return aboutObjects(text, () => findFile(target.path));
      return computeWhoPage(findFilePage(text, target.path, target.pageIndex));
    }
    case 'memfd':
      return aboutObjects(text, () => {
        const found = findMemfds(target.name);
        if (found.objects.length > 0) return found;
        throw new RmapError('usage', `no memory file with the name ${JSON.stringify(target.name)}`);
      });
    case 'shm':
      return aboutObjects(text, () => findSegment(target.id));
    case 'process':
      return aboutProcess(text, target.pid);
  }
}
