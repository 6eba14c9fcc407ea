#define _GNU_SOURCE
#include "kernel_memory.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct btf *kernel_types;
static struct bpf_program *vma_program;
static int peek_program;
static struct peek_request *requests;
static unsigned char *answers;

void refuse(const char *format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  for (char *c = message; *c; c++)
    if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ') *c = '\'';
  printf("{\"error\":\"%s\"}\n", message);
  fflush(stdout);
  exit(3);
}

void *grow(void *array, size_t *room, size_t needed, size_t item_bytes) {
  if (needed <= *room) return array;
  size_t wanted = *room ? *room : 64;
  while (wanted < needed) wanted *= 2;
  void *larger = realloc(array, wanted * item_bytes);
  if (!larger) refuse("out of memory for %zu items", wanted);
  *room = wanted;
  return larger;
}

static void *map_of(struct bpf_object *object, const char *name, size_t bytes) {
  struct bpf_map *map = bpf_object__find_map_by_name(object, name);
  if (!map) refuse("the BPF object has no map %s", name);
  void *memory = mmap(NULL, (bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1),
                      PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
  if (memory == MAP_FAILED) refuse("cannot map %s: %s", name, strerror(errno));
  return memory;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments) {
  if (level == LIBBPF_WARN) vfprintf(stderr, format, arguments);
  return 0;
}

void kernel_open(const char *bpf_object_path) {
  libbpf_set_print(quiet);
  kernel_types = btf__load_vmlinux_btf();
  if (!kernel_types) refuse("this kernel has no BTF type information (/sys/kernel/btf/vmlinux)");
  struct bpf_object *object = bpf_object__open_file(bpf_object_path, NULL);
  if (!object) refuse("cannot open %s: %s", bpf_object_path, strerror(errno));
  if (bpf_object__load(object))
    refuse("the kernel did not accept the BPF programs (%s): root and CONFIG_BPF_SYSCALL needed",
           strerror(errno));
  vma_program = bpf_object__find_program_by_name(object, "emit_vma");
  struct bpf_program *peek = bpf_object__find_program_by_name(object, "peek");
  if (!vma_program || !peek) refuse("the BPF object lacks a program");
  peek_program = bpf_program__fd(peek);
  requests = map_of(object, "peek_requests", sizeof *requests * PEEK_REQUESTS);
  answers = map_of(object, "peek_bytes", PEEK_BYTES + PEEK_LENGTH_MAX);
}

static const struct btf_type *plain_type(uint32_t id) {
  const struct btf_type *type = btf__type_by_id(kernel_types, id);
  while (type && (btf_is_mod(type) || btf_is_typedef(type)))
    type = btf__type_by_id(kernel_types, type->type);
  return type;
}

static long offset_in(const struct btf_type *type, const char *member) {
  const struct btf_member *members = btf_members(type);
  for (int i = 0; i < btf_vlen(type); i++) {
    const char *name = btf__name_by_offset(kernel_types, members[i].name_off);
    long offset = btf_member_bit_offset(type, i) / 8;
    if (!strcmp(name, member)) return offset;
    if (*name) continue;
    const struct btf_type *inner = plain_type(members[i].type);
    if (!inner || !btf_is_composite(inner)) continue;
    long below = offset_in(inner, member);
    if (below >= 0) return offset + below;
  }
  return -1;
}

long field_offset(const char *type, const char *member) {
  int id = btf__find_by_name_kind(kernel_types, type, BTF_KIND_STRUCT);
  return id < 0 ? -1 : offset_in(btf__type_by_id(kernel_types, id), member);
}

size_t need_field(const char *type, const char *member) {
  long offset = field_offset(type, member);
  if (offset < 0) refuse("this kernel's struct %s has no member %s", type, member);
  return offset;
}

size_t type_size(const char *type) {
  int id = btf__find_by_name_kind(kernel_types, type, BTF_KIND_STRUCT);
  if (id < 0) refuse("this kernel has no struct %s", type);
  return btf__type_by_id(kernel_types, id)->size;
}

long enum_value(const char *type, const char *name) {
  int id = btf__find_by_name_kind(kernel_types, type, BTF_KIND_ENUM);
  if (id < 0) return -1;
  const struct btf_type *found = btf__type_by_id(kernel_types, id);
  const struct btf_enum *values = btf_enum(found);
  for (int i = 0; i < btf_vlen(found); i++)
    if (!strcmp(btf__name_by_offset(kernel_types, values[i].name_off), name)) return values[i].val;
  return -1;
}

size_t read_each(const uint64_t *addresses, size_t count, uint32_t length, void *out) {
  size_t failures = 0;
  size_t per_run = PEEK_BYTES / length;
  if (per_run > PEEK_REQUESTS) per_run = PEEK_REQUESTS;
  for (size_t done = 0; done < count;) {
    uint32_t now = count - done < per_run ? count - done : per_run;
    for (uint32_t i = 0; i < now; i++) {
      struct peek_request request = {addresses[done + i], i * length, length, 0, 0};
      requests[i] = request;
    }
    LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &now, .ctx_size_in = sizeof now);
    if (bpf_prog_test_run_opts(peek_program, &run) || run.retval)
      refuse("reading kernel memory failed: %s", strerror(errno));
    for (uint32_t i = 0; i < now; i++) {
      if (!requests[i].failed) continue;
      memset(answers + i * length, 0, length);
      failures++;
    }
    memcpy((char *)out + done * length, answers, (size_t)now * length);
    done += now;
  }
  return failures;
}

