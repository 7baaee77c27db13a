/* Spaces: a reserved window of addresses and what backs it.
 *
 * A space is where heaps live. Its window costs addresses only; memory is used as far as it is
 * touched. All calls may be made from any thread.
 *
 * A process that locks its memory must give mlockall MCL_ONFAULT too: without it the kernel touches
 * every page of every window. (The drop-in malloc does so by itself.) */
#ifndef TERRANE_SPACE_H
#define TERRANE_SPACE_H

#include <stddef.h>
#include <stdint.h>
#include <terrane/stats.h>
#include <terrane/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A space; created by terrane_space_create, or the process's default one. */
struct terrane_space;

/* What a space's pages are. */
enum terrane_backing {
    TERRANE_BACKING_PRIVATE, /* anonymous memory; the fastest, the default */
    TERRANE_BACKING_MEMFD,   /* one memfd: ranges can be aliased and handed to other processes */
    TERRANE_BACKING_SCRATCH, /* one unlinked file in a directory: pages go to it without swap */
};

struct terrane_space_options {
    enum terrane_backing backing;
    size_t window_bytes;     /* 0: the larger of 1 TiB and 8 x RAM, halved until granted; else cut
                                to whole pages and blocks of 64 KiB, of which it needs one */
    size_t huge_page_bytes;  /* memfd only: 0 for ordinary pages, else 2 MiB or 1 GiB pages */
    const char *scratch_dir; /* scratch only: the directory; copied, need not outlive the call */
    size_t limit_bytes;      /* most bytes of runs handed out at a time; 0: none */
    size_t mappings_budget;  /* most kernel mappings; 0: half of vm.max_map_count */
    size_t move_min_bytes;   /* smaller objects are copied, not moved; 0: measured at run time */
    /* Private and memfd: 1 + the memory node that pages come from as long as it has any; 0: that of
     * the thread that touches them first. */
    unsigned numa_node_plus_one;
};

/* Creates a space. `options` may be NULL for a private one with defaults.
 * Errors: -EINVAL (options contradict each other, no such memory node), -ENOMEM (no addresses),
 * -ENOSPC, -EMFILE, -ENOTSUP (no such huge page here), -EFBIG (no file may be as large as the
 * window: RLIMIT_FSIZE), or what opening the scratch file gave (-ENOENT, -EACCES ...).
 * The caller owns the space. Cost: a few system calls, whatever the window's size. */
TERRANE_API int terrane_space_create(const struct terrane_space_options *options,
                                     struct terrane_space **out);

/* Destroys a space with all heaps and objects in it. Nobody may be using it. NULL is ignored.
 * The default space cannot be destroyed: -EINVAL. */
TERRANE_API int terrane_space_destroy(struct terrane_space *space);

/* The process's default space (private); created at the first call. NULL and errno on failure.
 * It lives as long as the process. */
TERRANE_API struct terrane_space *terrane_space_default(void);

/* Gives every warm free page of the space back to the kernel. Returns the bytes given back. */
TERRANE_API size_t terrane_space_trim(struct terrane_space *space);

/* Fills `*out`. O(1). */
TERRANE_API void terrane_space_stats(const struct terrane_space *space, struct terrane_stats *out);

#ifdef __cplusplus
}
#endif

#endif
