/* Regions: memory of one page up to terabytes, for programs that take and give back much of it.
 *
 * Every space has a pool. A region that is released stays warm, with its pages, first in a cache of
 * the releasing thread, then in lists that all threads share; what nobody wants for a while goes
 * back to the kernel along a smooth curve (terrane_pool_set_decay). A region is acquired from where
 * it is cheapest: own cache, shared warm regions, another thread's cache, clean addresses.
 *
 * All calls may be made from any thread; one region must not be used by two calls at a time. Where
 * a space is wanted, NULL is the default space. A region handed to another thread is simply used
 * and released there. */
#ifndef TERRANE_POOL_H
#define TERRANE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/heap.h>
#include <terrane/space.h>
#include <terrane/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A region in use: page-aligned memory of its holder. {NULL, 0} is none. Copies of this struct are
 * names for one region; only one of them may be released. */
struct terrane_region {
    void *data;
    size_t capacity; /* bytes, whole pages */
};

/* ---- regions ---- */

/* A region of at least `bytes` (0 counts as 1). Its capacity is the next size class: whole pages up
 * to 64 KiB, then four classes a doubling, so at most a quarter more. Contents are undefined: what
 * an earlier holder left, or zero. Pages that are not touched cost addresses only.
 * Errors: -ENOMEM (memory, addresses, a limit), -ENOSPC (the file system is full), -EIO, -EPERM (a
 * shared space of the parent, after fork); *out is unchanged.
 * Cost: from the own cache no lock and no system call. */
TERRANE_API int terrane_region_acquire(struct terrane_space *space, size_t bytes,
                                       struct terrane_region *out);

/* Gives the region back and makes *region none; none is ignored. A region that is not in use ends
 * the process with a message. Cost as above. */
TERRANE_API void terrane_region_release(struct terrane_region *region);

/* Changes the capacity to the class of `bytes`, keeping the contents up to the smaller one. Tries,
 * in order: the addresses it has, those behind it, pages that were warm already (exchanged), a move
 * by page table, and copies only below the size where moving pays. On success *region may have
 * another address. Errors as at acquire, and -EPERM if it is sealed: nothing changed. */
TERRANE_API int terrane_region_resize(struct terrane_region *region, size_t bytes);

/* Hands the region over to another space. Between private spaces pages are remapped, else copied.
 * Errors as at acquire, and -EPERM if it is sealed, or lies in a scratch space of the parent, after
 * fork: nothing changed. */
TERRANE_API int terrane_region_move(struct terrane_region *region, struct terrane_space *space);

/* Makes the region read-only: a store faults until it is released or unsealed. Repeating either
 * does nothing. Sealing a region takes it out of the warm ones when it is released.
 * -ENOMEM (mappings), -EPERM (a scratch space of the parent, after fork): nothing changed. */
TERRANE_API int terrane_region_seal(const struct terrane_region *region);
TERRANE_API int terrane_region_unseal(const struct terrane_region *region);

/* Makes the region a large object of `heap`, in the same space: *object is its address, which
 * terrane_free and terrane_heap_resize take, and *region is none then. No page is touched. Owner of
 * `heap` only. -EINVAL (other space), -EPERM (sealed): nothing changed. */
TERRANE_API int terrane_region_to_object(struct terrane_region *region, struct terrane_heap *heap,
                                         void **object);

/* The other way round, for a large object of any heap, which nobody may use meanwhile. -EINVAL (not
 * a large object, or one with guards or an alignment of its own), -ENOMEM: nothing changed. */
TERRANE_API int terrane_region_from_object(void *object, struct terrane_region *out);

/* What the holder knows about the coming use of a region's bytes. */
enum terrane_advice {
    TERRANE_ADVICE_NEEDED, /* soon: pages are brought in now */
    TERRANE_ADVICE_COLD,   /* not soon: the first to be written out or swapped */
    TERRANE_ADVICE_DEAD,   /* contents are not needed: pages go back, bytes read as zero */
};

/* Applies to [offset, offset + bytes) of the region, cut to whole pages inside it. Hints may be
 * ignored; DEAD is not: -EPERM (sealed, or a shared space of the parent, after fork), -ENOMEM, and
 * on files -ENOSPC, -EIO: the bytes are zero then, but a store to them may find no room (SIGBUS).
 * -EINVAL: outside the region, or an unknown advice. */
TERRANE_API int terrane_region_advise(const struct terrane_region *region, size_t offset,
                                      size_t bytes, enum terrane_advice advice);

/* ---- pools ---- */

/* Gives every warm region back to the kernel now, all threads' caches included. Returns the bytes.
 */
TERRANE_API size_t terrane_pool_purge(struct terrane_space *space);

/* Bytes that a thread's cache may hold in each space of the process (default 64 MiB; 0: none).
 * Regions beyond it, or larger, go to the shared lists. */
