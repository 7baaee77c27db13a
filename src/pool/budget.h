/* Resident budgets of scratch spaces: at most so many bytes of the space's file in memory.
 *
 * The kernel writes a scratch file out and drops its pages only when the machine runs short; a
 * budget does the same earlier, for one space. Steps are driven from outside, by the worker and by
 * acquires, so that tests can drive them too. */
#ifndef TN_BUDGET_H
#define TN_BUDGET_H

#include "space/space.h"

/* Makes the space ready for a budget. -EINVAL (no scratch space, or the parent's), -ENOTSUP (pages
 * of its file cannot be dropped: a file system in memory), -ENOMEM, -ENOSPC, -EIO. */
int tn_budget_prepare(struct terrane_space *space);

/* Sets the budget of a space that is ready; 0 ends it. */
void tn_budget_set(struct terrane_space *space, size_t bytes);

/* The budget; 0: none. */
size_t tn_budget_bytes(const struct terrane_space *space);

/* One step of at most some tens of MiB. Returns when the next one is due; 0: there is no budget.
 * Any thread, no lock held; at most one thread steps at a time, others return at once. */
uint64_t tn_budget_step(struct terrane_space *space, uint64_t now_ns);

/* Before `bytes` are handed out: waits, a second at most, until there is room for them, or for half
 * the budget, and steps meanwhile. So threads that fill regions faster than the disk takes them are
 * slowed down. No lock held. */
void tn_budget_admit(struct terrane_space *space, size_t bytes);

/* A range that its holder will not use soon: its pages go before all others. Counts as far as it
 * covers whole pieces of 2 MiB; without a budget it does nothing. */
void tn_budget_cold(struct terrane_space *space, const void *addr, size_t bytes);

#endif
