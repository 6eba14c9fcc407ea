/*
 * chains: prints the anon_vma chains of processes as one line of JSON. It changes nothing.
 *
 *   chains OBJECT.bpf.o < pids
 *
 * Addresses of kernel objects do not leave it: mm and anon_vma are numbered as they are met. A
 * process that is gone has no VMAs.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chains_shared.h"
#include "kernel_memory.h"

static struct bpf_program *program;
static struct table64 mm_rows, anon_vma_rows;
static unsigned char *is_dead;
static size_t dead_room;

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments) {
  (void)level, (void)format, (void)arguments;
  return 0;
}

static uint32_t type_bytes(const struct btf *types, const char *name) {
  int id = btf__find_by_name_kind(types, name, BTF_KIND_STRUCT);
  return id < 0 ? 0 : btf__type_by_id(types, id)->size;
}

static void open_program(const char *path) {
  libbpf_set_print(quiet);
  struct bpf_object *object = bpf_object__open_file(path, NULL);
  if (!object) refuse("cannot open %s: %s", path, strerror(errno));
  if (bpf_object__load(object))
    refuse("the kernel did not accept the BPF program: %s", strerror(errno));
  program = bpf_object__find_program_by_name(object, "emit_chain");
  if (!program) refuse("the BPF object lacks a program");
}

/* Reads all records of a process; returns their length in bytes. */
static size_t read_chains(int pid, char **records, size_t *room) {
  union bpf_iter_link_info info = {.task = {.tid = pid}};
  LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof info);
  struct bpf_link *link = bpf_program__attach_iter(program, &options);
  if (!link && errno == ESRCH) return 0;
  if (!link) refuse("cannot iterate over the VMAs of process %d: %s", pid, strerror(errno));
  int stream = bpf_iter_create(bpf_link__fd(link));
  if (stream < 0) refuse("cannot create a VMA iterator: %s", strerror(errno));
  size_t bytes = 0;
  for (;;) {
    *records = grow(*records, room, bytes + (1 << 16), 1);
    ssize_t got = read(stream, *records + bytes, *room - bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0 && errno == ESRCH) break;
    if (got < 0) refuse("reading the VMAs of process %d: %s", pid, strerror(errno));
    if (got == 0) break;
    bytes += got;
  }
  close(stream);
  bpf_link__destroy(link);
  return bytes;
}

static uint32_t number_of(uint64_t word) {
  uint32_t row = table64_put(&anon_vma_rows, word & ~CHAIN_ENTRY_DEAD, anon_vma_rows.count);
  is_dead = grow(is_dead, &dead_room, row + 1, 1);
  is_dead[row] = word & CHAIN_ENTRY_DEAD;
  return row;
}

/* [length of the chain, own anon_vma or -1, entries …] */
static void print_chain(const struct chain_record *record, const uint64_t *entries) {
  printf("[%u,", record->length);
  if (record->anon_vma) printf("%u", number_of(record->anon_vma));
  else printf("-1");
  for (uint32_t i = 0; i < record->listed; i++) printf(",%u", number_of(entries[i]));
  printf("]");
}

static void print_process(int pid, const char *records, size_t bytes) {
  const struct chain_record *first = (const void *)records;
  uint32_t mm = table64_put(&mm_rows, first->mm, mm_rows.count);
  size_t vma_count = 0;
  printf("{\"pid\":%d,\"mm\":%u,\"chains\":[", pid, mm);
  const char *separator = "";
  for (size_t at = 0; at < bytes; vma_count++) {
    const struct chain_record *record = (const void *)(records + at);
    at += sizeof *record + record->listed * sizeof(uint64_t);
    if (!record->length && !record->anon_vma) continue;
    printf("%s", separator);
    print_chain(record, (const uint64_t *)(record + 1));
    separator = ",";
  }
  printf("],\"vmas\":%zu}", vma_count);
}

int main(int argc, char **argv) {
  static char output[1 << 16];
  char *records = NULL;
  size_t room = 0;
  if (argc != 2) refuse("usage: chains OBJECT.bpf.o < pids");
  setvbuf(stdout, output, _IOFBF, sizeof output);
  struct btf *types = btf__load_vmlinux_btf();
  if (!types) refuse("this kernel has no BTF type information (/sys/kernel/btf/vmlinux)");
  open_program(argv[1]);
  printf("{\"anonVmaBytes\":%u,\"chainBytes\":%u,\"processes\":[", type_bytes(types, "anon_vma"),
         type_bytes(types, "anon_vma_chain"));
  const char *separator = "";
  for (int pid; scanf("%d", &pid) == 1;) {
    size_t bytes = read_chains(pid, &records, &room);
    if (!bytes) continue;
    printf("%s", separator);
    print_process(pid, records, bytes);
    separator = ",";
  }
  printf("],\"dead\":[");
  for (size_t i = 0; i < anon_vma_rows.count; i++)
    printf("%s%d", i ? "," : "", is_dead[i]);
  printf("]}\n");
  return 0;
}
