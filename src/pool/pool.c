/* Warm and clean runs; see pool.h.
 *
 * One invariant makes everything else simple: in a used run, pages from the order that its used
 * bytes need to the end of the run are untouched. So a run that is given back is cut: the used part
 * becomes a dirty run, the rest a clean one, and a growing object may hold far more addresses than
 * it needs without looking like memory. */
#include "pool/pool.h"

#include "base/base.h"
#include "os/os.h"

#include <errno.h>

/* Dirty bytes that may always stay, and the share of the peak that may stay beyond it. */
#define DIRTY_MIN_BYTES  (32 * TN_MIB)
#define DIRTY_PEAK_SHARE 4

/* Dirty pages halve in this time while runs are given back. */
#define DECAY_NS 500000000u

/* A warm run's tail shorter than this stays as it is: giving it back costs more than it saves. */
#define TAIL_KEEP_BYTES (128 * TN_KIB)

static bool take(struct terrane_space *space, unsigned order, bool cold, struct tn_found *found)
{
    const enum tn_run_state first = cold ? TN_RUN_CLEAN : TN_RUN_DIRTY;
    tn_lock_acquire(&space->lock);
    bool taken = tn_buddy_take(&space->buddy, order, first, found);
    if (taken && tn_space_extend_tables(space) != 0) {
        tn_buddy_give(&space->buddy, found->block, order, found->state);
        taken = false;
    }
    tn_space_note_dirty(space);
    tn_lock_release(&space->lock);
    return taken;
}

static void put_back(struct terrane_space *space, uint32_t block, unsigned order,
                     enum tn_run_state state)
{
    tn_lock_acquire(&space->lock);
    tn_space_put(space, block, order, state);
    tn_lock_release(&space->lock);
}

/* Gives dirty runs to the kernel, the largest and oldest first, until at most `keep` bytes are
 * left. */
static size_t purge(struct terrane_space *space, size_t keep)
{
    size_t given = 0;
    const size_t most = tn_counted(space, TN_COUNT_DIRTY_BYTES);
    while (given < most) { /* a run that the kernel refuses comes back dirty */
        uint32_t block;
        unsigned order;
        tn_lock_acquire(&space->lock);
        const bool more = space->buddy.free_blocks[TN_RUN_DIRTY] << TN_BLOCK_SHIFT > keep &&
                          tn_buddy_take_dirty(&space->buddy, &block, &order);
        tn_space_note_dirty(space);
        tn_lock_release(&space->lock);
        if (!more)
            break;
        tn_space_retire(space, block, order);
        given += tn_bytes_of_order(order);
    }
    return given;
}

/* Takes a run with as much of the wanted slack as the window has; gives dirty runs up before it
 * says that there is none, because clean runs join to larger ones. */
static bool take_with_slack(struct terrane_space *space, unsigned order, unsigned slack, bool cold,
                            struct tn_run *out)
{
    struct tn_found found;
    for (unsigned extra = slack + 1; extra-- > 0;) {
        if (take(space, order + extra, cold || extra > 0, &found)) {
            *out = (struct tn_run){found.block, order + extra, found.state == TN_RUN_CLEAN};
            return true;
        }
    }
    if (purge(space, 0) == 0 || !take(space, order, true, &found))
        return false;
    *out = (struct tn_run){found.block, order, found.state == TN_RUN_CLEAN};
    return true;
}

int tn_pool_acquire(struct terrane_space *space, size_t bytes, unsigned slack, bool cold,
                    struct tn_run *out)
{
    int error = tn_space_charge(space, bytes);
    if (error != 0)
        return error;
    if (!take_with_slack(space, tn_order_of_bytes(bytes), slack, cold, out)) {
        tn_space_uncharge(space, bytes);
        return -ENOMEM;
    }
    char *addr = tn_block_addr(space, out->block);
    const size_t whole = tn_bytes_of_order(out->order);
    if (!cold)
        error = tn_space_commit(space, addr, bytes);
    if (error == 0 && !out->zero &&
        (cold || out->order > tn_order_of_bytes(bytes) || whole - bytes >= TAIL_KEEP_BYTES))
        error = tn_space_discard(space, addr + (cold ? 0 : bytes), whole - (cold ? 0 : bytes));
    if (error != 0) {
        put_back(space, out->block, out->order, out->zero ? TN_RUN_CLEAN : TN_RUN_DIRTY);
        tn_space_uncharge(space, bytes);
    }
    return error;
}

