/* More or fewer bytes at a run's address: within its addresses, with those behind it, or less.
 *
 * What pool.c says of used runs stays true: behind what the bytes need there are no pages. */
#include "base/base.h"
#include "pool/budget.h"
#include "pool/regions.h"
#include "pool/warm.h"

#include <errno.h>

/* A run has other bytes, and perhaps another order. */
static void count_resized(struct terrane_space *space, unsigned from, size_t old, unsigned to,
                          size_t bytes)
{
    struct tn_order_counts *counts = tn_pool_of(space)->counts;
    counts[from].held_bytes -= old;
    counts[to].held_bytes += bytes;
    counts[to].held_peak = tn_max(counts[to].held_peak, counts[to].held_bytes);
}

/* Blocks that the run holds now. */
static uint32_t held_blocks(const struct terrane_space *space, uint32_t block, unsigned order,
                            size_t bytes)
{
    const bool cut = (tn_run_flags(&space->buddy.nodes[block]) & TN_RUN_CUT) != 0;
    return cut ? tn_blocks_of_bytes(bytes) : (uint32_t)1 << order;
}

static int shrink(struct terrane_space *space, uint32_t block, unsigned order, size_t old_bytes,
                  size_t new_bytes)
{
    char *addr = tn_block_addr(space, block);
    struct tn_node *node = &space->buddy.nodes[block]; /* ours alone while the run is used */
    const bool cut = (tn_run_flags(node) & TN_RUN_CUT) != 0;
    const size_t end = cut ? old_bytes : tn_touched_end(space, block, order, old_bytes);
    const int error = tn_space_discard(space, addr + new_bytes, end - new_bytes);
    if (error != 0)
        return error;
    /* What was moved into the run may reach behind what is left: then it is given back whole, lest
     * addresses that it gives up keep a part of its mapping that nobody counts. */
    node->warm = tn_run_is_special(space, block);
    tn_lock_acquire(&space->lock);
    tn_space_uncharge(space, old_bytes - new_bytes);
    count_resized(space, order, old_bytes, order, new_bytes);
    if (cut && tn_blocks_of_bytes(new_bytes) != tn_blocks_of_bytes(old_bytes))
        tn_buddy_cut(&space->buddy, block, tn_blocks_of_bytes(old_bytes),
                     tn_blocks_of_bytes(new_bytes),
                     TN_RUN_DIRTY); /* of its last block only the tail was given back */
    tn_pool_note(space);
    tn_lock_release(&space->lock);
    return 0;
}

/* Takes the blocks that a cut run once gave away, and those behind the run up to `wanted`. Locked.
 */
static bool gain_blocks(struct terrane_space *space, uint32_t block, unsigned *order,
                        unsigned wanted, uint32_t held, bool *dirty)
{
    struct tn_buddy *buddy = &space->buddy;
    bool more_dirty = false;
    *dirty = false;
    if ((buddy->nodes[block].flags & TN_RUN_CUT) != 0) {
        if (!tn_buddy_uncut(buddy, block, held, *order, dirty))
            return false;
        buddy->nodes[block].warm = (uint8_t)tn_warm_part(*order, (size_t)held << TN_BLOCK_SHIFT);
    }
    if (wanted <= *order)
        return true;
    const uint64_t end = (uint64_t)block + ((uint64_t)1 << wanted);
    if (end > buddy->block_count || tn_space_reach(space, end) != 0)
        return false;
    if (!tn_buddy_extend(buddy, block, *order, wanted, &more_dirty))
        return false; /* what was uncut stays so: addresses, no pages beyond those it had */
    *dirty |= more_dirty;
    *order = wanted;
    return true;
}

/* Makes room for `new_bytes` at the same address. Warm pages that are gained beyond them are given
 * back, so that the invariant holds. Returns 1 if some of the bytes have warm pages already. */
static int gain_room(struct terrane_space *space, uint32_t block, unsigned *order, size_t old_bytes,
                     size_t new_bytes)
{
    const uint32_t held = held_blocks(space, block, *order, old_bytes);
    if (tn_blocks_of_bytes(new_bytes) <= held)
        return space->buddy.nodes[block].warm != 0;
    const unsigned wanted = tn_order_of_bytes(new_bytes);
    bool dirty;
    tn_lock_acquire(&space->lock);
    const bool gained = gain_blocks(space, block, order, wanted, held, &dirty);
    tn_pool_note(space);
    tn_lock_release(&space->lock);
    char *addr = tn_block_addr(space, block);
    const size_t from = gained ? new_bytes : (size_t)held << TN_BLOCK_SHIFT;
    const size_t whole = tn_bytes_of_order(*order);
    if (dirty && from < whole) {
        const int error = tn_space_discard(space, addr + from, whole - from);
        if (error != 0) { /* then the pages stay, uncounted, until the run is given back */
            space->buddy.nodes[block].warm = TN_PARTS - 1;
            return gained ? 1 : error;
        }
    }
    return gained ? dirty : -ENOMEM;
}

/* Charges the bytes that a run grows by. */
static int charge(struct terrane_space *space, size_t bytes)
{
    tn_lock_acquire(&space->lock);
    const int error = tn_space_charge(space, bytes);
    tn_lock_release(&space->lock);
    return error;
}

int tn_pool_resize(struct terrane_space *space, uint32_t block, unsigned *order, size_t old_bytes,
                   size_t new_bytes)
{
    if (space->foreign)
        return -EPERM;
    if (new_bytes <= old_bytes)
        return shrink(space, block, *order, old_bytes, new_bytes);
    if (new_bytes > tn_bytes_of_order(TN_ORDER_MAX)) /* more blocks than can be counted */
        return -ENOMEM;
    tn_budget_admit(space, new_bytes - old_bytes);
    int error = charge(space, new_bytes - old_bytes);
    if (error != 0 && tn_regions_drain(space) > 0)
        error = charge(space, new_bytes - old_bytes);
    if (error != 0)
        return error;
    const unsigned old_order = *order;
    char *from = tn_block_addr(space, block) + old_bytes;
    error = gain_room(space, block, order, old_bytes, new_bytes);
    const bool warm = error == 1;
    if (error >= 0) {
        error = tn_space_commit(space, from, new_bytes - old_bytes);
        if (error != 0) /* warm blocks that were gained stay */
            space->buddy.nodes[block].warm = TN_PARTS - 1;
    }
    tn_lock_acquire(&space->lock);
    if (error != 0)
        tn_space_uncharge(space, new_bytes - old_bytes);
    count_resized(space, old_order, old_bytes, *order, error == 0 ? new_bytes : old_bytes);
    tn_lock_release(&space->lock);
    if (error == 0 && !warm)
        tn_pool_fill(space, from, new_bytes - old_bytes);
    return error;
}