TERRANE_API void terrane_pool_set_cache(struct terrane_space *space, size_t bytes);

/* Warm memory that nobody wants fades within `milliseconds` (default 1000): after half the time
 * half of it is gone, after all of it everything. 0: at once. UINT64_MAX: never. */
TERRANE_API void terrane_pool_set_decay(struct terrane_space *space, uint64_t milliseconds);

/* Most bytes handed out at a time, by the space or by all spaces of the process; 0: no limit. What
 * is out already stays out. */
TERRANE_API void terrane_pool_set_limit(struct terrane_space *space, size_t bytes);
TERRANE_API void terrane_pool_set_process_limit(size_t bytes);

/* Called before a limit refuses `bytes`, with no lock held; it may release regions and objects.
 * True: try again (at most four times for one call). */
typedef bool terrane_pressure(struct terrane_space *space, size_t bytes, void *context);
TERRANE_API void terrane_pool_on_pressure(struct terrane_space *space, terrane_pressure *call,
                                          void *context);

/* Scratch spaces: keeps at most `bytes` of the space's file in memory, by writing out and dropping
 * regions that are cold, until it is set to 0. Starts the worker. -EINVAL (no scratch space, or
 * the parent's after fork), -ENOTSUP (its file lies in memory anyway, as on tmpfs), -EAGAIN (no
 * thread can be started), -ENOMEM, -ENOSPC, -EIO: nothing changed. */
TERRANE_API int terrane_pool_set_resident_budget(struct terrane_space *space, size_t bytes);

/* Watches regions: called after each acquire (`acquired`) and before each release, on the calling
 * thread, with the return address of the call. It must not call the pool. NULL: none. */
typedef void terrane_region_hook(const struct terrane_region *region, bool acquired,
                                 const void *caller, void *context);
TERRANE_API void terrane_pool_on_region(terrane_region_hook *hook, void *context);

/* ---- the worker ---- */

/* One thread a process that lets warm memory fade and keeps budgets also while nobody calls the
 * pool. The first region starts it; without it, or after a stop, decay rides on calls that take a
 * lock anyway. Stopping waits until it has ended. In the child of fork it starts again at the next
 * region if it ran in the parent. Start: -EAGAIN (no thread can be started). */
TERRANE_API int terrane_worker_start(void);
TERRANE_API void terrane_worker_stop(void);

/* ---- counters ---- */

#define TERRANE_POOL_STATS_VERSION 1
#define TERRANE_POOL_ORDERS        27

/* Runs of one order: 64 KiB << order. A run is a region, a large object or a heap's block. */
struct terrane_order_stats {
    uint64_t acquires;     /* runs handed out */
    uint64_t releases;     /* runs given back */
    uint64_t cache_hits;   /* acquires served by the thread's own cache */
    uint64_t dirty_hits;   /* by shared warm runs */
    uint64_t steals;       /* by another thread's cache */
    uint64_t refills;      /* by clean runs and new addresses */
    uint64_t splits;       /* runs of this order divided for a smaller one */
    uint64_t joins;        /* runs of this order made of two smaller ones */
    uint64_t purged_bytes; /* warm bytes given back to the kernel */
    uint64_t live_bytes;   /* handed out now */
    uint64_t held_peak;    /* most bytes handed out and cached at a time */
    uint64_t cached_bytes; /* in threads' caches now */
    uint64_t dirty_bytes;  /* warm in shared lists now */
    uint64_t clean_bytes;  /* free addresses without pages now */
};

struct terrane_pool_stats {
    uint64_t version;                 /* TERRANE_POOL_STATS_VERSION */
    struct terrane_order_stats total; /* sums; held_peak is the peak of the sum */
    uint64_t regions;                 /* of live runs, those that are regions */
    uint64_t resizes;                 /* of regions */
    uint64_t purges;                  /* runs given back to the kernel */
    uint64_t refusals;                /* acquires and resizes that failed */
    uint64_t pressure_calls;
    uint64_t mapped_bytes;   /* addresses of the window that were ever handed out */
    uint64_t resident_bytes; /* bytes that may have pages: handed out, cached or dirty */
    uint64_t file_bytes;     /* shared spaces: what the file takes, by the file system's count */
    uint64_t elided_bytes;   /* changed bytes of freed regions that never had to be written out */
    uint64_t evicted_bytes;  /* written out and dropped for the resident budget */
    uint64_t limit_bytes;    /* 0: none */
    uint64_t budget_bytes;   /* resident budget; 0: none */
    struct terrane_order_stats orders[TERRANE_POOL_ORDERS];
};

/* Fills *out. Cost: constant but for a sum over at most 256 caches, one short lock, one system call
 * on shared spaces. */
TERRANE_API void terrane_pool_stats(struct terrane_space *space, struct terrane_pool_stats *out);

#ifdef __cplusplus
}
#endif

#endif
