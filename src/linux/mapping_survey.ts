import { fail } from '../base/errors.js';
import { PAGE_SIZE_BYTES } from '../base/units.js';
import type { ObjectMapping } from '../query/who_object.js';
import { look } from './look.js';
import { ENTRY_HIGH } from './page_rows.js';
import { PagemapBuffer, PagemapFile } from './pagemap_file.js';
import { lengthBytes } from './proc_text.js';
import type { MapsEntry } from './proc_text.js';
import { readComm } from './processes.js';

/** A mapping with its process. */
export interface ProcessVma {
  readonly pid: number;
  readonly vma: MapsEntry;
}

/** What the processes say about their mappings of files; each is opened once. */
export class MappingSurvey {
  readonly #buffer = new PagemapBuffer();
  readonly #comms = new Map<number, string>();

  #commOf(pid: number): string {
    let comm = this.#comms.get(pid);
    if (comm === undefined) this.#comms.set(pid, (comm = readComm(pid)));
    return comm;
  }

  /** The mappings of one object, in the order given: those of a process stand together. */
  mappingsOf(vmas: readonly ProcessVma[]): ObjectMapping[] {
    const mappings: ObjectMapping[] = [];
    for (let first = 0; first < vmas.length;) {
      const pid = vmas[first]?.pid ?? 0;
      const own: MapsEntry[] = [];
      for (; vmas[first]?.pid === pid; first++) own.push(vmas[first]?.vma ?? fail('a hole'));
      const pagemap = look(pid, new Set(), () => new PagemapFile(pid, this.#buffer));
      const tallies = own.map(() => ({ touched: 0, copied: 0 }));
      if (pagemap !== undefined) countPages(pagemap, own, tallies);
      pagemap?.close();
      const comm = this.#commOf(pid);
      for (const [index, vma] of own.entries()) {
        mappings.push(mappingOf(pid, comm, vma, tallies[index] ?? fail('no tally')));
      }
    }
    return mappings;
  }
}

interface PageTally {
  touched: number;
  copied: number;
}

/** Counts the pages of mappings that ascend; those that touch are read at once. */
function countPages(
  pagemap: PagemapFile,
  vmas: readonly MapsEntry[],
  tallies: readonly PageTally[],
): void {
  for (let first = 0; first < vmas.length;) {
    const startVpn = vmas[first]?.startVpn ?? 0;
    let behind = first + 1;
    while (behind < vmas.length && vmas[behind]?.startVpn === vmas[behind - 1]?.endVpn) behind++;
    let at = first;
    pagemap.visitRange(startVpn, vmas[behind - 1]?.endVpn ?? 0, (words, vpn, count) => {
      for (let entry = 0; entry < count; entry++) {
        while (vpn + entry >= (vmas[at]?.endVpn ?? Infinity)) at++;
        const high = words[2 * entry + 1] ?? 0;
        const tally = tallies[at];
        if ((high & ENTRY_HIGH.present) === 0 || tally === undefined) continue;
        if ((high & ENTRY_HIGH.file) !== 0) tally.touched++;
        else tally.copied++;
      }
    });
    first = behind;
  }
}

function mappingOf(
  pid: number,
  comm: string,
  vma: MapsEntry,
  { touched, copied }: PageTally,
): ObjectMapping {
  return {
    pid,
    comm,
    vmaStart: `0x${(vma.startVpn * PAGE_SIZE_BYTES).toString(16)}`,
    vmaEnd: `0x${(vma.endVpn * PAGE_SIZE_BYTES).toString(16)}`,
    vmaPermissions: vma.permissions,
    offsetBytes: vma.offsetBytes,
    lengthBytes: lengthBytes(vma),
    touchedBytes: touched * PAGE_SIZE_BYTES,
    copiedBytes: copied * PAGE_SIZE_BYTES,
  };
}
