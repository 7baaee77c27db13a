/* Counters of a pool, put together: what its lists count under the space's lock, and what each
 * cache counts for itself. */
#include "base/base.h"
#include "os/os.h"
#include "pool/budget.h"
#include "pool/regions.h"
#include "pool/state.h"

_Static_assert(TERRANE_POOL_ORDERS == TN_ORDERS, "every order has its counters");

/* What the lists know. Locked. */
static void add_lists(struct terrane_space *space, struct terrane_pool_stats *out)
{
    const struct tn_pool_state *pool = tn_pool_of(space);
    const struct tn_buddy *buddy = &space->buddy;
    for (unsigned order = 0; order < TN_ORDERS; order++) {
        const struct tn_order_counts *counts = &pool->counts[order];
        const size_t bytes = tn_bytes_of_order(order);
        out->orders[order] = (struct terrane_order_stats){
            .acquires = counts->acquires,
            .releases = counts->releases,
            .dirty_hits = counts->dirty_hits,
            .refills = counts->refills,
            .splits = buddy->splits[order],
            .joins = buddy->joins[order],
            .purged_bytes = counts->purged_bytes,
            .live_bytes = counts->held_bytes,
            .held_peak = counts->held_peak,
            .dirty_bytes = pool->warm_order_bytes[order] + buddy->runs[TN_RUN_DIRTY][order] * bytes,
            .clean_bytes = buddy->runs[TN_RUN_CLEAN][order] * bytes,
        };
    }
    out->regions = pool->regions;
    out->purges = pool->purges;
    out->refusals = pool->refusals;
    out->pressure_calls = pool->pressure_calls;
    out->mapped_bytes = (uint64_t)buddy->frontier << TN_BLOCK_SHIFT;
}

/* What one cache holds and has served. What it holds is counted as live in the lists. */
static void add_cache(const struct tn_region_cache *cache, struct terrane_pool_stats *out)
{
    for (unsigned class = 0; class < TN_REGION_CLASSES; class ++) {
        struct terrane_order_stats *order = &out->orders[tn_order_of_class(class)];
        const uint64_t hits = tn_read(&cache->hits[class]);
        const uint64_t puts = tn_read(&cache->puts[class]);
        const uint64_t steals = tn_read(&cache->steals[class]);
        const uint64_t gone =
            hits + tn_read(&cache->stolen[class]) + tn_read(&cache->dropped[class]);
        const uint64_t held = puts - tn_min(puts, gone); /* threads may be between two counts */
        const uint64_t bytes = held * tn_bytes_of_class(cache->space, class);
        order->acquires += hits + steals;
        order->releases += puts;
        order->cache_hits += hits;
        order->steals += steals;
        order->cached_bytes += bytes;
        order->live_bytes -= tn_min(order->live_bytes, bytes);
        out->regions -= tn_min(out->regions, held);
    }
}

static void add_caches(const struct terrane_space *space, struct terrane_pool_stats *out)
{
    const struct tn_regions *regions = tn_regions_if_any(space);
    if (regions == NULL)
        return;
    /* acquire; pairs with the release in make */
    const uint32_t count = atomic_load_explicit(&regions->count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++)
        add_cache(regions->caches[i], out);
    for (unsigned order = 0; order < TN_CACHED_ORDERS; order++) {
        const uint64_t steals = tn_read(&regions->uncached_steals[order]);
        out->orders[order].steals += steals;
        out->orders[order].acquires += steals;
    }
    out->resizes = tn_read(&regions->resizes);
}

/* All fields of an order but its peak are sums of 64-bit counters. */
static void add_total(struct terrane_pool_stats *out, uint64_t peak)
{
    enum { FIELDS = sizeof(struct terrane_order_stats) / sizeof(uint64_t) };
    uint64_t *sums = (uint64_t *)(void *)&out->total;
    for (unsigned order = 0; order < TN_ORDERS; order++) {
        const uint64_t *fields = (const uint64_t *)(const void *)&out->orders[order];
        for (unsigned i = 0; i < FIELDS; i++)
            sums[i] += fields[i];
    }
    out->total.held_peak = peak;
}

void terrane_pool_stats(struct terrane_space *space, struct terrane_pool_stats *out)
{
    *out = (struct terrane_pool_stats){.version = TERRANE_POOL_STATS_VERSION};
    if (space == NULL && (space = terrane_space_default()) == NULL)
        return;
    tn_lock_acquire(&space->lock);
    add_lists(space, out);
    tn_lock_release(&space->lock);
    add_caches(space, out);
    add_total(out, tn_counted(space, TN_COUNT_RUN_BYTES_PEAK));
    const size_t limit = atomic_load_explicit(&space->limit_bytes, memory_order_relaxed);
    out->limit_bytes = limit == SIZE_MAX ? 0 : limit;
    out->budget_bytes = tn_budget_bytes(space);
    out->elided_bytes = tn_read(&space->pool_counters[TN_POOL_ELIDED_BYTES]);
    out->evicted_bytes = tn_read(&space->pool_counters[TN_POOL_EVICTED_BYTES]);
    if (space->fd >= 0)
        (void)tn_os_file_taken(space->fd, &out->file_bytes);
    out->resident_bytes = out->total.live_bytes + out->total.cached_bytes + out->total.dirty_bytes;
}
