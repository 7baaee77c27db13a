/* The pool floor: runs for heaps, warm ones first.
 *
 * Freed runs stay dirty, with their pages, so that the next user finds them warm. How much may stay
 * is bounded by a share of the peak, and half of what nobody wanted for a while goes as others are
 * freed.
 *
 * A run that is taken clean keeps all its addresses: room to grow that costs nothing. A warm run
 * that is larger than the wish by a power of two or more is cut to the blocks that it needs, and
 * the warm blocks behind it serve others.
 *
 * All calls are thread-safe, and none holds the space's lock over a system call that gives pages
 * back. */
#ifndef TN_POOL_H
#define TN_POOL_H

#include "pool/observer.h"
#include "space/space.h"

#include <terrane/pool.h>

/* A run in use. */
struct tn_run {
    uint32_t block;
    unsigned order;
    bool zero; /* all of it reads as zero */
};

/* What a run is wanted for. */
struct tn_wish {
    size_t bytes;   /* used from the start */
    unsigned slack; /* orders of addresses beyond what the bytes need, where there are any */
    bool cold;      /* without pages: a move brings them */
    bool warm;      /* only a warm run will do: of its size, or roomy */
    bool roomy;     /* it will grow: a warm run with up to that slack will do, pages and all */
    bool whole;     /* it will be aliased, guarded or protected: never cut */
};

/* A run in use, as its holder knows it. */
struct tn_held {
    struct terrane_space *space;
    uint32_t block;
    unsigned order;
    size_t bytes; /* as acquired or resized */
    size_t used;  /* of them, those that go along when it goes elsewhere */
    size_t start; /* where these begin; not at 0 only if they may not move, but be copied */
};

/* Takes a run and makes its bytes usable. -ENOMEM, -ENOSPC, -EIO, -EAGAIN (no warm run). Where a
 * limit would refuse, threads' caches of regions are emptied first. In the child of fork a shared
 * space of the parent's is foreign: taking and resizing runs is -EPERM there, and giving them back
 * does nothing. */
int tn_pool_acquire(struct terrane_space *space, const struct tn_wish *wish, struct tn_run *out);

/* The same, with calls to the pressure callback before a limit refuses. No lock may be held, and
 * the caller's structures must be whole: the callback may free objects. */
int tn_pool_acquire_pressed(struct terrane_space *space, const struct tn_wish *wish,
                            struct tn_run *out);

/* Gives back a run of which the first `bytes` (as acquired or resized) were used. */
void tn_pool_release(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes);

/* The same for a run whose pages have been moved away. */
void tn_pool_release_empty(struct terrane_space *space, uint32_t block, unsigned order,
                           size_t bytes);

/* The next `bytes` that go back have been uncounted already: by whom they are given does not matter
 * to the sum, and so it never counts them twice. */
void tn_pool_owe(struct terrane_space *space, size_t bytes);

/* Changes the used bytes of a run at its address. Growing takes the blocks behind it where they are
 * free, and may raise *order; shrinking gives tail pages back. -ENOMEM, -ENOSPC, -EIO: unchanged.
 */
int tn_pool_resize(struct terrane_space *space, uint32_t block, unsigned *order, size_t old_bytes,
                   size_t new_bytes);

/* Takes a warm run of just the class of `bytes` (order and eighth), whole, if there is one. The
 * short way of regions: one lock, no system call. -EAGAIN (none), -ENOMEM (a limit). */
int tn_pool_take_kept(struct terrane_space *space, unsigned order, size_t bytes, uint32_t *block);

/* Gives a plain run of just the order that its bytes need to the warm lists, where it stays until
 * it fades: no budget cuts it short. */
void tn_pool_keep(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes);

/* A region leaves a thread's cache: it goes to the warm lists, or to the kernel. */
void tn_pool_uncache(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes,
                     bool keep);

/* Runs became regions, or ceased to be some. */
void tn_pool_count_regions(struct terrane_space *space, int change);

/* A run with the first bytes of `from`, which is released: as many as fit. Warm pages are exchanged
 * with those of a warm run, else pages move by page table if they `may_move`, else they are copied.
 * Errors as at acquire, with calls to the pressure callback: nothing changed. */
int tn_pool_relocate(const struct tn_held *from, struct terrane_space *space, size_t bytes,
                     bool may_move, struct tn_run *out);

/* Fills untouched addresses at the end of a run's bytes with pages of smaller warm runs, so that
 * they need not be faulted in anew. As far as there are any; private spaces only. */
void tn_pool_fill(struct terrane_space *space, char *addr, size_t bytes);

/* Gives all shared dirty runs back to the kernel; returns the bytes. */
size_t tn_pool_trim(struct terrane_space *space);

/* ---- regions, for the floors above ---- */

/* A run that its holder knows becomes a region, or a region a run; no page is touched. -ENOMEM. */
int tn_region_from_run(const struct tn_held *held, struct terrane_region *out);
/* -EPERM: sealed. A region that is not in use is a crime. */
int tn_region_to_run(const struct terrane_region *region, struct tn_held *out);

/* Whether a region in use starts there. */
bool tn_region_in_use(const struct terrane_space *space, const void *pointer);

/* ---- time ---- */

/* Gives about so many bytes of shared dirty runs back, if there are as many; returns the bytes. */
size_t tn_pool_shed(struct terrane_space *space, size_t bytes);

/* One bounded step of what time asks for: lets warm runs fade, in shared lists and caches. Returns
 * when it wants to be called again (tn_os_clock_ns), 0: not before something is released. */
uint64_t tn_pool_tick(struct terrane_space *space, uint64_t now_ns);

/* The earlier of two such times, of which 0 is none. */
static inline uint64_t tn_earlier(uint64_t a_ns, uint64_t b_ns)
{
    return b_ns == 0 || (a_ns != 0 && a_ns < b_ns) ? a_ns : b_ns;
}

/* Sets the time in which unwanted warm memory fades; 0: at once, UINT64_MAX: never. */
void tn_pool_decay_set(struct terrane_space *space, uint64_t decay_ns);

uint64_t tn_pool_decay_ns(struct terrane_space *space); /* locked */

/* Counts that a user's call is refused; returns `error`. */
int tn_pool_refused(struct terrane_space *space, int error);

void tn_pool_count_pressure(struct terrane_space *space);

/* Whether the run can be given to the warm lists as it is: its holder left nothing special. */
static inline bool tn_pool_keepable(const struct terrane_space *space, uint32_t block)
{
    const uint8_t special = TN_RUN_REMAPPED | TN_RUN_SHOWN | TN_RUN_CUT;
    return (tn_run_flags(&space->buddy.nodes[block]) & special) == 0;
}

#endif
