/*
 * Where the memory of a starting program comes from. The kernel gives it page
 * by page, as each is touched: hundreds of page faults before main begins, a
 * quarter of the time of a small command on a virtual machine. Here it is asked
 * for in pieces that are as large as what will be used. Where the kernel knows
 * no such request, and where this file is left out, it comes page by page.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory.h"

#if defined(__GLIBC__) && defined(__LP64__) && !defined(__SANITIZE_ADDRESS__)

#define KIB (1UL << 10)
#define MIB (1UL << 20)

/* What Go maps for its heap at a time (src/runtime/mheap.go, (*mheap).grow; pallocChunkBytes). */
#define HEAP_PIECE (4 * MIB)

/* What Go maps at a time for its own records of the heap (src/runtime/malloc.go, persistentChunkSize). */
#define RECORDS (256 * KIB)

/* include/uapi/asm-generic/mman-common.h, Linux 5.14. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/*
 * mmap is libc's, for the program itself: Go's runtime maps all its memory by
 * it (src/runtime/cgo/gcc_mmap.c).
 *
 * The heap begins anywhere in its first piece (GOEXPERIMENT randomizedheapbase64)
 * and a small command fills it and a part of the second. They get huge pages
 * where the kernel gives those to who asks (transparent_hugepage/enabled:
 * madvise, as Fedora and Ubuntu have it). The others are for Go to decide.
 */
void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	static int pieces; /* the runtime grows its heap under a lock */
	bool memory = (flags & MAP_ANONYMOUS) && prot == (PROT_READ | PROT_WRITE);
	bool placed = flags & MAP_FIXED;

	if (memory && !placed && length <= RECORDS)
		flags |= MAP_POPULATE;
	void *p = (void *)syscall(SYS_mmap, addr, length, prot, flags, fd, offset);
	if (p != MAP_FAILED && memory && placed && length >= HEAP_PIECE && pieces < 2) {
		pieces++;
		(void)madvise(p, length, MADV_HUGEPAGE);
	}
	return p;
}

/*
 * Go's variables, most of which the initializers of packages write: all that
 * have a value in the file, and of those that begin as zero the ones that hold
 * pointers, which the linker puts first; large tables follow.
 */
#define ZEROED (160 * KIB)

void take_memory(void)
{
	extern char __data_start[], _edata[], _end[];
	uintptr_t page = (uintptr_t)getpagesize();
	uintptr_t start = ((uintptr_t)__data_start + page - 1) & -page;
	uintptr_t end = (uintptr_t)_edata + ZEROED;

	if (end > (uintptr_t)_end)
		end = (uintptr_t)_end;
	end &= -page;
	if (start < end)
		(void)madvise((void *)start, end - start, MADV_POPULATE_WRITE);
}

#else

void take_memory(void) {}

#endif
