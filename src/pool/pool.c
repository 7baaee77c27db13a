/* Warm and clean runs; see pool.h.
 *
 * One invariant makes everything else simple: in a used run, pages from the order that its used
 * bytes need to the end of the run are untouched. So a run that is given back is cut: the used part
 * becomes a dirty run, the rest a clean one, and a growing object may hold far more addresses than
 * it needs without looking like memory. */
#include "pool/pool.h"

#include "base/base.h"
#include "os/os.h"
#include "pool/budget.h"
#include "pool/decay_worker.h"
#include "pool/regions.h"
#include "pool/warm.h"

#include <errno.h>

/* Dirty bytes that may always stay, and the share of the peak that may stay beyond it. */
#define DIRTY_MIN_BYTES  (32 * TN_MIB)
#define DIRTY_PEAK_SHARE 2

/* As long as untouched pages are asked for, dirty ones may stay only as far as all together is no
 * more than the peak, this share of it and this many bytes. */
#define ROOM_PEAK_SHARE 16
#define ROOM_BYTES      (512 * TN_KIB)

/* The clock is asked at each so many releases of regions: asking costs as much as a release. */
#define RELEASES_PER_LOOK 16

/* ---- counting, locked ---- */

void tn_pool_note(struct terrane_space *space)
{
    tn_space_note_dirty(space);
    tn_decay_note(&tn_pool_of(space)->decay, tn_space_dirty_bytes(space));
}

/* A run is handed out. */
static void count_out(struct terrane_space *space, unsigned order, size_t bytes)
{
    struct tn_order_counts *counts = &tn_pool_of(space)->counts[order];
    counts->acquires++;
    counts->held_bytes += bytes;
    counts->held_peak = tn_max(counts->held_peak, counts->held_bytes);
}

/* A run is given back; what it owes is not uncharged twice. */
static void count_back(struct terrane_space *space, unsigned order, size_t bytes)
{
    struct tn_pool_state *pool = tn_pool_of(space);
    pool->counts[order].releases++;
    pool->counts[order].held_bytes -= bytes;
    const size_t owed = tn_min(bytes, pool->owed_bytes);
    pool->owed_bytes -= owed;
    tn_space_uncharge(space, bytes - owed);
}

void tn_pool_owe(struct terrane_space *space, size_t bytes)
{
    tn_lock_acquire(&space->lock);
    tn_pool_of(space)->owed_bytes += bytes;
    tn_lock_release(&space->lock);
}

/* ---- taking runs ---- */

/* A warm run serves a wish that only needs its bytes as exactly those blocks. */
static bool should_cut(const struct terrane_space *space, const struct tn_wish *wish)
{
    return !wish->whole && !wish->cold && space->backing == TERRANE_BACKING_PRIVATE;
}

/* Whether the wish can be served from runs that were used before. */
static bool take_dirty(struct terrane_space *space, const struct tn_wish *wish, unsigned order,
                       struct tn_found *found)
{
    uint32_t block;
    unsigned larger;
    found->state = TN_RUN_DIRTY;
    if (tn_warm_take(space, order, wish->bytes, &found->block))
        return true;
    /* Pieces of runs that were cut, or a larger run, to be cut now. */
    while (!tn_buddy_take_listed(&space->buddy, order, TN_RUN_DIRTY, &found->block)) {
        if (!tn_warm_take_largest(space, order + 1, SIZE_MAX, &block, &larger))
            return false;
        if (tn_run_flags(&space->buddy.nodes[block]) !=
            0) { /* a mapping of its own, not to be divided */
            tn_warm_put(space, block, larger, tn_bytes_of_order(larger));
            return false;
        }
        tn_buddy_give(&space->buddy, block, larger, TN_RUN_DIRTY);
    }
    const uint32_t blocks = tn_blocks_of_bytes(wish->bytes);
    if (blocks < (uint32_t)1 << order && should_cut(space, wish))
        tn_buddy_cut(&space->buddy, found->block, (uint32_t)1 << order, blocks, TN_RUN_DIRTY);
    else
        space->buddy.nodes[found->block].warm = TN_PARTS - 1;
    return true;
}

static bool take_clean(struct terrane_space *space, unsigned order, struct tn_found *found)
{
    if (order > TN_ORDER_MAX)
        return false;
    const uint64_t frontier = tn_buddy_frontier_after(&space->buddy, order, TN_RUN_CLEAN);
    return tn_space_reach(space, frontier) == 0 &&
           tn_buddy_take(&space->buddy, order, TN_RUN_CLEAN, found);
}

static bool take(struct terrane_space *space, const struct tn_wish *wish, unsigned order,
                 struct tn_found *found)
{
    const bool clean_only = wish->cold || order > tn_order_of_bytes(wish->bytes);
    return (!clean_only && take_dirty(space, wish, order, found)) ||
           take_clean(space, order, found);
}

