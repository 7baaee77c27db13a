/* Counters: read by the program itself, as text, or by other programs while it runs.
 *
 * terrane_space_stats (terrane/space.h) and terrane_pool_stats (terrane/pool.h) fill the structs.
 * Reading them costs O(1): nothing is walked. */
#ifndef TERRANE_STATS_H
#define TERRANE_STATS_H

#include <stddef.h>
#include <stdint.h>
#include <terrane/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Layout version of struct terrane_stats; fields are only ever added at its end. */
#define TERRANE_STATS_VERSION 1

/* What a space has done and holds. All sizes in bytes. A field is exact when no thread is inside
 * the library; while threads run, fields may be a few operations apart from each other. */
struct terrane_stats {
    uint64_t version; /* TERRANE_STATS_VERSION */

    uint64_t window_bytes;   /* addresses reserved for runs */
    uint64_t meta_bytes;     /* descriptors, tables and caches that may be resident, at most */
    uint64_t run_bytes;      /* runs handed out, page-rounded: what users and heaps hold */
    uint64_t run_bytes_peak; /* its maximum so far */
    uint64_t dirty_bytes;    /* free runs whose pages are still resident (warm) */
    uint64_t small_bytes;    /* part of run_bytes that is blocks of size classes */
    uint64_t large_bytes;    /* part of run_bytes that is large objects */

    uint64_t mappings;        /* kernel mappings that moves, aliases, guards and advice cost now */
    uint64_t mappings_budget; /* most that it allows itself */

    uint64_t commits;         /* ranges made usable */
    uint64_t discards;        /* calls that gave pages back */
    uint64_t discard_bytes;   /* pages given back */
    uint64_t moves;           /* ranges moved by page table */
    uint64_t move_bytes;      /* bytes moved by page table instead of being copied */
    uint64_t copies;          /* resizes and moves that copied */
    uint64_t copy_bytes;      /* bytes copied by them */
    uint64_t grown_in_place;  /* resizes of large objects that needed neither */
    uint64_t aliases;         /* ranges aliased */
    uint64_t alias_bytes;     /* bytes aliased instead of being copied */
    uint64_t budget_refusals; /* moves and aliases that copied for want of mappings */

    uint64_t large_allocs;  /* large objects allocated */
    uint64_t large_frees;   /* large objects freed */
    uint64_t remote_frees;  /* objects freed by another thread than their heap's owner */
    uint64_t heaps;         /* heaps that exist, adopted ones included */
    uint64_t adoptions;     /* heaps taken over from ended threads */
    uint64_t small_refills; /* batches taken from spans into heaps' caches; a heap adds its
                               own by sixteens and when it is trimmed */
    uint64_t small_flushes; /* batches returned */
};

struct terrane_space;

/* ---- as text ---- */

/* Writes the counters of a space and of its pool, by order of run as well; NULL: of all spaces of
 * the process, and their sums. JSON is one object; OpenMetrics is what Prometheus scrapes.
 *
 * As snprintf: at most `size` bytes are written, always terminated, and the length of the whole
 * text comes back (without its terminator), so (NULL, 0) asks for it. The counters go on changing:
 * give some room more. A space has about 14 KB of JSON, 35 KB of OpenMetrics. Any thread; nothing
 * is allocated. -EINVAL: `text` is NULL and `size` is not 0. */
TERRANE_API int terrane_stats_json(struct terrane_space *space, char *text, size_t size);
TERRANE_API int terrane_stats_openmetrics(struct terrane_space *space, char *text, size_t size);

/* ---- for other programs ---- */

/* Keeps a page with the counters of all spaces of the process, which `terrane stat PID` reads: an
 * invisible file that an open descriptor of a high number holds (`dir` NULL), or the file
 * `dir`/terrane-stat.PID, where `dir` is an absolute path. It is brought up to date at most every
 * 5 ms, whenever the pool has work to do. A program has one page.
 * The child of fork does not have the page, and may publish one of its own.
 * Errors: -EALREADY (there is one), -EINVAL (`dir` is not absolute), -ENAMETOOLONG, -ENOTSUP, or
 * what creating a file gives: -ENOENT, -EACCES, -ENOSPC, -EMFILE, -ENOMEM ... */
TERRANE_API int terrane_stats_publish(const char *dir);

/* Brings the page up to date now. Nothing happens without one. */
TERRANE_API void terrane_stats_refresh(void);

/* Takes the last snapshot and removes the page. Nothing happens without one. */
TERRANE_API void terrane_stats_unpublish(void);

#ifdef __cplusplus
}
#endif

#endif
