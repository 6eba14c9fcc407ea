import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { END_OF_FILE } from './truncate.js';
import type { AddressSpace } from '../vm/address_space.js';

/**
 * POSIX_FADV_NOREUSE or POSIX_FADV_NORMAL on all that has the file open. An open file through which
 * nothing is mapped any more never maps again, so that the VMAs tell all that count; read(2) does
 * not look at the advice. Files in memory take it and forget it. Found on Linux 6.18.
 * @kernel generic_fadvise
 */
export function* adviseFile(kernel: Kernel, mapping: AddressSpace, isNoReuse: boolean): Op<void> {
  if (mapping.kind !== 'tmp') return;
  const { intervals, vmaOfRow } = kernel;
  yield* downRead(mapping.iMmapRwsem);
  let row = intervals.iterFirst(mapping.iMmap, 0, END_OF_FILE);
  while (row !== NIL) {
    const file = vmaOfRow[row]?.file;
    if (file !== undefined) file.noReuse = isNoReuse;
    row = intervals.iterNext(row, 0, END_OF_FILE);
  }
  yield* upRead(mapping.iMmapRwsem);
}
