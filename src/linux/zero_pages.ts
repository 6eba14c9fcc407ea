import { FRAME_FLAG } from './page_frames.js';
import type { FrameFile } from './page_frames.js';
import { readSetting } from './host.js';

const HUGE_FRAMES = 512;

/**
 * The frames of the shared zero page, small and huge. Nothing in /proc names them, so they are
 * found by what they do: the small one appears at two neighbouring addresses.
 */
export class ZeroPages {
  readonly pfns = new Set<number>();
  readonly #flags: FrameFile;
  readonly #checked = new Set<number>();
  /** Whether the kernel has ever made a huge zero page. */
  readonly mayBeHuge: boolean;

  constructor(flags: FrameFile) {
    this.#flags = flags;
    const made = /^thp_zero_page_alloc (\d+)$/m.exec(readSetting('/proc/vmstat'))?.[1];
    this.mayBeHuge = Number(made ?? 0) > 0;
  }

  /** Looks at frames that may be zero pages; each frame is looked at once. */
  learn(candidates: Iterable<number>): void {
    for (const pfn of candidates) {
      if (this.#checked.has(pfn)) continue;
      this.#checked.add(pfn);
      const flags = this.#flags.readOne(pfn);
      if ((flags & FRAME_FLAG.zeroPage) === 0) continue;
      const isHuge = (flags & (FRAME_FLAG.compoundHead | FRAME_FLAG.compoundTail)) !== 0;
      const first = isHuge ? pfn - (pfn % HUGE_FRAMES) : pfn;
      for (let index = 0; index < (isHuge ? HUGE_FRAMES : 1); index++) this.pfns.add(first + index);
    }
  }
}
