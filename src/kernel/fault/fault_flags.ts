/** What a fault wants. @kernel FAULT_FLAG_WRITE */
export const FAULT_WRITE = 1;
/** Make the page exclusive without making it writable. @kernel FAULT_FLAG_UNSHARE */
export const FAULT_UNSHARE = 2;
/** The caller may override the VMA's protection (FOLL_FORCE). */
export const FAULT_FORCE = 4;
/** The lock of the VMA is held in place of the mmap lock. @kernel FAULT_FLAG_VMA_LOCK */
export const FAULT_VMA_LOCK = 8;

/** Outcome bits of a fault; 0 = handled. @kernel VM_FAULT_MAJOR */
export const VM_FAULT_MAJOR = 0x1;
/** @kernel VM_FAULT_OOM */
export const VM_FAULT_OOM = 0x2;
/** @kernel VM_FAULT_SIGBUS */
export const VM_FAULT_SIGBUS = 0x4;
/** @kernel VM_FAULT_SIGSEGV */
export const VM_FAULT_SIGSEGV = 0x8;
/** The next smaller way must be tried. @kernel VM_FAULT_FALLBACK */
export const VM_FAULT_FALLBACK = 0x10;
/** @kernel VM_FAULT_HWPOISON */
export const VM_FAULT_HWPOISON = 0x20;
/** Something changed or must be waited for: look again. @kernel VM_FAULT_RETRY */
export const VM_FAULT_RETRY = 0x40;
/** User space must resolve the fault through a userfaultfd before the access can go on. */
export const VM_FAULT_USERFAULT = 0x80;
/** Any of the failures that end the access. @kernel VM_FAULT_ERROR */
export const VM_FAULT_ERROR =
  VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV | VM_FAULT_HWPOISON | VM_FAULT_USERFAULT;
