/*
 * A host with many processes: one process that forks as many children as wanted. Child k writes
 * the k-th hundredth of 4 MiB; 80 small mappings as real programs have them. All map a memory file
 * and a shared memory segment of 1 MiB, and have the file open.
 *
 *   forked_family CHILDREN   prints "PID SEGMENT" when all are there, and ends; they stay, in a
 *                            process group of their own, until it is killed
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#define MEMORY_BYTES (4L << 20)
#define SHARED_BYTES (1L << 20)
#define PART_BYTES (MEMORY_BYTES / 100 & ~4095L)

static void *map(unsigned long at, long bytes, int protection)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	return mmap((void *)at, bytes, protection, flags, -1, 0);
}

/* Returns the segment's number. */
static int share_memory(void)
{
	int file = memfd_create("forked family", 0);
	int segment = shmget(IPC_PRIVATE, SHARED_BYTES, IPC_CREAT | 0600);

	if (file < 0 || segment < 0 || ftruncate(file, SHARED_BYTES))
		exit(1);
	memset(mmap(0, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), 1, SHARED_BYTES);
	memset(shmat(segment, 0, 0), 1, SHARED_BYTES);
	shmctl(segment, IPC_RMID, 0);
	return segment;
}

/* Who waits for our output sees its end. */
static void let_go_of_output(void)
{
	close(0);
	close(1);
	close(2);
}

static void be_family(int children, int ready)
{
	char *memory = map(0x100000000000, MEMORY_BYTES, PROT_READ | PROT_WRITE);
	int segment;

	setpgid(0, 0);
	memset(memory, 1, MEMORY_BYTES);
	for (long i = 0; i < 80; i++)
		map(0x110000000000 + i * 0x100000, 4096, i & 1 ? PROT_READ : PROT_NONE);
	segment = share_memory();
	for (int i = 0; i < children; i++) {
		char byte = 1;

		if (fork())
			continue;
		let_go_of_output();
		memset(memory + i % 100 * PART_BYTES, 2, PART_BYTES);
		if (write(ready, &byte, 1) == 1)
			pause();
		_exit(1);
	}
	printf("%d %d\n", getpid(), segment);
	fflush(stdout);
	let_go_of_output();
	pause();
}

int main(int argc, char **argv)
{
	int children = argc == 2 ? atoi(argv[1]) : 0, ready[2];
	char byte;

	if (children < 1 || pipe(ready))
		return 2;
	if (!fork())
		be_family(children, ready[1]);
	close(ready[1]);
	for (int i = 0; i < children; i++)
		if (read(ready[0], &byte, 1) != 1)
			return 1;
	return 0;
}
