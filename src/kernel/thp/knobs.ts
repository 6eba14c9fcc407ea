import type { Kernel } from '../kernel.js';
import type { OrderMode, ShmemMode, ThpMode } from '../profile.js';
import { updateAnonMasks } from './anon_order.js';

const THP_MODES: ReadonlySet<string> = new Set(['always', 'madvise', 'never']);
const SHMEM_MODES: ReadonlySet<string> = new Set(['always', 'advise', 'within_size', 'never']);
/** Orders by the size in their knob's name, in KiB. */
const MAX_ORDER = 9;

/**
 * Sets one of the knobs of transparent huge pages: `thp`, `mthp.SIZE`, `shmem_thp`,
 * `shmem_mthp.SIZE`, `zero_thp`, `shrink_underused`; SIZE like `64kB`. Returns false if the key
 * is none of these or the value is not one of its values.
 */
export function setThpKnob(kernel: Kernel, key: string, value: string | number): boolean {
  const { knobs } = kernel;
  const text = String(value);
  switch (key) {
    case 'thp':
      if (!isThpMode(text)) return false;
      knobs.thp = text;
      updateAnonMasks(knobs);
      return true;
    case 'shmem_thp':
      if (!isShmemMode(text)) return false;
      knobs.shmemThp = text;
      return true;
    case 'zero_thp':
      if (!isBit(text)) return false;
      knobs.hugeZeroPage = text === '1';
      return true;
    case 'shrink_underused':
      if (!isBit(text)) return false;
      knobs.shrinkUnderused = text === '1';
      return true;
    default:
      return setSizeKnob(kernel, key, text);
  }
}

function setSizeKnob(kernel: Kernel, key: string, text: string): boolean {
  const match = /^(mthp|shmem_mthp)\.(\d+)kB$/.exec(key);
  if (match === null) return false;
  const order = Math.log2(Number(match[2]) / 4);
  const isShmem = match[1] === 'shmem_mthp';
  if (!Number.isInteger(order) || order < (isShmem ? 1 : 2) || order > MAX_ORDER) return false;
  if (isShmem) {
    if (!isShmemMode(text) && text !== 'inherit') return false;
    kernel.knobs.shmemOrders[order] = text;
  } else {
    if (!isThpMode(text) && text !== 'inherit') return false;
    kernel.knobs.anonOrders[order] = text;
    updateAnonMasks(kernel.knobs);
  }
  return true;
}

function isThpMode(text: string): text is Extract<OrderMode, ThpMode> {
  return THP_MODES.has(text);
}

function isShmemMode(text: string): text is Exclude<ShmemMode, 'inherit'> {
  return SHMEM_MODES.has(text);
}

function isBit(text: string): boolean {
  return text === '0' || text === '1';
}
