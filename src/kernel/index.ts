/**
 * The engine: a `Machine` to drive by operations, and every function of rmap.h under its kernel
 * name in camel case. In this build the functions run to their end; `rmap/check` has the same ones
 * with every point declared.
 */
export { Machine } from './machine.js';
export type { MachineOptions } from './machine.js';
export type { Operation, OperationResult, PageValue } from './operation.js';
export { DEFAULT_PROFILE } from './profile.js';
export type { Profile } from './profile.js';
export { runScenario } from './run_scenario.js';
export type { ScenarioOptions, ScenarioRun } from './run_scenario.js';
export type { MachineState } from './state/state_types.js';
export { Kernel } from './kernel.js';
export { checkInvariants, findViolations, INVARIANTS } from './invariants/index.js';
export type { Invariant, Violation } from './invariants/index.js';
export { runToEnd } from './op/prims.js';
export type { Op, Point } from './op/prims.js';

export * from './rmap/anon_vma.js';
export * from './rmap/anon_vma_chain.js';
export * from './rmap/anon_vma_clone.js';
export { AnonVma, AnonVmaChain } from './rmap/anon_vma_types.js';
export * from './rmap/device_exclusive.js';
export * from './rmap/visit_mappers.js';
export * from './rmap/folio_anon_vma.js';
export * from './rmap/folio_referenced.js';
export * from './rmap/folio_rmap.js';
export * from './rmap/hugetlb_rmap.js';
export * from './rmap/large_mapcount.js';
export * from './rmap/make_device_exclusive.js';
export * from './rmap/mkclean.js';
export * from './rmap/mm_take_all_locks.js';
export { mmuNotifierRegister } from './rmap/mmu_notifier.js';
export * from './rmap/page_vma_mapped.js';
export * from './rmap/remove_migration_ptes.js';
export * from './rmap/rmap_level.js';
export * from './rmap/rmap_walk.js';
export * from './rmap/tlb_batch.js';
export * from './rmap/try_to_migrate.js';
export { tryToUnmap } from './rmap/try_to_unmap.js';
export * from './rmap/ttu_flags.js';
export * from './rmap/vma_address.js';
