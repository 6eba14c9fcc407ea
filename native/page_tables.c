/* Page tables of other processes, and where this boot put the memory map. x86-64. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel_memory.h"

#define ENTRY_PRESENT 0x1ull
#define ENTRY_LEAF 0x80ull
#define ENTRY_PROT_NONE 0x100ull
#define PHYSICAL_MASK 0x000ffffffffff000ull
#define GIB (1ull << 30)
/* The direct map starts at most so far below any table: more memory than we expect to meet. */
#define DIRECT_MAP_TRIES 65536
/* A page of ours may be on its way to another place. */
#define LAYOUT_TRIES 20
#define LAYOUT_PAUSE_US 2000

uint64_t vmemmap_base;
uint64_t direct_map_base;
int page_table_levels = 4;

static struct table64 table_numbers;
static uint64_t (*tables)[ENTRIES_PER_TABLE];
static size_t table_room;

void forget_tables(void) { table64_clear(&table_numbers); }

const uint64_t *table_at(uint64_t physical) {
  uint32_t fresh = table_numbers.count;
  uint32_t number = table64_put(&table_numbers, physical + 1, fresh);
  if (number == fresh) {
    tables = grow(tables, &table_room, fresh + 1, sizeof *tables);
    uint64_t address = direct_map_base + physical;
    read_each(&address, 1, PAGE_BYTES, tables[fresh]);
  }
  return tables[number];
}

static int is_leaf(uint64_t entry) {
  return (entry & ENTRY_LEAF) && (entry & (ENTRY_PRESENT | ENTRY_PROT_NONE));
}

enum entry_level walk_tables(uint64_t pgd, uint64_t page, const uint64_t **table, uint64_t *leaf,
                             uint64_t *skip) {
  uint64_t physical = pgd - direct_map_base;
  for (int level = page_table_levels - 1; level > 0; level--) {
    uint64_t entry = table_at(physical)[page >> (9 * level) & (ENTRIES_PER_TABLE - 1)];
    uint64_t span = 1ull << (9 * level);
    *skip = span - (page & (span - 1));
    if (level <= 2 && is_leaf(entry)) {
      *leaf = entry;
      return level == 1 ? LEVEL_PMD : LEVEL_PUD;
    }
    if (!(entry & ENTRY_PRESENT)) return LEVEL_NONE;
    physical = entry & PHYSICAL_MASK;
  }
  *table = table_at(physical);
  return LEVEL_PTE;
}

static uint64_t frame_of_own_page(const void *address) {
  uint64_t entry = 0;
  int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0 ||
      pread(pagemap, &entry, sizeof entry, (uintptr_t)address / PAGE_BYTES * sizeof entry) !=
          sizeof entry)
    refuse("cannot read /proc/self/pagemap: %s", strerror(errno));
  close(pagemap);
  uint64_t frame = entry & ((1ull << 55) - 1);
  if (!frame) refuse("pagemap shows no frame numbers: CAP_SYS_ADMIN needed");
  return frame;
}

static int walks_to(uint64_t pgd, uint64_t page, uint64_t frame) {
  const uint64_t *table;
  uint64_t leaf, skip;
  forget_tables();
  if (walk_tables(pgd, page, &table, &leaf, &skip) != LEVEL_PTE) return 0;
  uint64_t entry = table[page & (ENTRIES_PER_TABLE - 1)];
  return (entry & ENTRY_PRESENT) && (entry & PHYSICAL_MASK) / PAGE_BYTES == frame;
}

/* Nodes of a page cache's tree are marked in the low bits of the pointers to them. */
#define TREE_MARK 3ull
#define TREE_NODE 2ull
#define TREE_LEVELS 16

/*
 * Sets vmemmap_base by the first page of a file of ours: the first leaf of the file's tree is its
 * struct page, which names the file. It is not if the page moved while we looked. Returns whether
 * that worked; `leaf` is what was found.
 */
static int find_memory_map(uint64_t frame, uint64_t mapping, uint64_t *leaf) {
  uint64_t slot = mapping + need_field("address_space", "i_pages") +
                  need_field("xarray", "xa_head");
  uint64_t named = 0;
  for (int level = 0; level < TREE_LEVELS; level++) {
    *leaf = 0;
    read_each(&slot, 1, sizeof *leaf, leaf);
    if ((*leaf & TREE_MARK) != TREE_NODE) break;
    slot = (*leaf & ~TREE_MARK) + need_field("xa_node", "slots");
  }
  vmemmap_base = *leaf - frame * type_size("page");
  uint64_t owner = *leaf + need_field("folio", "mapping");
  return !(*leaf & TREE_MARK) && !read_each(&owner, 1, sizeof named, &named) && named == mapping;
}

void find_memory_layout(void) {
  int file = memfd_create("rmap-layout", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, PAGE_BYTES)) refuse("memfd: %s", strerror(errno));
  char *memory = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) refuse("mmap: %s", strerror(errno));
  *(volatile char *)memory = 1;

  struct vma_record *records = NULL;
  size_t room = 0;
  size_t count = read_vmas(getpid(), &records, &room);
  const struct vma_record *own = NULL;
  for (size_t i = 0; i < count; i++)
    if (records[i].start == (uintptr_t)memory) own = &records[i];
  if (!own || !own->mapping) refuse("the VMA iterator does not show our own mapping");

  uint64_t frame = frame_of_own_page(memory), leaf;
  for (int tries = 0; !find_memory_map(frame, own->mapping, &leaf); tries++) {
    if (tries == LAYOUT_TRIES) refuse("cannot find the memory map: page frame %" PRIx64 ", leaf %" PRIx64, frame, leaf);
    usleep(LAYOUT_PAUSE_US);
    frame = frame_of_own_page(memory);
  }

  uint64_t page = (uintptr_t)memory / PAGE_BYTES;
  for (page_table_levels = 4; page_table_levels <= 5; page_table_levels++) {
    uint64_t base = own->pgd & ~(GIB - 1);
    for (int i = 0; i < DIRECT_MAP_TRIES && base >> 63; i++, base -= GIB) {
      direct_map_base = base;
      if (!walks_to(own->pgd, page, frame)) continue;
      free(records);
      munmap(memory, PAGE_BYTES);
      close(file);
      return;
    }
  }
  refuse("cannot find the kernel's direct map: page tables are not where they should be");
}
