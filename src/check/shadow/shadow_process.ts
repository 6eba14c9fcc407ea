import type { ShadowMm } from './shadow_mm.js';
import type { ShadowFile, ShadowPage, Watcher } from './shadow_page.js';

/** A page that a device reads: it must hold what the process that pinned it sees. */
export interface PinnedPage {
  readonly page: ShadowPage;
  readonly generation: number;
}

/** A process: descriptors are inherited by fork, memory is copied. */
export class ShadowProcess {
  mm: ShadowMm;
  readonly pipes: Map<number, Watcher[]>;
  readonly rings: Map<number, PinnedPage[]>;

  constructor(mm: ShadowMm, parent?: ShadowProcess) {
    this.mm = mm;
    this.pipes = new Map(parent?.pipes);
    this.rings = new Map(parent?.rings);
  }
}

/**
 * A hole [start, end) in a file of huge pages takes private copies along, where whole huge pages
 * lie in it; elsewhere private copies outlive a hole.
 */
export function dropCopiesInHole(
  processes: Iterable<ShadowProcess>,
  file: ShadowFile,
  start: number,
  end: number,
): void {
  const unit = file.unitPages;
  if (unit === 1) return;
  const first = Math.ceil(start / unit) * unit;
  const last = end - (end % unit);
  for (const { mm } of processes) {
    for (const [, page] of mm.knownPages()) {
      if (page.file !== file || page.isShared) continue;
      if (page.index >= first && page.index < last) page.drop();
    }
  }
}

/** What lies behind the new end is zeros if the file grows again; private copies go too. */
export function truncate(
  processes: Iterable<ShadowProcess>,
  file: ShadowFile,
  sizePages: number,
): void {
  for (const [index, page] of file.pages) if (index >= sizePages) page.set(0);
  for (const { mm } of processes) {
    for (const [, page] of mm.knownPages()) {
      if (page.file === file && !page.isShared && page.index >= sizePages) page.drop();
    }
  }
}
