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
 * All calls are thread-safe. On the private backing none holds the space's lock over a system call
 * that gives pages back. */
#ifndef TN_POOL_H
#define TN_POOL_H

#include "space/space.h"

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
    bool warm;      /* only a warm run of its size will do */
    bool whole;     /* it will be aliased, guarded or protected: never cut */
};

/* Takes a run and makes its bytes usable. -ENOMEM, -ENOSPC, -EIO, -EAGAIN (no warm run). */
int tn_pool_acquire(struct terrane_space *space, const struct tn_wish *wish, struct tn_run *out);

/* Gives back a run of which the first `bytes` (as acquired or resized) were used. */
void tn_pool_release(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes);

/* The same for a run whose pages have been moved away. */
void tn_pool_release_empty(struct terrane_space *space, uint32_t block, unsigned order,
                           size_t bytes);

/* Changes the used bytes of a run at its address. Growing takes the blocks behind it where they are
 * free, and may raise *order; shrinking gives tail pages back. -ENOMEM, -ENOSPC, -EIO: unchanged.
 */
int tn_pool_resize(struct terrane_space *space, uint32_t block, unsigned *order, size_t old_bytes,
                   size_t new_bytes);

/* Gives all dirty runs back to the kernel; returns the bytes. */
size_t tn_pool_trim(struct terrane_space *space);

#endif
