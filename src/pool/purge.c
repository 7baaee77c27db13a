/* Back to the kernel: which dirty runs go, and when; see decay.h for how many may stay. */
#include "base/base.h"
#include "os/os.h"
#include "pool/budget.h"
#include "pool/decay_worker.h"
#include "pool/regions.h"
#include "pool/warm.h"

/* Dirty pages that nobody has wanted for this long are all given back, half of them after half of
 * it. */
#define DECAY_NS 1000000000u

/* Takes a dirty run to be given back: pieces first, then the one that waited longest of those with
 * at most `most` bytes, or simply the largest. Returns the dirty bytes that went, 0 if there is
 * none. Locked. */
static size_t take_victim(struct terrane_space *space, size_t most, uint32_t *block,
                          unsigned *order)
{
    struct tn_pool_state *pool = tn_pool_of(space);
    const uint64_t before = tn_space_dirty_bytes(space);
    const size_t pieces = tn_min(tn_max(most, TN_BLOCK_BYTES), tn_bytes_of_order(TN_ORDER_MAX));
    const unsigned order_max = tn_highest_bit(pieces) - TN_BLOCK_SHIFT;
    if (!tn_buddy_take_dirty(&space->buddy, order_max, block, order) &&
        !(most == SIZE_MAX ? tn_warm_take_largest(space, 0, most, block, order)
                           : tn_warm_take_aged(space, most, block, order)))
        return 0;
    const uint64_t gone = before - tn_space_dirty_bytes(space);
    pool->purges++;
    pool->counts[*order].purged_bytes += gone;
    tn_decay_purged(&pool->decay, gone);
    tn_pool_note(space);
    return gone;
}

size_t tn_pool_purge_to(struct terrane_space *space, size_t keep, bool gently)
{
    size_t given = 0;
    const size_t most = tn_counted(space, TN_COUNT_DIRTY_BYTES);
    while (given < most) { /* a run that the kernel refuses comes back dirty */
        uint32_t block;
        unsigned order;
        tn_lock_acquire(&space->lock);
        const uint64_t dirty = tn_space_dirty_bytes(space);
        const size_t excess = dirty > keep ? dirty - keep : 0;
        const size_t gone =
            excess == 0 ? 0 : take_victim(space, gently ? excess : SIZE_MAX, &block, &order);
        tn_lock_release(&space->lock);
        if (gone == 0)
            break;
        given += gone;
        tn_space_retire(space, block, order);
    }
    return given;
}

uint64_t tn_pool_decay_ns(struct terrane_space *space)
{
    const struct tn_pool_state *pool = tn_pool_of(space);
    return pool->decay_set ? pool->decay_ns : DECAY_NS;
}

void tn_pool_decay_set(struct terrane_space *space, uint64_t decay_ns)
{
    struct tn_pool_state *pool = tn_pool_of(space);
    const uint64_t now_ns = tn_os_clock_ns();
    tn_lock_acquire(&space->lock);
    pool->decay_set = true;
    pool->decay_ns = decay_ns;
    tn_decay_init(&pool->decay, decay_ns, now_ns);
    pool->decaying = true;
    tn_lock_release(&space->lock);
    tn_regions_decay_set(space, decay_ns, now_ns);
    (void)tn_pool_tick(space, now_ns);
    tn_worker_wake(); /* it may rest for as long as the old time asked for */
}

/* What may stay dirty now. */
static uint64_t allowed(struct terrane_space *space, uint64_t now_ns, uint64_t *next_ns)
{
    struct tn_pool_state *pool = tn_pool_of(space);
    tn_lock_acquire(&space->lock);
    if (!pool->decaying) {
        tn_decay_init(&pool->decay, tn_pool_decay_ns(space), now_ns);
        pool->decaying = true;
    }
    const uint64_t dirty = tn_space_dirty_bytes(space);
    const uint64_t epoch_ns = pool->decay.epoch_start_ns;
    const uint64_t keep = tn_decay_allowed(&pool->decay, now_ns, dirty);
    if (pool->decay.epoch_start_ns != epoch_ns)
        pool->epoch++;
    *next_ns = tn_decay_next(&pool->decay, dirty);
    tn_lock_release(&space->lock);
    return keep;
}

size_t tn_pool_shed(struct terrane_space *space, size_t bytes)
{
    const size_t dirty = tn_counted(space, TN_COUNT_DIRTY_BYTES);
    return dirty == 0 ? 0 : tn_pool_purge_to(space, dirty - tn_min(bytes, dirty), false);
}

uint64_t tn_pool_tick(struct terrane_space *space, uint64_t now_ns)
{
    uint64_t next_ns;
    if (space->foreign)
        return 0;
    const uint64_t keep = allowed(space, now_ns, &next_ns);
    if (tn_counted(space, TN_COUNT_DIRTY_BYTES) > keep)
        (void)tn_pool_purge_to(space, keep, keep > 0);
    const uint64_t cached_ns = tn_regions_tick(space, now_ns);
    tn_pool_observe(now_ns);
    return tn_earlier(cached_ns, next_ns);
}

size_t tn_pool_trim(struct terrane_space *space)
{
    if (space->foreign)
        return 0;
    tn_space_retry(space);
    return tn_pool_purge_to(space, 0, false);
}

size_t terrane_space_trim(struct terrane_space *space)
{
    return tn_pool_trim(space);
}
