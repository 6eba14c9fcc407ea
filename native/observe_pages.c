/* Page-table entries, the memory map and what /proc says about frames. x86-64. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "observation.h"

#define X86_WRITE 0x2ull
#define X86_PRESENT 0x1ull
#define X86_YOUNG 0x20ull
#define X86_DIRTY 0x40ull
#define X86_PROT_NONE 0x100ull
#define X86_SAVED_DIRTY (1ull << 58)
#define X86_SWAP_EXCLUSIVE 0x8ull

struct page_seen *pages;
size_t page_count;

static size_t page_room;
static int kpagecount = -1, kpageflags = -1;
static size_t page_bytes, page_flags, page_head, page_mapcount;
static long flag_exclusive;

void open_pages(void) {
  kpagecount = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
  kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
  if (kpagecount < 0 || kpageflags < 0)
    refuse("cannot open /proc/kpagecount and /proc/kpageflags: %s", strerror(errno));
  page_bytes = type_size("page");
  page_flags = need_field("page", "flags");
  page_head = need_field("page", "compound_head");
  page_mapcount = need_field("page", "_mapcount");
  flag_exclusive = enum_value("pageflags", "PG_anon_exclusive");
}

static struct page_seen *new_page(uint64_t page, uint8_t level, uint64_t entry) {
  pages = grow(pages, &page_room, page_count + 1, sizeof *pages);
  struct page_seen *seen = &pages[page_count++];
  *seen = (struct page_seen){.page = page, .level = level};
  if (entry & X86_WRITE) seen->bits |= ENTRY_WRITE;
  if (entry & (X86_DIRTY | X86_SAVED_DIRTY)) seen->bits |= ENTRY_DIRTY;
  if (entry & X86_YOUNG) seen->bits |= ENTRY_YOUNG;
  if ((entry & X86_PROT_NONE) && !(entry & X86_PRESENT)) seen->bits |= ENTRY_NONE;
  return seen;
}

static void read_pagemap(int pid, size_t first) {
  static uint64_t *words;
  static size_t word_room;
  char path[64];
  if (first == page_count) return;
  snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) refuse("cannot open %s: %s", path, strerror(errno));
  for (size_t i = first; i < page_count;) {
    size_t run = 1;
    while (i + run < page_count && pages[i + run].page == pages[i].page + run) run++;
    words = grow(words, &word_room, run, sizeof *words);
    ssize_t bytes = run * sizeof *words;
    if (pread(file, words, bytes, pages[i].page * sizeof *words) != bytes)
      refuse("short read of %s", path);
    for (size_t j = 0; j < run; j++) pages[i + j].map = words[j];
    i += run;
  }
  close(file);
}

void gather_pages(struct vma_seen *vma) {
  const struct mm_seen *mm = &mms[vma->owner];
  vma->page_start = page_count;
  uint64_t end = vma->record.end / PAGE_BYTES;
  for (uint64_t page = vma->record.start / PAGE_BYTES; page < end;) {
    const uint64_t *table = NULL;
    uint64_t leaf = 0, skip = 1;
    enum entry_level level = walk_tables(mm->pgd, page, &table, &leaf, &skip);
    uint64_t until = page + skip < end ? page + skip : end;
    for (; page < until && level != LEVEL_NONE; page++) {
      uint64_t entry = level == LEVEL_PTE ? table[page & (ENTRIES_PER_TABLE - 1)] : leaf;
      if (!entry) continue;
      struct page_seen *seen = new_page(page, level, entry);
      if (entry & (X86_PRESENT | X86_PROT_NONE)) continue;
      seen->bits = entry & X86_SWAP_EXCLUSIVE ? ENTRY_SWAP_EXCLUSIVE : 0;
    }
    page = until;
  }
  read_pagemap(mm->pid, vma->page_start);
  vma->page_count = page_count - vma->page_start;
}

static void read_frame_words(int file, size_t i, size_t run, size_t field) {
  uint64_t words[ENTRIES_PER_TABLE];
  ssize_t bytes = run * sizeof *words;
  uint64_t frame = pages[i].map & PAGEMAP_FRAME;
  if (pread(file, words, bytes, frame * sizeof *words) != bytes)
    refuse("cannot read frame %" PRIu64 " of /proc/kpage*", frame);
  for (size_t j = 0; j < run; j++) memcpy((char *)&pages[i + j] + field, &words[j], 8);
}

void gather_frames(void) {
  static uint64_t *addresses;
  static unsigned char *objects;
  static size_t address_room, object_room;
  addresses = grow(addresses, &address_room, page_count, sizeof *addresses);
  size_t frames = 0;
  for (size_t i = 0; i < page_count; i++)
    if (pages[i].map & PAGEMAP_PRESENT)
      addresses[frames++] = vmemmap_base + (pages[i].map & PAGEMAP_FRAME) * page_bytes;
  objects = grow(objects, &object_room, frames, page_bytes);
  if (read_each(addresses, frames, page_bytes, objects)) refuse("cannot read the memory map");
  size_t frame = 0;
  for (size_t i = 0; i < page_count; i++) {
    struct page_seen *seen = &pages[i];
    if (!(seen->map & PAGEMAP_PRESENT)) continue;
    const unsigned char *object = objects + frame++ * page_bytes;
    uint64_t head = word_at(object, page_head);
    seen->head = head & 1 ? (head - 1 - vmemmap_base) / page_bytes : seen->map & PAGEMAP_FRAME;
    seen->page_mapcount = int_at(object, page_mapcount) + 1;
    seen->exclusive = word_at(object, page_flags) >> flag_exclusive & 1;
  }
  for (size_t i = 0; i < page_count;) {
    if (!(pages[i].map & PAGEMAP_PRESENT)) {
      i++;
      continue;
    }
    size_t run = 1;
    while (i + run < page_count && run < ENTRIES_PER_TABLE &&
           (pages[i + run].map & PAGEMAP_PRESENT) &&
           (pages[i + run].map & PAGEMAP_FRAME) == (pages[i].map & PAGEMAP_FRAME) + run)
      run++;
    read_frame_words(kpagecount, i, run, offsetof(struct page_seen, mapcount));
    read_frame_words(kpageflags, i, run, offsetof(struct page_seen, kflags));
    i += run;
  }
}