/* Gives back a run that is still as it was taken: `bytes` used if it is cut, else all of it.
 * Locked. */
static void give_run(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes,
                     enum tn_run_state state)
{
    if ((tn_run_flags(&space->buddy.nodes[block]) & TN_RUN_CUT) != 0)
        tn_buddy_give_cut(&space->buddy, block, tn_blocks_of_bytes(bytes), state);
    else
        tn_buddy_give(&space->buddy, block, order, state);
    tn_pool_note(space);
}

/* Gives a run to the kernel, piece by piece if it is cut: blocks behind it may be others'. */
static void retire_run(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes)
{
    if ((tn_run_flags(&space->buddy.nodes[block]) & TN_RUN_CUT) == 0) {
        tn_space_retire(space, block, order);
        return;
    }
    const uint32_t end = block + tn_blocks_of_bytes(bytes);
    while (block < end) {
        tn_lock_acquire(&space->lock);
        const unsigned piece = (unsigned)tn_buddy_order(&space->buddy, block);
        space->buddy.nodes[block].flags |= TN_RUN_MOVED; /* so that all of it is mapped afresh */
        tn_lock_release(&space->lock);
        tn_space_retire(space, block, piece);
        block += (uint32_t)1 << piece;
    }
}

static void put_back(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes,
                     enum tn_run_state state)
{
    if (tn_run_is_special(space, block)) {
        retire_run(space, block, order, bytes);
        return;
    }
    tn_lock_acquire(&space->lock);
    give_run(space, block, order, bytes, state);
    tn_lock_release(&space->lock);
}

/* The smallest warm run that the bytes, and where it may be roomy the slack, allow. Locked. */
static bool take_warm(struct terrane_space *space, const struct tn_wish *wish, struct tn_run *out)
{
    const unsigned order = tn_order_of_bytes(wish->bytes);
    const unsigned slack = wish->roomy ? wish->slack : 0;
    for (unsigned extra = 0; extra <= slack && order + extra <= TN_ORDER_MAX; extra++) {
        *out = (struct tn_run){.order = order + extra};
        if (tn_warm_take(space, out->order, wish->bytes, &out->block))
            return true;
    }
    return false;
}

/* A run with as much of the wanted slack as the window has. Locked. */
static bool take_any(struct terrane_space *space, const struct tn_wish *wish, unsigned slack,
                     struct tn_run *out)
{
    const unsigned order = tn_order_of_bytes(wish->bytes);
    struct tn_found found;
    if (wish->roomy && !wish->cold && take_warm(space, wish, out))
        return true;
    for (unsigned extra = slack + 1; extra-- > 0;) {
        if (take(space, wish, order + extra, &found)) {
            *out = (struct tn_run){found.block, order + extra, found.state == TN_RUN_CLEAN};
            return true;
        }
    }
    return false;
}

/* Charges and takes. -ENOMEM (a limit), -EAGAIN (there is no such run). */
static int take_run(struct terrane_space *space, const struct tn_wish *wish, unsigned slack,
                    struct tn_run *out)
{
    tn_lock_acquire(&space->lock);
    int error = tn_space_charge(space, wish->bytes);
    if (error == 0) {
        if (wish->warm ? take_warm(space, wish, out) : take_any(space, wish, slack, out)) {
            count_out(space, out->order, wish->bytes);
            struct tn_order_counts *counts = &tn_pool_of(space)->counts[out->order];
            if (out->zero)
                tn_warm_settle(space, out->block, wish->bytes);
            counts->refills += out->zero;
            counts->dirty_hits += !out->zero;
        } else {
            tn_space_uncharge(space, wish->bytes);
            error = -EAGAIN;
        }
        tn_pool_note(space);
    }
    tn_lock_release(&space->lock);
    return error;
}

/* Gives up what is cached where a limit refuses, and dirty runs before it says that there is no
 * run, because clean ones join to larger ones. */
static int take_pressed(struct terrane_space *space, const struct tn_wish *wish, struct tn_run *out)
{
    int error = take_run(space, wish, wish->slack, out);
    if (error == 0 || wish->warm)
        return error;
    (void)tn_regions_drain(space);
    if (error == -EAGAIN) {
        tn_space_retry(space);
        (void)tn_pool_purge_to(space, 0, false);
    }
    error = take_run(space, wish, 0, out);
    return error == -EAGAIN ? -ENOMEM : error;
}

