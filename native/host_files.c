/* Files of the scenario. The server holds one descriptor of each, and reads and writes through it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "host.h"

#define FILES 256
static int files[FILES]; /* descriptor + 1 by the file's number */

int file_descriptor_of(long file) {
  return file >= 0 && file < FILES ? files[file] - 1 : -1;
}

void close_files(void) {
  for (int i = 0; i < FILES; i++) {
    if (files[i]) close(files[i] - 1);
    files[i] = 0;
  }
}

static void make_file(const struct operation *operation, struct answer *answer) {
  int file = -1;
  if (!strcmp(operation->kind, "memfd")) file = memfd_create("rmap", MFD_CLOEXEC);
  if (!strcmp(operation->kind, "memfd_hugetlb")) file = memfd_create("rmap", MFD_CLOEXEC | MFD_HUGETLB);
  if (!strcmp(operation->kind, "tmp")) {
    /* Without a name from the start: nothing is left behind, whatever happens. */
    file = open(work_directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  }
  if (file < 0 || ftruncate(file, operation->n * PAGE_BYTES)) {
    fail_with(answer, errno);
    if (file >= 0) close(file);
    return;
  }
  if (operation->file < 0 || operation->file >= FILES) {
    fail_with(answer, EMFILE);
    close(file);
    return;
  }
  if (files[operation->file]) close(files[operation->file] - 1);
  files[operation->file] = file + 1;
  struct stat status;
  if (fstat(file, &status)) return;
  answer->has_file = 1;
  answer->device_major = major(status.st_dev);
  answer->device_minor = minor(status.st_dev);
  answer->inode = status.st_ino;
}

static void write_file(const struct operation *operation, struct answer *answer, int file) {
  static char page[PAGE_BYTES];
  memcpy(page, &operation->v, sizeof operation->v);
  for (long i = 0; i < operation->n; i++)
    if (pwrite(file, page, PAGE_BYTES, (operation->at + i) * PAGE_BYTES) != (ssize_t)PAGE_BYTES) {
      fail_with(answer, errno);
      return;
    }
  fsync(file);
}

static void read_file(const struct operation *operation, struct answer *answer, int file) {
  answer->has_values = 1;
  for (long i = 0; i < operation->n; i++) {
    uint64_t value = 0;
    ssize_t bytes = pread(file, &value, sizeof value, (operation->at + i) * PAGE_BYTES);
    if (bytes < 0) fail_with(answer, errno);
    /* Beyond the end of the file: a failure without an errno. */
    if (bytes == 0) fail_with(answer, -1);
    add_value(answer, VALUE_WORD, value);
  }
}

int run_on_file(const struct operation *operation, struct answer *answer) {
  const char *name = operation->name;
  int is_write = !strcmp(name, "filewrite"), is_read = !strcmp(name, "fileread");
  int is_size = !strcmp(name, "ftruncate"), is_punch = !strcmp(name, "punch");
  if (!strcmp(name, "file")) {
    make_file(operation, answer);
    return 1;
  }
  if (!is_write && !is_read && !is_size && !is_punch) return 0;
  int file = file_descriptor_of(operation->file);
  if (file < 0) {
    fail_with(answer, EBADF);
  } else if (is_write) {
    write_file(operation, answer, file);
  } else if (is_read) {
    read_file(operation, answer, file);
  } else if (is_size) {
    if (ftruncate(file, operation->n * PAGE_BYTES)) fail_with(answer, errno);
  } else if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       operation->at * PAGE_BYTES, operation->n * PAGE_BYTES)) {
    fail_with(answer, errno);
  }
  return 1;
}
