/** `zram`: synchronous; `file`: written back later, the folio stays in the cache. */
export type SwapKind = 'zram' | 'file';

/** One swap area. @kernel swap_info_struct */
export class SwapDevice {
  readonly type: number;
  readonly kind: SwapKind;

  constructor(type: number, kind: SwapKind) {
    this.type = type;
    this.kind = kind;
  }
}
