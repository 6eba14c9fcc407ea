/* Lines to operations, names to numbers. */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "actor.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

struct named {
  const char *name;
  int value;
};

static const struct named prots[] = {{"n", PROT_NONE},
                                     {"r", PROT_READ},
                                     {"w", PROT_WRITE},
                                     {"x", PROT_EXEC},
                                     {"rw", PROT_READ | PROT_WRITE},
                                     {"rx", PROT_READ | PROT_EXEC},
                                     {"wx", PROT_WRITE | PROT_EXEC},
                                     {"rwx", PROT_READ | PROT_WRITE | PROT_EXEC},
                                     {0, 0}};
static const struct named mmap_names[] = {{"private", MAP_PRIVATE},
                                          {"shared", MAP_SHARED},
                                          {"anon", MAP_ANONYMOUS},
                                          {"fixed", MAP_FIXED},
                                          {"hugetlb", MAP_HUGETLB},
                                          {"populate", MAP_POPULATE},
                                          {"locked", MAP_LOCKED},
                                          {"noreserve", MAP_NORESERVE},
                                          {"growsdown", MAP_GROWSDOWN},
                                          {"stack", MAP_STACK},
                                          {0, 0}};
static const struct named mremap_names[] = {{"none", 0},
                                            {"maymove", MREMAP_MAYMOVE},
                                            {"fixed", MREMAP_MAYMOVE | MREMAP_FIXED},
                                            {"dontunmap", MREMAP_MAYMOVE | 4},
                                            {0, 0}};
static const struct named advices[] = {{"normal", MADV_NORMAL},
                                       {"random", MADV_RANDOM},
                                       {"sequential", MADV_SEQUENTIAL},
                                       {"willneed", MADV_WILLNEED},
                                       {"dontneed", MADV_DONTNEED},
                                       {"free", MADV_FREE},
                                       {"remove", MADV_REMOVE},
                                       {"dontfork", MADV_DONTFORK},
                                       {"dofork", MADV_DOFORK},
                                       {"mergeable", MADV_MERGEABLE},
                                       {"unmergeable", MADV_UNMERGEABLE},
                                       {"hugepage", MADV_HUGEPAGE},
                                       {"nohugepage", MADV_NOHUGEPAGE},
                                       {"dontdump", MADV_DONTDUMP},
                                       {"dodump", MADV_DODUMP},
                                       {"wipeonfork", MADV_WIPEONFORK},
                                       {"keeponfork", MADV_KEEPONFORK},
                                       {"cold", MADV_COLD},
                                       {"pageout", MADV_PAGEOUT},
                                       {"populate_read", MADV_POPULATE_READ},
                                       {"populate_write", MADV_POPULATE_WRITE},
                                       {"dontneed_locked", MADV_DONTNEED_LOCKED},
                                       {"collapse", MADV_COLLAPSE},
                                       {"guard_install", MADV_GUARD_INSTALL},
                                       {"guard_remove", MADV_GUARD_REMOVE},
                                       {0, 0}};

static int value_of(const struct named *table, const char *name, size_t length) {
  for (; table->name; table++)
    if (strlen(table->name) == length && !strncmp(table->name, name, length)) return table->value;
  return -1;
}

static int joined_value(const struct named *table, const char *names) {
  int all = 0;
  for (const char *name = names;; name++) {
    size_t length = strcspn(name, "|");
    int value = value_of(table, name, length);
    if (value < 0) return -1;
    all |= value;
    name += length;
    if (!*name) return all;
  }
}

int protection_of(const char *letters) { return value_of(prots, letters, strlen(letters)); }
int mmap_flags_of(const char *names) { return joined_value(mmap_names, names); }
int mremap_flags_of(const char *names) { return joined_value(mremap_names, names); }
int advice_of(const char *name) { return value_of(advices, name, strlen(name)); }

const char *errno_name(int error) {
  const char *name = strerrorname_np(error);
  return name ? name : "EUNKNOWN";
}

#define NUMBER(field) {#field, offsetof(struct operation, field), 0}
#define TEXT(field) {#field, offsetof(struct operation, field), sizeof((struct operation *)0)->field}
static const struct {
  const char *key;
  size_t offset;
  size_t room; /* of text; 0: a number */
} op_fields[] = {NUMBER(p),       NUMBER(c),      NUMBER(q),           NUMBER(at),   NUMBER(n),
                 NUMBER(to),      NUMBER(new),    NUMBER(off),         NUMBER(id),   NUMBER(v),
                 NUMBER(onfault), NUMBER(on),     NUMBER(allow_holes), NUMBER(ms),   NUMBER(scans),
                 NUMBER(file),    NUMBER(wp),     TEXT(prot),          TEXT(flags),  TEXT(advice),
                 TEXT(kind),      TEXT(mode),     TEXT(features),      TEXT(path),   TEXT(value)};

static int set_field(struct operation *operation, const char *key, const char *value) {
  for (size_t i = 0; i < sizeof op_fields / sizeof *op_fields; i++) {
    if (strcmp(op_fields[i].key, key)) continue;
    char *field = (char *)operation + op_fields[i].offset;
    if (!op_fields[i].room) {
      char *end;
      errno = 0;
      *(long *)field = (long)strtoull(value, &end, 10);
      return !errno && end != value && !*end;
    }
    if (strlen(value) >= op_fields[i].room) return 0;
    strcpy(field, value);
    return 1;
  }
  return 0;
}

int parse_operation(char *line, struct operation *operation) {
  memset(operation, 0, sizeof *operation);
  char *rest = NULL;
  char *word = strtok_r(line, " \n", &rest);
  if (!word || strlen(word) >= sizeof operation->name) return 0;
  strcpy(operation->name, word);
  while ((word = strtok_r(NULL, " \n", &rest))) {
    char *equals = strchr(word, '=');
    if (!equals) return 0;
    *equals = 0;
    if (!set_field(operation, word, equals + 1)) return 0;
    if (!strcmp(word, "to")) operation->has_to = 1;
    if (!strcmp(word, "file")) operation->has_file = 1;
  }
  return 1;
}
