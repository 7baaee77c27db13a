/* The pool floor: runs for heaps, warm ones first.
 *
 * Freed runs stay dirty, with their pages, so that the next user finds them warm; how much may stay
 * is bounded by a share of what is in use and halves with time, so that an idle process shrinks.
 * All calls are thread-safe; none holds the space's lock over a system call that gives pages back.
 */
#ifndef TN_POOL_H
#define TN_POOL_H

#include "space/space.h"

/* A run in use. */
struct tn_run {
    uint32_t block;
    unsigned order;
    bool zero; /* all of it reads as zero */
};

/* Takes a run of at least `bytes` and makes those bytes usable. `slack` more orders of addresses
 * are taken where there are any. `cold`: a run without pages is wanted (moves bring their own).
 * -ENOMEM, -ENOSPC, -EIO. */
int tn_pool_acquire(struct terrane_space *space, size_t bytes, unsigned slack, bool cold,
                    struct tn_run *out);

/* Gives back a run of which the first `bytes` (as acquired or resized) were used. */
void tn_pool_release(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes);

/* The same for a run whose pages have been moved away. */
void tn_pool_release_empty(struct terrane_space *space, uint32_t block, unsigned order,
                           size_t bytes);

/* Changes the used bytes of a run within its order: commits, charges, gives tail pages back when
 * shrinking. -ENOMEM, -ENOSPC, -EIO. */
int tn_pool_resize(struct terrane_space *space, uint32_t block, unsigned order, size_t old_bytes,
                   size_t new_bytes);

/* Makes a run larger in place up to `wanted` if the blocks behind it are free. The blocks gained
 * are clean. */
bool tn_pool_extend(struct terrane_space *space, uint32_t block, unsigned order, unsigned wanted);

/* Gives all dirty runs back to the kernel; returns the bytes. */
size_t tn_pool_trim(struct terrane_space *space);

#endif
