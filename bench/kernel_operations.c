/*
 * Does operations on pages of its own, each in a new process, and prints how long the running
 * kernel took for it.
 *
 *   kernel_operations        reads lines "OPERATION PAGES", answers each with nanoseconds
 *
 * It lives as long as the benchmark does: a process that is spawned for every operation would
 * leave the benchmark's own memory to be copied on write, in the middle of what it measures.
 *
 * The operations are those of engine.bench.ts, prepared in the same way. Huge pages are kept out,
 * so that every page is a small one, as there.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096UL
/* A range that is free in every process of this kind. */
#define REGION ((char *)0x200000000000UL)
#define OTHER_REGION ((char *)0x300000000000UL)

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long long now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void map_region(size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

	if (mmap(REGION, bytes, PROT_READ | PROT_WRITE, flags, -1, 0) != REGION)
		die("mmap");
	madvise(REGION, bytes, MADV_NOHUGEPAGE);
}

static void write_pages(size_t bytes, char value)
{
	for (size_t at = 0; at < bytes; at += PAGE_BYTES)
		((volatile char *)REGION)[at] = value;
}

/* A child that lives until its pipe is closed. */
static int gate[2];

static pid_t fork_sleeper(void)
{
	pid_t child;

	if (pipe(gate))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		char byte;

		close(gate[1]);
		if (read(gate[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(gate[0]);
	return child;
}

static void end_sleeper(pid_t child)
{
	close(gate[1]);
	waitpid(child, NULL, 0);
}

static long long measure(const char *operation, size_t bytes)
{
	long long start, end;
	pid_t child = 0;

	map_region(bytes);
	if (strcmp(operation, "touch") != 0)
		write_pages(bytes, 1);
	if (!strcmp(operation, "reuse")) {
		end_sleeper(fork_sleeper());
	} else if (!strcmp(operation, "copy")) {
		child = fork_sleeper();
	}
	start = now_ns();
	if (!strcmp(operation, "touch") || !strcmp(operation, "reuse") ||
	    !strcmp(operation, "copy")) {
		write_pages(bytes, 2);
	} else if (!strcmp(operation, "fork")) {
		child = fork_sleeper();
	} else if (!strcmp(operation, "zap")) {
		if (munmap(REGION, bytes))
			die("munmap");
	} else if (!strcmp(operation, "mprotect")) {
		if (mprotect(REGION, bytes, PROT_READ) ||
		    mprotect(REGION, bytes, PROT_READ | PROT_WRITE))
			die("mprotect");
	} else if (!strcmp(operation, "mremap")) {
		/* One page off, so that page tables cannot be moved whole. */
		if (mremap(REGION, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
			   OTHER_REGION + PAGE_BYTES) == MAP_FAILED)
			die("mremap");
	} else {
		fprintf(stderr, "unknown operation: %s\n", operation);
		exit(2);
	}
	end = now_ns();
	if (child > 0)
		end_sleeper(child);
	return end - start;
}

/*
 * Measures in a child, so that every operation starts in a fresh address space. Answers when the
 * child is gone: taking its memory apart must not run into what is measured next.
 */
static int answer(const char *operation, size_t bytes)
{
	int status, result[2];
	long long elapsed_ns = 0;
	pid_t child;

	if (pipe(result))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		elapsed_ns = measure(operation, bytes);
		if (write(result[1], &elapsed_ns, sizeof elapsed_ns) < 0)
			_exit(1);
		_exit(0);
	}
	close(result[1]);
	if (waitpid(child, &status, 0) != child)
		die("waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status))
		return WEXITSTATUS(status);
	if (read(result[0], &elapsed_ns, sizeof elapsed_ns) != sizeof elapsed_ns)
		return 1;
	close(result[0]);
	printf("%lld\n", elapsed_ns);
	fflush(stdout);
	return 0;
}

int main(void)
{
	char operation[32];
	long pages;

	while (scanf("%31s %ld", operation, &pages) == 2) {
		int status = pages < 1 ? 2 : answer(operation, (size_t)pages * PAGE_BYTES);

		if (status)
			return status;
	}
	return 0;
}