/* Restores the invariant of a warm run: pages behind what its bytes need are untouched. */
static int clean_tail(struct terrane_space *space, const struct tn_wish *wish,
                      const struct tn_run *run)
{
    const size_t used = wish->cold ? 0 : wish->bytes;
    const size_t tail = tn_bytes_of_order(run->order) - used;
    if (run->zero || (tn_run_flags(&space->buddy.nodes[run->block]) & TN_RUN_CUT) != 0)
        return 0;
    if (!wish->cold && (wish->roomy || run->order == tn_order_of_bytes(wish->bytes)))
        return 0; /* it will need them, or the next one that reuses it may */
    return tn_space_discard(space, tn_block_addr(space, run->block) + used, tail);
}

/* Untouched pages are about to be used because the dirty ones are of other sizes, which go. */
static void make_room(struct terrane_space *space)
{
    const size_t peak = tn_counted(space, TN_COUNT_RUN_BYTES_PEAK);
    const size_t used = tn_counted(space, TN_COUNT_RUN_BYTES);
    const size_t keep = peak + peak / ROOM_PEAK_SHARE + ROOM_BYTES - tn_min(used, peak);
    if (tn_counted(space, TN_COUNT_DIRTY_BYTES) > keep)
        (void)tn_pool_purge_to(space, keep, false);
}

int tn_pool_refused(struct terrane_space *space, int error)
{
    tn_lock_acquire(&space->lock);
    tn_pool_of(space)->refusals++;
    tn_lock_release(&space->lock);
    return error;
}

int tn_pool_acquire(struct terrane_space *space, const struct tn_wish *wish, struct tn_run *out)
{
    if (tn_order_of_bytes(wish->bytes) > TN_ORDER_MAX || space->foreign)
        return space->foreign ? -EPERM : -ENOMEM;
    tn_budget_admit(space, wish->bytes);
    int error = take_pressed(space, wish, out);
    if (error != 0)
        return error;
    if (out->zero && !wish->cold)
        make_room(space);
    if (!wish->cold)
        error = tn_space_commit(space, tn_block_addr(space, out->block), wish->bytes);
    if (error == 0)
        error = clean_tail(space, wish, out);
    if (error != 0) {
        tn_lock_acquire(&space->lock);
        count_back(space, out->order, wish->bytes);
        tn_lock_release(&space->lock);
        put_back(space, out->block, out->order, wish->bytes,
                 out->zero ? TN_RUN_CLEAN : TN_RUN_DIRTY);
        return error;
    }
    tn_pool_observe_now();
    return 0;
}

int tn_pool_take_kept(struct terrane_space *space, unsigned order, size_t bytes, uint32_t *block)
{
    tn_lock_acquire(&space->lock);
    int error = -EAGAIN;
    if (tn_warm_has(space, order, tn_warm_part(order, bytes)))
        error = tn_space_charge(space, bytes);
    if (error == 0) {
        (void)tn_warm_take_exact(space, order, tn_warm_part(order, bytes), block);
        count_out(space, order, bytes);
        tn_pool_of(space)->counts[order].dirty_hits++;
        tn_pool_of(space)->regions++;
        tn_pool_note(space);
    }
    tn_lock_release(&space->lock);
    return error;
}

/* ---- giving back ---- */

static size_t dirty_budget(struct terrane_space *space)
{
    const size_t share = tn_counted(space, TN_COUNT_RUN_BYTES_PEAK) / DIRTY_PEAK_SHARE;
    return tn_max(DIRTY_MIN_BYTES, share);
}

/* The order of the part of an uncut run that has pages. Behind the order that its bytes need there
 * is something only if the kernel refused to take it, or if the run was shrunk after pages had been
 * moved into it. */
static unsigned warm_order(const struct terrane_space *space, uint32_t block, unsigned order,
                           size_t bytes)
{
    return space->buddy.nodes[block].warm != 0 ? order : tn_order_of_bytes(bytes);
}

/* Whether addresses without pages must be mapped afresh before they are clean, since they were
 * used: where huge pages are wanted, whoever comes next would get 2 MiB for each page that he
 * touches, and under strict overcommit they are still charged. */
static bool bears_traces(struct terrane_space *space, char *addr, size_t bytes)
{
    return space->lazy_commit || tn_space_any_huge(space, addr, bytes);
}

/* The same of what a run does not use, perhaps because it was larger. */
static bool tail_bears_traces(struct terrane_space *space, uint32_t block, unsigned order,
                              size_t bytes)
{
    const size_t used = tn_bytes_of_order(warm_order(space, block, order, bytes));
    const size_t whole = tn_bytes_of_order(order);
    return used < whole && (tn_run_flags(&space->buddy.nodes[block]) & TN_RUN_CUT) == 0 &&
           bears_traces(space, tn_block_addr(space, block) + used, whole - used);
}

/* When the clock should be looked at. */
enum look { LOOK_LATER, LOOK_NOW, LOOK_ALWAYS };

