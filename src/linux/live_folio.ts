// oxlint-disable unicorn/no-null -- the state format has null
import { REGION_START_PAGE } from '../trace/scenario.js';
import type { FolioState } from '../trace/state.js';
import type { LiveNames } from './live_names.js';
import type { ObservedFolio } from './live_observation.js';

/** The format lists at most so many rmap_items of a KSM page; `ksm_len` counts all. */
const MOST_KSM_ITEMS = 24;

/** A folio as the state format has it. The index of a private file page is that of the file. */
export function folioState(
  folio: ObservedFolio,
  isFileMapping: boolean,
  names: LiveNames,
): FolioState {
  const { order, refs = 0, mapcount = 0, flags = [], index = 0 } = folio;
  if (folio.zero !== undefined) return { order, kind: 'zero' };
  const counts = { refs, mapcount, ...largeCounts(folio, names), flags };
  if (folio.ksm !== undefined) {
    return {
      order,
      kind: 'ksm',
      ksm: ksmItems(folio.ksm, names),
      ksm_len: folio.ksmLength ?? folio.ksm.length,
      ...counts,
    };
  }
  const hugetlb = folio.hugetlb === undefined ? {} : { hugetlb: 1 };
  if (folio.av === undefined) {
    const file = names.file(folio.file ?? '', undefined);
    return { order, kind: 'file', file, index, ...hugetlb, ...counts };
  }
  return {
    order,
    kind: 'anon',
    av: names.anonVmas.known(folio.av),
    index: isFileMapping ? index : index - REGION_START_PAGE,
    ...hugetlb,
    ...counts,
  };
}

function ksmItems(
  items: NonNullable<ObservedFolio['ksm']>,
  names: LiveNames,
): NonNullable<FolioState['ksm']> {
  return items.slice(0, MOST_KSM_ITEMS).map(([mm, page, anonVma]) => ({
    p: names.processOfMm.get(mm) ?? null,
    at: page - REGION_START_PAGE,
    av: names.anonVmas.known(anonVma),
  }));
}

function largeCounts(folio: ObservedFolio, names: LiveNames): Partial<FolioState> {
  const { order, entire = 0, pincount = 0, hugetlb, slots, deferred } = folio;
  if (order === 0) return {};
  if (hugetlb !== undefined) return { entire, pincount };
  return {
    entire,
    nr_pages_mapped: folio.nrPagesMapped ?? 0,
    pincount,
    ...(slots === undefined
      ? {}
      : {
          mm: slots.map(([id, count]) =>
            id === 0 ? null : { p: names.processOfMmId.get(id) ?? null, mapcount: count },
          ),
          maybe_shared: folio.maybeShared ?? 0,
        }),
    flags2: [
      ...(folio.rmappable === 1 ? ['large_rmappable'] : []),
      ...(folio.partial === 1 ? ['partially_mapped'] : []),
    ],
    ...(deferred === undefined ? {} : { deferred }),
  };
}
