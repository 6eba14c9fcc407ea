/**
 * What a recording traces, by purpose. Events are chosen by name; those that a kernel lacks are
 * left out and named in the recording.
 */

/** System calls that change address spaces or make processes; both enter and exit are traced. */
const TRACED_CALLS = [
  'mmap munmap mprotect pkey_mprotect mremap brk madvise process_madvise',
  'mlock mlock2 munlock mlockall munlockall',
  'clone clone3 fork vfork execve execveat prctl shmget shmat shmdt',
  'process_vm_readv process_vm_writev vmsplice userfaultfd io_uring_register',
  'memfd_create ftruncate truncate fallocate',
]
  .join(' ')
  .split(' ');

/** An event with an optional filter in the kernel's filter language. */
export interface TracedEvent {
  readonly name: string;
  readonly filter?: string;
}

const GFP_MOVABLE_ONLY = 'gfp_flags & 8';

/** The sets of the recorder, in the order of their use. */
export const EVENT_SETS = {
  /** Address spaces, faults, forks: without these there is no replay. */
  core: [
    ...TRACED_CALLS.flatMap((call) => [
      { name: `syscalls:sys_enter_${call}` },
      { name: `syscalls:sys_exit_${call}` },
    ]),
    { name: 'exceptions:page_fault_user' },
    { name: 'exceptions:page_fault_kernel' },
    { name: 'task:task_newtask' },
    { name: 'task:task_rename' },
    { name: 'sched:sched_prepare_exec' },
    { name: 'sched:sched_process_exec' },
    { name: 'sched:sched_process_exit' },
    { name: 'mmap:exit_mmap' },
  ],
  /** Every change of a memory counter: a running check of the replay. */
  rss: [{ name: 'kmem:rss_stat' }],
  /** Frames of new pages. The filter drops page tables, slab and network buffers. */
  alloc: [{ name: 'kmem:mm_page_alloc', filter: GFP_MOVABLE_ONLY }],
  /** Order of address-space changes against forks, for programs with threads. */
  lock: [
    { name: 'mmap_lock:mmap_lock_acquire_returned', filter: 'write==1' },
    { name: 'mmap_lock:mmap_lock_released', filter: 'write==1' },
  ],
  /** Freed frames: swap, KSM, compaction. */
  free: [{ name: 'kmem:mm_page_free' }],
  /** What the kernel does by itself. */
  kern: [
    { name: 'ksm:ksm_merge_with_ksm_page' },
    { name: 'huge_memory:mm_collapse_huge_page' },
    { name: 'huge_memory:mm_khugepaged_scan_pmd' },
    { name: 'migrate:set_migration_pte' },
    { name: 'migrate:remove_migration_pte' },
    { name: 'vmscan:mm_vmscan_write_folio' },
  ],
} as const satisfies Readonly<Record<string, readonly TracedEvent[]>>;

export type EventSetName = keyof typeof EVENT_SETS;

export const DEFAULT_SETS: readonly EventSetName[] = ['core', 'rss', 'alloc', 'lock'];
export const DEEP_SETS: readonly EventSetName[] = [...DEFAULT_SETS, 'free', 'kern'];

/** Names of the kernel threads that work on the memory of others. */
export const MEMORY_THREADS = /^(khugepaged|ksmd|kcompactd\d+|kswapd\d+)$/;

export function eventsOf(sets: readonly EventSetName[]): readonly TracedEvent[] {
  return sets.flatMap((set): readonly TracedEvent[] => EVENT_SETS[set]);
}
