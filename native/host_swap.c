/* Swap areas: a compressed RAM disk of our own, or a file. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "host.h"

#define SWAP_BYTES (64l << 20)

static char swap_path[256]; /* the active area */
static char zram_path[64]; /* kept from scenario to scenario */

static int make_swap_area(const char *path, long bytes) {
  static union {
    char page[PAGE_BYTES];
    struct {
      char boot[1024];
      uint32_t version, last_page, bad_pages;
    } info;
  } header;
  header.info.version = 1;
  header.info.last_page = bytes / PAGE_BYTES - 1;
  memcpy(header.page + PAGE_BYTES - 10, "SWAPSPACE2", 10);
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return errno;
  int error = pwrite(file, header.page, PAGE_BYTES, 0) == (ssize_t)PAGE_BYTES && !fsync(file) ? 0 : errno;
  close(file);
  return error;
}

static int make_zram(void) {
  char path[128], number[24];
  long device = get_number("/sys/class/zram-control/hot_add");
  if (device < 0) return ENODEV;
  snprintf(number, sizeof number, "%ld", device);
  journal_note("zram", number, NULL);
  snprintf(path, sizeof path, "/sys/block/zram%ld/disksize", device);
  char bytes[32];
  snprintf(bytes, sizeof bytes, "%ld", SWAP_BYTES);
  int error = put_text(path, bytes);
  if (error) return error;
  snprintf(path, sizeof path, "/dev/zram%ld", device);
  for (int i = 0; i < 200 && access(path, F_OK); i++) usleep(1000);
  error = make_swap_area(path, SWAP_BYTES);
  if (!error) strcpy(zram_path, path);
  return error;
}

static int make_swap_file(char *path, size_t room) {
  snprintf(path, room, "%s/rmap-live-%d.swap", work_directory, getpid());
  journal_note("unlink", path, NULL);
  unlink(path);
  int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return errno;
  int error = posix_fallocate(file, 0, SWAP_BYTES);
  close(file);
  return error ? error : make_swap_area(path, SWAP_BYTES);
}

int start_swap(const char *kind) {
  char path[sizeof swap_path];
  int error = 0;
  if (*swap_path) return EBUSY;
  if (!strcmp(kind, "file")) {
    error = make_swap_file(path, sizeof path);
  } else {
    if (!*zram_path) error = make_zram();
    strcpy(path, zram_path);
  }
  if (error) return error;
  journal_note("swapoff", path, NULL);
  if (swapon(path, 0)) return errno;
  strcpy(swap_path, path);
  return 0;
}

int stop_swap(void) {
  if (!*swap_path) return EINVAL;
  int error = swapoff(swap_path) ? errno : 0;
  if (!error && strcmp(swap_path, zram_path)) unlink(swap_path);
  if (!error) *swap_path = 0;
  return error;
}

void end_swap(void) {
  if (*swap_path) stop_swap();
}