size_t read_vmas(int pid, struct vma_record **records, size_t *room) {
  union bpf_iter_link_info info = {.task = {.pid = pid}};
  LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof info);
  struct bpf_link *link = bpf_program__attach_iter(vma_program, &options);
  if (!link) refuse("cannot iterate over the VMAs of process %d: %s", pid, strerror(errno));
  int stream = bpf_iter_create(bpf_link__fd(link));
  if (stream < 0) refuse("cannot create a VMA iterator: %s", strerror(errno));
  size_t bytes = 0;
  for (;;) {
    *records = grow(*records, room, bytes / sizeof **records + 1024, sizeof **records);
    ssize_t got = read(stream, (char *)*records + bytes, *room * sizeof **records - bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) refuse("reading the VMAs of process %d: %s", pid, strerror(errno));
    if (got == 0) break;
    bytes += got;
  }
  close(stream);
  bpf_link__destroy(link);
  return bytes / sizeof **records;
}

static size_t slot_of(const struct table64 *table, uint64_t key) {
  size_t slot = (key * 0x9e3779b97f4a7c15ull) >> 20 & (table->slots - 1);
  while (table->keys[slot] && table->keys[slot] != key) slot = (slot + 1) & (table->slots - 1);
  return slot;
}

void table64_clear(struct table64 *table) {
  if (table->slots) memset(table->keys, 0, table->slots * sizeof *table->keys);
  table->count = 0;
}

uint32_t table64_get(const struct table64 *table, uint64_t key) {
  if (!table->slots) return UINT32_MAX;
  size_t slot = slot_of(table, key);
  return table->keys[slot] ? table->values[slot] : UINT32_MAX;
}

uint32_t table64_put(struct table64 *table, uint64_t key, uint32_t fresh) {
  if (table->count * 2 >= table->slots) {
    struct table64 larger = {.slots = table->slots ? table->slots * 2 : 1024,
                             .count = table->count};
    larger.keys = calloc(larger.slots, sizeof *larger.keys);
    larger.values = calloc(larger.slots, sizeof *larger.values);
    if (!larger.keys || !larger.values) refuse("out of memory for a table");
    for (size_t i = 0; i < table->slots; i++) {
      if (!table->keys[i]) continue;
      size_t slot = slot_of(&larger, table->keys[i]);
      larger.keys[slot] = table->keys[i];
      larger.values[slot] = table->values[i];
    }
    free(table->keys);
    free(table->values);
    *table = larger;
  }
  size_t slot = slot_of(table, key);
  if (!table->keys[slot]) {
    table->keys[slot] = key;
    table->values[slot] = fresh;
    table->count++;
  }
  return table->values[slot];
}
