/**
 * Pending mlock and munlock events of folios, applied in order at the end of each operation and
 * between the two passes of mlock (spec 97 §9). @kernel mlock_fbatch
 */
export class MlockBatch {
  /** `folio * 2 + (1 = lock, 0 = unlock)`. */
  readonly events: number[] = [];
}
