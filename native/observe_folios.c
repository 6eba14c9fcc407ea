/* Folios: the memory map behind the pages seen, KSM's lists, large-folio counters. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "observation.h"

#define KPF_HUGE (1ull << 17)
#define KPF_ZERO (1ull << 24)
#define KPF_THP (1ull << 22)

#define MAPPING_KIND 3ull
#define MAPPING_ANON 1ull
#define MAPPING_KSM 3ull

static size_t page_bytes, page_flags, page_mapcount, page_refcount;
static size_t folio_mapping, folio_index;
static long large_flags, large_mapcount, large_nr_pages_mapped, large_entire, large_pincount;
static long large_slot_counts, large_slot_ids, large_deferred;
static long flag_head, flag_rmappable, flag_partial;
static long ksm_list, ksm_length, item_hlist, item_mm, item_address, item_anon_vma, hlist_first;

static const char *const flag_names[] = {"referenced", "uptodate",   "dirty",       "lru",
                                         "active",     "workingset", "swapcache",   "private",
                                         "swapbacked", "unevictable", "mlocked",    "young",
                                         "idle"};
enum { FLAG_COUNT = sizeof flag_names / sizeof *flag_names };
static long flag_bits[FLAG_COUNT];

void open_folios(void) {
  page_bytes = type_size("page");
  page_flags = need_field("page", "flags");
  page_mapcount = need_field("page", "_mapcount");
  page_refcount = need_field("page", "_refcount");
  folio_mapping = need_field("folio", "mapping");
  folio_index = need_field("folio", "index");
  large_flags = need_field("folio", "_flags_1");
  large_mapcount = need_field("folio", "_large_mapcount");
  large_nr_pages_mapped = need_field("folio", "_nr_pages_mapped");
  large_entire = need_field("folio", "_entire_mapcount");
  large_pincount = need_field("folio", "_pincount");
  large_slot_counts = field_offset("folio", "_mm_id_mapcount");
  large_slot_ids = field_offset("folio", "_mm_ids");
  large_deferred = need_field("folio", "_deferred_list");
  flag_head = enum_value("pageflags", "PG_head");
  flag_rmappable = enum_value("pageflags", "PG_large_rmappable");
  flag_partial = enum_value("pageflags", "PG_partially_mapped");
  for (int i = 0; i < FLAG_COUNT; i++) {
    char name[32];
    snprintf(name, sizeof name, "PG_%s", flag_names[i]);
    flag_bits[i] = enum_value("pageflags", name);
  }
  ksm_list = field_offset("ksm_stable_node", "hlist");
  ksm_length = field_offset("ksm_stable_node", "rmap_hlist_len");
  item_hlist = field_offset("ksm_rmap_item", "hlist");
  item_mm = field_offset("ksm_rmap_item", "mm");
  item_address = field_offset("ksm_rmap_item", "address");
  item_anon_vma = field_offset("ksm_rmap_item", "anon_vma");
  hlist_first = field_offset("hlist_node", "next");
}

static void print_ksm(FILE *out, uint64_t node) {
  unsigned char object[256];
  size_t bytes = type_size("ksm_stable_node");
  if (ksm_list < 0 || item_hlist < 0 || bytes > sizeof object) return;
  read_each(&node, 1, bytes, object);
  fprintf(out, ",\"ksmLength\":%d,\"ksm\":[", int_at(object, ksm_length));
  uint64_t entry = word_at(object, ksm_list);
  bytes = type_size("ksm_rmap_item");
  for (int i = 0; entry && i < 1 << 20; i++) {
    uint64_t item = entry - item_hlist;
    read_each(&item, 1, bytes, object);
    fprintf(out, "%s[\"%" PRIx64 "\",%" PRIu64 ",\"%" PRIx64 "\"]", i ? "," : "",
            word_at(object, item_mm), word_at(object, item_address) / PAGE_BYTES,
            word_at(object, item_anon_vma));
    entry = word_at(object, item_hlist + hlist_first);
  }
  fprintf(out, "]");
}

static void print_flags(FILE *out, uint64_t flags) {
  const char *comma = "";
  fprintf(out, ",\"flags\":[");
  for (int i = 0; i < FLAG_COUNT; i++) {
    if (flag_bits[i] < 0 || !(flags >> flag_bits[i] & 1)) continue;
    fprintf(out, "%s\"%s\"", comma, flag_names[i]);
    comma = ",";
  }
  fprintf(out, "]");
}

static void print_large(FILE *out, const unsigned char *folio, uint64_t head_address) {
  uint64_t flags = word_at(folio, large_flags);
  int order = flags & 0xff;
  fprintf(out,
          ",\"order\":%d,\"mapcount\":%d,\"entire\":%d,\"nrPagesMapped\":%d,\"pincount\":%d,"
          "\"rmappable\":%d,\"partial\":%d",
          order, int_at(folio, large_mapcount) + 1, int_at(folio, large_entire) + 1,
          int_at(folio, large_nr_pages_mapped), int_at(folio, large_pincount),
          (int)(flags >> flag_rmappable & 1), (int)(flags >> flag_partial & 1));
  if (large_slot_ids >= 0) {
    uint64_t ids = word_at(folio, large_slot_ids);
    fprintf(out, ",\"slots\":[[%u,%d],[%u,%d]],\"maybeShared\":%d", (unsigned)ids & 0x7fffffff,
            int_at(folio, large_slot_counts) + 1, (unsigned)(ids >> 32) & 0x7fffffff,
            int_at(folio, large_slot_counts + 4) + 1, (int)(ids >> 63));
  }
  if (order < 2) return;
  uint64_t next = word_at(folio, large_deferred);
  fprintf(out, ",\"deferred\":%d", next != 0 && next != head_address + large_deferred);
}

static void print_folio(FILE *out, const struct page_seen *seen, const unsigned char *folio) {
  fprintf(out, "{\"frame\":%" PRIu64, seen->head);
  if (seen->kflags & KPF_ZERO) {
    fprintf(out, ",\"zero\":1,\"order\":%d}", seen->kflags & KPF_THP ? 9 : 0);
    return;
  }
  uint64_t mapping = word_at(folio, folio_mapping);
  uint64_t target = mapping & ~MAPPING_KIND;
  if ((mapping & MAPPING_KIND) == MAPPING_KSM) {
    print_ksm(out, target);
  } else if ((mapping & MAPPING_KIND) == MAPPING_ANON) {
    fprintf(out, ",\"av\":\"%" PRIx64 "\"", target);
  } else if (target) {
    fprintf(out, ",\"file\":\"%" PRIx64 "\"", target);
  }
  fprintf(out, ",\"index\":%" PRIu64 ",\"refs\":%d", word_at(folio, folio_index),
          int_at(folio, page_refcount));
  if (seen->kflags & KPF_HUGE) fprintf(out, ",\"hugetlb\":1");
  if (word_at(folio, page_flags) >> flag_head & 1)
    print_large(out, folio, vmemmap_base + seen->head * page_bytes);
  else
    fprintf(out, ",\"order\":0,\"mapcount\":%d", int_at(folio, page_mapcount) + 1);
  print_flags(out, word_at(folio, page_flags));
  fprintf(out, "}");
}

void print_folios(FILE *out) {
  static struct table64 known;
  static size_t *first_pages, first_room;
  static uint64_t *addresses;
  static unsigned char *objects;
  static size_t address_room, object_room;
  /* Head and the next three struct pages hold all of a folio. */
  size_t bytes = 4 * page_bytes;
  size_t count = 0;
  table64_clear(&known);
  for (size_t i = 0; i < page_count; i++) {
    if (!(pages[i].map & PAGEMAP_PRESENT)) continue;
    if (table64_put(&known, pages[i].head + 1, count) != count) continue;
    first_pages = grow(first_pages, &first_room, count + 1, sizeof *first_pages);
    addresses = grow(addresses, &address_room, count + 1, sizeof *addresses);
    addresses[count] = vmemmap_base + pages[i].head * page_bytes;
    first_pages[count++] = i;
  }
  objects = grow(objects, &object_room, count, bytes);
  if (read_each(addresses, count, bytes, objects)) refuse("cannot read the memory map");
  fprintf(out, "[");
  for (size_t i = 0; i < count; i++) {
    if (i) fprintf(out, ",");
    print_folio(out, &pages[first_pages[i]], objects + i * bytes);
  }
  fprintf(out, "]");
}