/* Puts a plain run on the warm lists. */
static enum look keep_run(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes,
                          bool region)
{
    const bool cut = (tn_run_flags(&space->buddy.nodes[block]) & TN_RUN_CUT) != 0;
    const unsigned used = warm_order(space, block, order, bytes);
    tn_lock_acquire(&space->lock);
    count_back(space, order, bytes);
    tn_pool_of(space)->regions -= region;
    if (cut) {
        tn_buddy_give_cut(&space->buddy, block, tn_blocks_of_bytes(bytes), TN_RUN_DIRTY);
    } else {
        if (used < order)
            tn_buddy_shrink(&space->buddy, block, order, used, TN_RUN_CLEAN);
        tn_warm_put(space, block, used, bytes);
    }
    tn_pool_note(space);
    enum look look = ++tn_pool_of(space)->releases % RELEASES_PER_LOOK == 0 ? LOOK_NOW : LOOK_LATER;
    if (tn_pool_decay_ns(space) == TN_DECAY_AT_ONCE)
        look = LOOK_ALWAYS;
    tn_lock_release(&space->lock);
    return look;
}

/* Gives a run back that cannot be kept warm. */
static void drop_run(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes)
{
    tn_lock_acquire(&space->lock);
    count_back(space, order, bytes);
    tn_lock_release(&space->lock);
    retire_run(space, block, order, bytes);
}

void tn_pool_uncache(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes,
                     bool keep)
{
    tn_lock_acquire(&space->lock);
    struct tn_pool_state *pool = tn_pool_of(space);
    count_back(space, order, bytes);
    pool->counts[order].releases--; /* it was counted when it went into the cache */
    pool->regions--;
    if (keep) {
        tn_warm_put(space, block, order, bytes);
    } else {
        pool->purges++;
        pool->counts[order].purged_bytes += bytes;
    }
    tn_pool_note(space);
    tn_lock_release(&space->lock);
    if (!keep)
        tn_space_retire(space, block, order);
}

void tn_pool_count_pressure(struct terrane_space *space)
{
    tn_lock_acquire(&space->lock);
    tn_pool_of(space)->pressure_calls++;
    tn_lock_release(&space->lock);
}

void tn_pool_count_regions(struct terrane_space *space, int change)
{
    tn_lock_acquire(&space->lock);
    tn_pool_of(space)->regions += (uint64_t)(int64_t)change;
    tn_lock_release(&space->lock);
}

void tn_pool_keep(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes)
{
    if (tail_bears_traces(space, block, order, bytes)) {
        tn_pool_count_regions(space, -1);
        drop_run(space, block, order, bytes);
    } else if (keep_run(space, block, order, bytes, true) != LOOK_LATER) {
        (void)tn_pool_tick(space, tn_os_clock_ns());
    }
}

void tn_pool_release(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes)
{
    if (space->foreign)
        return;
    const bool cut = (tn_run_flags(&space->buddy.nodes[block]) & TN_RUN_CUT) != 0;
    if (!tn_run_plain(space, block) || (cut && tn_run_is_special(space, block)) ||
        tail_bears_traces(space, block, order, bytes)) {
        drop_run(space, block, order, bytes);
        return;
    }
    const enum look look = keep_run(space, block, order, bytes, false);
    const size_t budget = dirty_budget(space);
    if (tn_counted(space, TN_COUNT_DIRTY_BYTES) > budget)
        (void)tn_pool_purge_to(space, budget, false);
    if ((order > 0 || look == LOOK_ALWAYS) && tn_pool_tick(space, tn_os_clock_ns()) != 0)
        tn_worker_wake();
}

void tn_pool_release_empty(struct terrane_space *space, uint32_t block, unsigned order,
                           size_t bytes)
{
    if (space->foreign)
        return;
    if (tn_run_is_special(space, block) ||
        bears_traces(space, tn_block_addr(space, block), tn_bytes_of_order(order))) {
        drop_run(space, block, order, bytes);
        return;
    }
    tn_lock_acquire(&space->lock);
    count_back(space, order, bytes);
    tn_lock_release(&space->lock);
    const size_t tail = tn_touched_end(space, block, order, bytes) - bytes;
    const bool clean =
        tail == 0 || tn_space_discard(space, tn_block_addr(space, block) + bytes, tail) == 0;
    put_back(space, block, order, bytes, clean ? TN_RUN_CLEAN : TN_RUN_DIRTY);
}

void tn_pool_give_moved(struct terrane_space *space, uint32_t block, unsigned order)
{
    if (bears_traces(space, tn_block_addr(space, block), tn_bytes_of_order(order)))
        tn_space_retire(space, block, order);
    else
        put_back(space, block, order, tn_bytes_of_order(order), TN_RUN_CLEAN);
}
