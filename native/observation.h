/* What one look at the processes of a scenario gathers before it is printed. */
#ifndef RMAP_OBSERVATION_H
#define RMAP_OBSERVATION_H

#include <string.h>

#include "kernel_memory.h"

struct mm_seen {
  int process; /* number in the scenario */
  int pid;
  uint64_t mm;
  uint64_t pgd;
  uint32_t mm_id;
};

struct vma_seen {
  struct vma_record record;
  uint32_t owner; /* row in mms */
  size_t chain_start, chain_count; /* rows in chain_anon_vmas */
  size_t page_start, page_count; /* rows in pages */
};

struct anon_vma_seen {
  uint64_t address, root, parent, tree;
  uint64_t children, active;
  uint32_t refs;
  size_t walk_start, walk_count; /* rows in walk_vmas: addresses of VMAs */
};

enum { ENTRY_WRITE = 1, ENTRY_DIRTY = 2, ENTRY_YOUNG = 4, ENTRY_NONE = 8, ENTRY_SWAP_EXCLUSIVE = 16 };

struct page_seen {
  uint64_t page; /* virtual page number */
  uint64_t map; /* word of /proc/PID/pagemap */
  uint64_t mapcount, kflags; /* /proc/kpagecount, /proc/kpageflags */
  uint64_t head; /* frame of the first page of the folio */
  int32_t page_mapcount;
  uint8_t level, bits, exclusive;
};

extern struct mm_seen *mms;
extern size_t mm_count;
extern struct vma_seen *vmas;
extern size_t vma_count;
extern uint64_t *chain_anon_vmas;
extern struct anon_vma_seen *anon_vmas;
extern size_t anon_vma_count;
extern uint64_t *walk_vmas;
extern struct page_seen *pages;
extern size_t page_count;

void open_anon_vmas(void);
/* Fills the chains of all VMAs, then every anon_vma that they lead to. */
void gather_anon_vmas(void);

void open_pages(void);
void open_folios(void);
/* Fills the pages of one VMA. */
void gather_pages(struct vma_seen *vma);
/* After all VMAs: struct pages, mapcounts, flags. */
void gather_frames(void);
/* Prints the folios of all pages as a JSON array. */
void print_folios(FILE *out);

static inline uint64_t word_at(const unsigned char *object, size_t offset) {
  uint64_t value;
  memcpy(&value, object + offset, sizeof value);
  return value;
}

static inline int32_t int_at(const unsigned char *object, size_t offset) {
  int32_t value;
  memcpy(&value, object + offset, sizeof value);
  return value;
}

#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAP (1ull << 62)
#define PAGEMAP_GUARD (1ull << 58)
#define PAGEMAP_FRAME ((1ull << 55) - 1)

#endif