static size_t dirty_budget(struct terrane_space *space)
{
    const size_t share = tn_counted(space, TN_COUNT_RUN_BYTES_PEAK) / DIRTY_PEAK_SHARE;
    return tn_max(DIRTY_MIN_BYTES, share);
}

/* How many dirty bytes may stay now: half of what is there whenever a decay time has passed. */
static size_t decayed_budget(struct terrane_space *space)
{
    const size_t budget = dirty_budget(space);
    const uint64_t now = tn_os_clock_ns();
    size_t keep = budget;
    tn_lock_acquire(&space->lock);
    if (now - space->pool_tick_ns > DECAY_NS) {
        if (space->pool_tick_ns != 0)
            keep = tn_min(budget, tn_counted(space, TN_COUNT_DIRTY_BYTES) / 2);
        space->pool_tick_ns = now;
    }
    tn_lock_release(&space->lock);
    return keep;
}

void tn_pool_release(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes)
{
    tn_space_uncharge(space, bytes);
    if (!tn_run_plain(space, block)) {
        tn_space_retire(space, block, order);
        return;
    }
    const unsigned used = tn_order_of_bytes(bytes);
    tn_lock_acquire(&space->lock);
    tn_buddy_shrink(&space->buddy, block, order, used, TN_RUN_CLEAN);
    tn_space_put(space, block, used, TN_RUN_DIRTY);
    tn_lock_release(&space->lock);
    const size_t keep = used == 0 ? dirty_budget(space) : decayed_budget(space);
    if (tn_counted(space, TN_COUNT_DIRTY_BYTES) > keep)
        (void)purge(space, keep);
}

int tn_pool_resize(struct terrane_space *space, uint32_t block, unsigned order, size_t old_bytes,
                   size_t new_bytes)
{
    char *addr = tn_block_addr(space, block);
    tn_assert(new_bytes <= tn_bytes_of_order(order));
    (void)order;
    if (new_bytes <= old_bytes) {
        const int error = tn_space_discard(space, addr + new_bytes, old_bytes - new_bytes);
        if (error == 0)
            tn_space_uncharge(space, old_bytes - new_bytes);
        return error;
    }
    int error = tn_space_charge(space, new_bytes - old_bytes);
    if (error == 0)
        error = tn_space_commit(space, addr + old_bytes, new_bytes - old_bytes);
    if (error != 0)
        tn_space_uncharge(space, new_bytes - old_bytes);
    return error;
}

bool tn_pool_extend(struct terrane_space *space, uint32_t block, unsigned order, unsigned wanted)
{
    bool dirty = false;
    tn_lock_acquire(&space->lock);
    bool extended = tn_buddy_extend(&space->buddy, block, order, wanted, &dirty);
    if (extended && tn_space_extend_tables(space) != 0) {
        tn_buddy_shrink(&space->buddy, block, wanted, order, dirty ? TN_RUN_DIRTY : TN_RUN_CLEAN);
        extended = false;
    }
    tn_space_note_dirty(space);
    tn_lock_release(&space->lock);
    if (!extended || !dirty)
        return extended;
    char *gained = tn_block_addr(space, block) + tn_bytes_of_order(order);
    const size_t bytes = tn_bytes_of_order(wanted) - tn_bytes_of_order(order);
    if (tn_space_discard(space, gained, bytes) == 0)
        return true;
    tn_lock_acquire(&space->lock);
    tn_buddy_shrink(&space->buddy, block, wanted, order, TN_RUN_DIRTY);
    tn_space_note_dirty(space);
    tn_lock_release(&space->lock);
    return false;
}

void tn_pool_release_empty(struct terrane_space *space, uint32_t block, unsigned order,
                           size_t bytes)
{
    tn_space_uncharge(space, bytes);
    if (tn_run_plain(space, block))
        put_back(space, block, order, TN_RUN_CLEAN);
    else
        tn_space_retire(space, block, order);
}

size_t tn_pool_trim(struct terrane_space *space)
{
    return purge(space, 0);
}

size_t terrane_space_trim(struct terrane_space *space)
{
    return tn_pool_trim(space);
}
