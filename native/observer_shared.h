/* Records that the BPF programs hand to the observer. Both sides are compiled from this file. */
#ifndef RMAP_OBSERVER_SHARED_H
#define RMAP_OBSERVER_SHARED_H

/* Bulk reads of kernel memory: one run of the program serves up to this many requests. */
#define PEEK_REQUESTS 16384
/* No request is longer than one page table. */
#define PEEK_LENGTH_MAX 4096
/* Room for the answers of one run; a power of two, so that a mask bounds every offset. */
#define PEEK_BYTES (1u << 22)

struct peek_request {
  unsigned long long address;
  unsigned int offset; /* where the answer goes */
  unsigned int length;
  unsigned int failed; /* set when the address could not be read */
  unsigned int unused;
};

/* One VMA, as the task_vma iterator meets it. */
struct vma_record {
  unsigned long long vma;
  unsigned long long mm;
  unsigned long long pgd;
  unsigned long long start;
  unsigned long long end;
  unsigned long long pgoff;
  unsigned long long anon_vma;
  unsigned long long chain_head; /* address of the list head in the VMA */
  unsigned long long chain_first; /* first entry of the list; the head itself when empty */
  unsigned long long mapping; /* address_space of the file, or 0 */
  unsigned int mm_id; /* 0 on kernels without MM ids */
  unsigned int unused;
};

#endif
