/*
 * Global settings with a journal. Before anything outside our own processes is changed, the way
 * back goes into DIRECTORY/journal; settings_restore walks it backwards and removes it. A journal
 * that is there at the start comes from a run that was killed: it is undone first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "actor.h"

#define NOTES 512
#define LOCK_POLL_MS 20
static char journal_path[256];
static char *noted[NOTES]; /* "action\tpath", so that only the first value is kept */
static int note_count;
static int lock_file = -1;

static int write_text(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  int error = write(file, text, strlen(text)) < 0 ? errno : 0;
  close(file);
  return error;
}

/* The present value; of a list of choices the one in brackets. */
static int read_setting(const char *path, char *value, size_t room) {
  char text[512];
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  ssize_t length = read(file, text, sizeof text - 1);
  int error = length < 0 ? errno : 0;
  close(file);
  if (error) return error;
  text[length] = 0;
  char *start = strchr(text, '[');
  char *end = start ? strchr(++start, ']') : strchr(start = text, '\n');
  if (end) *end = 0;
  snprintf(value, room, "%.*s", (int)room - 1, start);
  return 0;
}

static void undo(char *line) {
  char *path = strchr(line, '\t');
  if (!path) return;
  *path++ = 0;
  char *value = strchr(path, '\t');
  if (value) *value++ = 0;
  if (!strcmp(line, "write") && value) write_text(path, value);
  if (!strcmp(line, "swapoff")) swapoff(path);
  if (!strcmp(line, "unlink")) unlink(path);
  if (!strcmp(line, "zram")) write_text("/sys/class/zram-control/hot_remove", path);
  for (int i = 0; !strcmp(line, "rmdir") && i < 300 && rmdir(path) && errno == EBUSY; i++)
    usleep(10000);
}

void settings_restore(void) {
  char text[65536];
  int file = open(journal_path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  text[length > 0 ? length : 0] = 0;
  /* Merged pages hold some KSM settings fast; the processes that had them are gone by now. */
  if (strstr(text, "/ksm/")) write_text("/sys/kernel/mm/ksm/run", "2");
  for (char *end; (end = strrchr(text, '\n'));) {
    *end = 0;
    char *line = strrchr(text, '\n');
    undo(line ? line + 1 : text);
  }
  unlink(journal_path);
  while (note_count) free(noted[--note_count]);
}

void journal_note(const char *action, const char *path, const char *value) {
  char line[512];
  snprintf(line, sizeof line, "%s\t%s", action, path);
  for (int i = 0; i < note_count; i++)
    if (!strcmp(noted[i], line)) return;
  if (note_count < NOTES) noted[note_count++] = strdup(line);
  snprintf(line, sizeof line, value ? "%s\t%s\t%s\n" : "%s\t%s\n", action, path, value);
  int file = open(journal_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0 || write(file, line, strlen(line)) != (ssize_t)strlen(line)) {
    printf("{\"error\":\"cannot write %s: %s\"}\n", journal_path, strerror(errno));
    fflush(stdout);
    settings_restore();
    _exit(3);
  }
  fsync(file);
  close(file);
}

int settings_write(const char *path, const char *value) {
  char present[256];
  int error = read_setting(path, present, sizeof present);
  if (error) return error;
  /* Also when it is right already: operations and the restoring itself may change it. */
  journal_note("write", path, present);
  return strcmp(present, value) ? write_text(path, value) : 0;
}

/* Not in the kernel: there we would not notice that our caller has gone. */
static void wait_for_lock(void) {
  struct pollfd input = {0, 0, 0};
  while (flock(lock_file, LOCK_EX | LOCK_NB))
    if (poll(&input, 1, LOCK_POLL_MS) > 0 && input.revents & (POLLHUP | POLLERR | POLLNVAL)) _exit(0);
}

void settings_open(const char *directory) {
  char path[256];
  mkdir(directory, 0700);
  snprintf(journal_path, sizeof journal_path, "%s/journal", directory);
  snprintf(path, sizeof path, "%s/lock", directory);
  lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_file < 0) {
    printf("{\"error\":\"cannot open %s: %s\"}\n", path, strerror(errno));
    fflush(stdout);
    _exit(3);
  }
  if (flock(lock_file, LOCK_EX | LOCK_NB)) {
    printf("{\"waiting\":1}\n");
    fflush(stdout);
    wait_for_lock();
  }
  settings_restore();
}
