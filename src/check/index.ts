/**
 * The engine in the check build, in which every function keeps its declared points, and what tests
 * it: generated scenarios, their shrinker, and the copy-on-write matrix.
 */
export * from '../kernel/index.js';
export { answerCowRow, parseCowMatrix } from './cow_matrix/rows.js';
export type { CowAnswer, CowRow } from './cow_matrix/rows.js';
