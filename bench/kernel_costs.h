/* What the workers of `bench kernel` share: windows of addresses, backings, and the report.
 *
 * A figure is the median of repeated operations in one process. What this machine does not have is
 * not an error: the report then holds a note instead of the figure. */
#ifndef TERRANE_BENCH_KERNEL_COSTS_H
#define TERRANE_BENCH_KERNEL_COSTS_H

#include "samples.h"

#include <sys/mman.h>

#define PAGE_BYTES 4096u
#define ALIGN_1G   ((size_t)1 << 30)
#define ALIGN_2M   ((size_t)2 << 20)

/* Ends the worker with a note in place of figures. */
static inline _Noreturn void costs_not_here(struct worker *worker, const char *what)
{
    char note[160];
    snprintf(note, sizeof(note), "not available here: %s (%s)", what, strerror(errno));
    worker->length = 0;
    worker_note(worker, note);
    exit(worker_report(worker));
}

static inline int costs_report(struct worker *worker, struct samples *samples)
{
    worker_figure(worker, "cost_s", samples_median(samples));
    return worker_report(worker);
}

/* Inaccessible addresses of `size` bytes aligned to `align`. */
static inline unsigned char *costs_reserve(size_t size, size_t align)
{
    unsigned char *window =
        mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (window == MAP_FAILED)
        worker_fail("cannot reserve %zu bytes", size + align);
    return window + (align - (uintptr_t)window % align) % align;
}

/* Reads (or writes) one byte in each page. */
static inline void costs_read_pages(const unsigned char *memory, size_t size)
{
    for (size_t at = 0; at < size; at += PAGE_BYTES)
        (void)*(const volatile unsigned char *)(memory + at);
}

static inline void costs_write_pages(unsigned char *memory, size_t size)
{
    for (size_t at = 0; at < size; at += PAGE_BYTES)
        *(volatile unsigned char *)(memory + at) = 1;
}

enum costs_backing { COSTS_PRIVATE, COSTS_PRIVATE_HUGE, COSTS_MEMFD, COSTS_MEMFD_HUGE };

static inline enum costs_backing costs_backing_of(const char *name)
{
    static const char *const names[] = {"private", "private-huge", "memfd", "memfd-huge"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0)
            return (enum costs_backing)i;
    }
    worker_fail("unknown backing '%s'", name);
}

/* A file in memory of `size` bytes for a memfd backing; -1 for a private one. */
static inline int costs_file(struct worker *worker, enum costs_backing backing, size_t size)
{
    if (backing == COSTS_PRIVATE || backing == COSTS_PRIVATE_HUGE)
        return -1;
    const unsigned flags = backing == COSTS_MEMFD_HUGE ? MFD_HUGETLB | MFD_CLOEXEC : MFD_CLOEXEC;
    const int file = memfd_create("costs", flags);
    if (file < 0 || ftruncate(file, (off_t)size) != 0)
        costs_not_here(worker, "memfd");
    return file;
}

/* Maps at `address`; pages are not yet touched. */
static inline void costs_map(struct worker *worker, unsigned char *address, size_t size,
                             enum costs_backing backing, int file)
{
    const int flags = MAP_FIXED | (file >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
    if (mmap(address, size, PROT_READ | PROT_WRITE, flags, file, 0) == MAP_FAILED)
        costs_not_here(worker, backing == COSTS_MEMFD_HUGE ? "free pages in the huge-page pool"
                                                           : "a mapping");
    if (backing == COSTS_PRIVATE_HUGE && madvise(address, size, MADV_HUGEPAGE) != 0)
        costs_not_here(worker, "transparent huge pages");
    if (backing == COSTS_PRIVATE)
        madvise(address, size, MADV_NOHUGEPAGE);
}

#endif
