/*
 * Observer: looks at the processes named on a line of stdin and prints what the kernel's own
 * structures hold for them, as one line of JSON. It changes nothing.
 *
 *   observer OBJECT.bpf.o FIRST_PAGE PAGES
 *   look NUMBER:PID NUMBER:PID …
 *
 * Only VMAs that start in the region of FIRST_PAGE and PAGES are looked at.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "observation.h"

struct mm_seen *mms;
size_t mm_count;
struct vma_seen *vmas;
size_t vma_count;

static size_t mm_room, vma_room;
static uint64_t region_start, region_end;

static void look_at(int process, int pid) {
  static struct vma_record *records;
  static size_t record_room;
  size_t count = read_vmas(pid, &records, &record_room);
  if (!count) refuse("process %d (pid %d) has no memory map", process, pid);
  mms = grow(mms, &mm_room, mm_count + 1, sizeof *mms);
  struct mm_seen mm = {process, pid, records[0].mm, records[0].pgd, records[0].mm_id};
  mms[mm_count] = mm;
  for (size_t i = 0; i < count; i++) {
    if (records[i].start < region_start || records[i].start >= region_end) continue;
    vmas = grow(vmas, &vma_room, vma_count + 1, sizeof *vmas);
    struct vma_seen vma = {.record = records[i], .owner = mm_count};
    vmas[vma_count++] = vma;
  }
  mm_count++;
}

static void print_page(const struct page_seen *page) {
  if (!(page->map & PAGEMAP_PRESENT)) {
    printf("[%" PRIu64 ",%d,%d,%d,%" PRIu64 ",%d]", page->page, page->level, page->bits,
           (int)(page->map >> 56), (uint64_t)(page->map & PAGEMAP_FRAME) >> 5, (int)(page->map & 31));
    return;
  }
  printf("[%" PRIu64 ",%d,%d,%d,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%d,%d]",
         page->page, page->level, page->bits, (int)(page->map >> 56),
         (uint64_t)(page->map & PAGEMAP_FRAME), page->head, page->mapcount, page->kflags,
         page->page_mapcount, page->exclusive);
}

static void print_vma(const struct vma_seen *vma) {
  const struct vma_record *record = &vma->record;
  printf("{\"id\":\"%" PRIx64 "\",\"p\":%d,\"start\":%" PRIu64 ",\"end\":%" PRIu64
         ",\"pgoff\":%" PRIu64,
         (uint64_t)record->vma, mms[vma->owner].process, (uint64_t)record->start / PAGE_BYTES,
         (uint64_t)record->end / PAGE_BYTES, (uint64_t)record->pgoff);
  if (record->mapping) printf(",\"file\":\"%" PRIx64 "\"", (uint64_t)record->mapping);
  if (record->anon_vma) printf(",\"av\":\"%" PRIx64 "\"", (uint64_t)record->anon_vma);
  printf(",\"avc\":[");
  for (size_t i = 0; i < vma->chain_count; i++)
    printf("%s\"%" PRIx64 "\"", i ? "," : "", chain_anon_vmas[vma->chain_start + i]);
  printf("],\"pages\":[");
  for (size_t i = 0; i < vma->page_count; i++) {
    if (i) printf(",");
    print_page(&pages[vma->page_start + i]);
  }
  printf("]}");
}

static void print_anon_vma(const struct anon_vma_seen *seen) {
  printf("{\"id\":\"%" PRIx64 "\",\"root\":\"%" PRIx64 "\",\"parent\":\"%" PRIx64
         "\",\"children\":%" PRIu64 ",\"active\":%" PRIu64 ",\"refs\":%u,\"walk\":[",
         seen->address, seen->root, seen->parent, seen->children, seen->active, seen->refs);
  for (size_t i = 0; i < seen->walk_count; i++)
    printf("%s\"%" PRIx64 "\"", i ? "," : "", walk_vmas[seen->walk_start + i]);
  printf("]}");
}

static void look(char *names) {
  mm_count = vma_count = page_count = 0;
  forget_tables();
  for (char *name = strtok(names, " \n"); name; name = strtok(NULL, " \n")) {
    int process, pid;
    if (sscanf(name, "%d:%d", &process, &pid) != 2) refuse("bad process %s", name);
    look_at(process, pid);
  }
  gather_anon_vmas();
  for (size_t i = 0; i < vma_count; i++) gather_pages(&vmas[i]);
  gather_frames();
  printf("{\"mms\":[");
  for (size_t i = 0; i < mm_count; i++)
    printf("%s[%d,%d,\"%" PRIx64 "\",%u]", i ? "," : "", mms[i].process, mms[i].pid, mms[i].mm,
           mms[i].mm_id);
  printf("],\"vmas\":[");
  for (size_t i = 0; i < vma_count; i++) {
    if (i) printf(",");
    print_vma(&vmas[i]);
  }
  printf("],\"anonVmas\":[");
  for (size_t i = 0; i < anon_vma_count; i++) {
    if (i) printf(",");
    print_anon_vma(&anon_vmas[i]);
  }
  printf("],\"folios\":");
  print_folios(stdout);
  printf("}\n");
  fflush(stdout);
}

int main(int argc, char **argv) {
  static char output[1 << 16];
  char *line = NULL;
  size_t room = 0;
  if (argc != 4) refuse("usage: observer OBJECT.bpf.o FIRST_PAGE PAGES");
  setvbuf(stdout, output, _IOFBF, sizeof output);
  region_start = strtoull(argv[2], NULL, 10) * PAGE_BYTES;
  region_end = region_start + strtoull(argv[3], NULL, 10) * PAGE_BYTES;
  kernel_open(argv[1]);
  find_memory_layout();
  open_anon_vmas();
  open_pages();
  open_folios();
  printf("{\"ready\":1}\n");
  fflush(stdout);
  while (getline(&line, &room, stdin) > 0) {
    if (strncmp(line, "look ", 5)) refuse("unknown request");
    look(line + 5);
  }
  return 0;
}
