import { fail } from '../base/errors.js';
import { PAGE_SIZE_BYTES } from '../base/units.js';
import type { ObjectMapping } from '../query/who_object.js';
import { look } from './look.js';
import { ENTRY_HIGH } from './page_rows.js';
import { PagemapBuffer, PagemapFile } from './pagemap_file.js';
import { lengthBytes } from './proc_text.js';
import type { MapsEntry } from './proc_text.js';
import type { ProcessNames } from './processes.js';

/** A mapping with its process. */
export interface ProcessVma {
  readonly pid: number;
  readonly vma: MapsEntry;
}

/** What the processes say about their mappings of files; each is opened once. */
export class MappingSurvey {
  readonly #buffer = new PagemapBuffer();
  readonly #names: ProcessNames;
  readonly #addresses = new Map<MapsEntry, readonly [string, string]>();

  constructor(names: ProcessNames) {
    this.#names = names;
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
      const comm = this.#names.of(pid);
      for (let index = 0; index < own.length; index++) {
        const vma = own[index] ?? fail('no mapping');
        mappings.push(this.#mappingOf(pid, comm, vma, tallies[index] ?? fail('no tally')));
      }
    }
    return mappings;
  }

  /** Forked processes have the same mappings: their addresses are written once. */
  #addressesOf(vma: MapsEntry): readonly [string, string] {
    let addresses = this.#addresses.get(vma);
    if (addresses === undefined) {
      addresses = [hexAddress(vma.startVpn), hexAddress(vma.endVpn)];
      this.#addresses.set(vma, addresses);
    }
    return addresses;
  }

  #mappingOf(
    pid: number,
    comm: string,
    vma: MapsEntry,
    { touched, copied }: PageTally,
  ): ObjectMapping {
    const [vmaStart, vmaEnd] = this.#addressesOf(vma);
    return {
      pid,
      comm,
      vmaStart,
      vmaEnd,
      vmaPermissions: vma.permissions,
      offsetBytes: vma.offsetBytes,
      lengthBytes: lengthBytes(vma),
      touchedBytes: touched * PAGE_SIZE_BYTES,
      copiedBytes: copied * PAGE_SIZE_BYTES,
    };
  }
}

function hexAddress(vpn: number): string {
  return `0x${(vpn * PAGE_SIZE_BYTES).toString(16)}`;
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
      for (let entry = 0; entry < count; at++) {
        const { endVpn } = vmas[at] ?? fail('a page behind the last mapping');
        // V8 keeps small integers in place, and makes an object of a page number.
        const end = Math.min(count, endVpn - vpn) | 0;
        const tally = tallies[at] ?? fail('no tally');
        for (; entry < end; entry++) {
          const high = words[2 * entry + 1] ?? 0;
          if ((high & ENTRY_HIGH.present) === 0) continue;
          if ((high & ENTRY_HIGH.file) !== 0) tally.touched++;
          else tally.copied++;
        }
        if (end === count) break;
      }
    });
    first = behind;
  }
}
