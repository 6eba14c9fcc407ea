/* Read access to the running kernel's memory, through the programs of observer.bpf.c. */
#ifndef RMAP_KERNEL_MEMORY_H
#define RMAP_KERNEL_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "observer_shared.h"

#define PAGE_BYTES 4096
#define ENTRIES_PER_TABLE 512

/* Prints {"error": …} on stdout, which is what the caller reads, and exits with 3. */
void refuse(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

void *grow(void *array, size_t *room, size_t needed, size_t item_bytes);

void kernel_open(const char *bpf_object_path);

/* Byte offset of a member of a kernel struct; −1 where this kernel has no such member. */
long field_offset(const char *type, const char *member);
/* The same, but the observer cannot do without. */
size_t need_field(const char *type, const char *member);
size_t type_size(const char *type);
/* Value of an enumerator; −1 where this kernel has none of that name. */
long enum_value(const char *type, const char *name);

/* Reads `count` objects of `length` bytes each. A failed read leaves zeros; returns how many. */
size_t read_each(const uint64_t *addresses, size_t count, uint32_t length, void *out);
/* VMAs of a process in address order; `records` grows. Returns how many. */
size_t read_vmas(int pid, struct vma_record **records, size_t *room);

extern uint64_t vmemmap_base;
extern uint64_t direct_map_base;
extern int page_table_levels;

/* Finds vmemmap_base, direct_map_base and the number of levels on a page of our own. */
void find_memory_layout(void);

/* Page tables read so far are kept until this is called. */
void forget_tables(void);
/* The table at a physical address: 512 entries. */
const uint64_t *table_at(uint64_t physical);

enum entry_level { LEVEL_PTE, LEVEL_PMD, LEVEL_PUD, LEVEL_NONE };
/*
 * Looks up the table that holds the entry of a virtual page: on LEVEL_PTE `*table` is the PTE
 * table; on PMD and PUD `*leaf` is the leaf entry; on NONE there is nothing below `*skip` pages.
 */
enum entry_level walk_tables(uint64_t pgd, uint64_t page, const uint64_t **table, uint64_t *leaf,
                             uint64_t *skip);

/* Map from 64-bit keys (never 0) to small numbers. */
struct table64 {
  uint64_t *keys;
  uint32_t *values;
  size_t slots;
  size_t count;
};
void table64_clear(struct table64 *table);
/* Value of the key; `fresh` is stored and returned when the key is new. */
uint32_t table64_put(struct table64 *table, uint64_t key, uint32_t fresh);
/* Value of the key or UINT32_MAX. */
uint32_t table64_get(const struct table64 *table, uint64_t key);

#endif
