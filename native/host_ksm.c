/* ksmd, one full scan at a time. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

#define KSM "/sys/kernel/mm/ksm/"

static int ksm_used;

static char ksmd_state(void) {
  static int ksmd;
  char path[300], text[512] = "";
  DIR *proc = ksmd ? NULL : opendir("/proc");
  for (struct dirent *entry; proc && (entry = readdir(proc));) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    if (read(file, text, 5) == 5 && !strncmp(text, "ksmd\n", 5)) ksmd = atoi(entry->d_name);
    close(file);
  }
  if (proc) closedir(proc);
  snprintf(path, sizeof path, "/proc/%d/stat", ksmd);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 'S';
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  text[length > 0 ? length : 0] = 0;
  char *state = strstr(text, ") ");
  return state ? state[2] : 'S';
}

static void nudge_ksmd(void) {
  static int turn = 1;
  char text[32];
  /* ksmd sleeps a minute between scans, and wakes whenever this value changes: at first it is
     60000, from the fixed environment. */
  snprintf(text, sizeof text, "%d", 60000 + (turn++ & 1));
  put_text(KSM "sleep_millisecs", text);
}

/*
 * Lets ksmd make exactly so many passes. A pass is one wake-up, since pages_to_scan is larger
 * than any scenario. Asleep ('S') it waits for the next wake-up: within a pass it never is.
 */
void scan_ksm(long scans) {
  long before = get_number(KSM "full_scans");
  ksm_used = 1;
  put_text(KSM "run", "1");
  for (long pass = 1; pass <= scans; pass++) {
    int asleep = 0, nudges = 0;
    if (pass > 1) nudge_ksmd();
    while (get_number(KSM "full_scans") < before + pass) {
      usleep(300);
      asleep = ksmd_state() == 'S' ? asleep + 1 : 0;
      if (asleep < 10) continue;
      /* No process is mergeable (any more): ksmd has nothing to do. */
      if (pass == 1 || ++nudges > 5) goto stop;
      nudge_ksmd();
      asleep = 0;
    }
  }
stop:
  put_text(KSM "run", "0");
  nudge_ksmd();
}

int unmerge_ksm(void) {
  int error = put_text(KSM "run", "2");
  put_text(KSM "run", "0");
  return error;
}

/* Merged pages of dead processes would meet those of the next scenario. */
void end_ksm(void) {
  if (ksm_used) unmerge_ksm();
  ksm_used = 0;
}
