import { errnoName } from './errno.js';
import type { OperationResult } from './operation.js';

/** A result for a value or a negated errno. */
export function resultOf(value: number): OperationResult {
  return value < 0 ? { ret: -1, err: errnoName(value) } : { ret: value };
}
