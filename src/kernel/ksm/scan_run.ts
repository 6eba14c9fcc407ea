import type { Kernel } from '../kernel.js';
import { MAPPING_ANON } from '../phys/memory.js';
import { PG_TAIL } from '../phys/page_flags.js';
import type { ItemCursor } from './item_cursor.js';
import type { KsmRmapItem } from './ksm_types.js';
import { isOnlyNoted } from './merge.js';
import { isNormal, type ScanPosition } from './scan_position.js';

/**
 * Goes on in the table of `position` over pages of which ksmd only notes something, the common case
 * in line; where nobody can take a page away while it is looked at. Stops at the first one that
 * needs more and returns its item. Undefined: the table ends, or the next step is not a simple one.
 */
export function passOver(
  kernel: Kernel,
  position: ScanPosition,
  cursor: ItemCursor,
): KsmRmapItem | undefined {
  const { mapping, flags: pageFlags } = kernel.memory;
  const { flags, payload } = kernel.pageTables;
  const { entriesEnd } = position;
  let entry = position.entry + 1;
  let vpn = position.vpn + 1;
  let found: KsmRmapItem | undefined;
  for (; entry < entriesEnd; entry += 1, vpn += 1) {
    if (!isNormal(flags[entry])) continue;
    const page = payload[entry];
    if ((pageFlags[page] & PG_TAIL) !== 0 || cursor.hasStale(vpn)) break;
    if ((mapping[page] & MAPPING_ANON) === 0) continue;
    const item = cursor.take(vpn);
    if (isOnlyNoted(kernel, item, page)) continue;
    position.page = page;
    found = item;
    entry += 1;
    vpn += 1;
    break;
  }
  position.entry = entry - 1;
  position.vpn = vpn - 1;
  return found;
}
