/* What a space keeps of its regions, and what is done to all of its caches; see regions.h. */
#include "pool/regions.h"

#include "base/base.h"
#include "os/os.h"
#include "pool/fork.h"

#include <errno.h>

/* Bytes that one thread's cache holds at most, if nobody sets it. */
#define CACHE_BYTES (64 * TN_MIB)

/* Calls to the pressure callback for one refusal. */
#define TRIES 4

static _Atomic uint64_t serials; /* given out so far; relaxed: only that none comes twice counts */

size_t tn_bytes_of_class(const struct terrane_space *space, unsigned class)
{
    if (class < TN_PAGE_CLASSES)
        return (class + 1) * space->page_bytes;
    const unsigned order = tn_order_of_class(class);
    const size_t eighths = 5 + (class - TN_PAGE_CLASSES) % TN_ORDER_CLASSES;
    return tn_bytes_of_order(order) / 8 * eighths;
}

/* ---- creation ---- */

static size_t regions_bytes(void)
{
    return tn_round_up(sizeof(struct tn_regions), tn_os_page_bytes());
}

/* The space ends. */
static void regions_release(struct terrane_space *space)
{
    struct tn_regions *regions = tn_regions_if_any(space);
    const uint32_t count = atomic_load_explicit(&regions->count, memory_order_relaxed); /* alone */
    for (uint32_t i = 0; i < count; i++)
        (void)tn_os_release(regions->caches[i], tn_region_cache_room());
    (void)tn_os_release(regions, regions_bytes());
}

struct tn_regions *tn_regions_of(struct terrane_space *space)
{
    struct tn_regions *regions = tn_regions_if_any(space);
    void *memory;
    if (TN_LIKELY(regions != NULL))
        return regions;
    if (tn_os_allocate(regions_bytes(), &memory) != 0)
        return NULL;
    regions = memory;
    regions->space = space;
    regions->serial = 1 + atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed);
    regions->lock = (struct tn_lock)TN_LOCK_INIT(TN_RANK_REGIONS);
    atomic_init(&regions->cache_wanted, CACHE_BYTES);
    tn_fork_need();
    if (tn_space_publish(&space->regions, regions, &space->regions_release, regions_release)) {
        tn_regions_bound(regions);
        return regions;
    }
    (void)tn_os_release(memory, regions_bytes()); /* another thread was faster */
    return tn_regions_if_any(space);
}

static uint32_t cache_count(const struct tn_regions *regions)
{
    /* acquire; pairs with the release in make: the caches below are whole */
    return atomic_load_explicit(&regions->count, memory_order_acquire);
}

/* ---- taking from caches ---- */

static bool steal_from(struct tn_region_cache *cache, unsigned class, size_t bytes, uint32_t *block)
{
    enum tn_steal result = TN_STEAL_LOST;
    while (result == TN_STEAL_LOST)
        result = tn_deque_steal(&cache->deques[class], block);
    if (result != TN_STEAL_TAKEN)
        return false;
    atomic_fetch_add_explicit(&cache->stolen_bytes, bytes, memory_order_relaxed); /* a count */
    return true;
}

bool tn_regions_steal(struct tn_regions *regions, const struct tn_region_size *size,
                      uint32_t *block)
{
    struct tn_region_cache *mine = tn_region_cache_mine(regions->space);
    const uint32_t count = cache_count(regions);
    const uint32_t first = mine != NULL ? mine->index + 1 : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct tn_region_cache *victim = regions->caches[(first + i) % count];
        if (victim == mine || tn_deque_count(&victim->deques[size->class]) == 0 ||
            !steal_from(victim, size->class, size->bytes, block))
            continue;
        atomic_fetch_add_explicit(&victim->stolen[size->class], 1, memory_order_relaxed);
        if (mine != NULL)
            tn_add_own(&mine->steals[size->class], 1);
        else
            atomic_fetch_add_explicit(&regions->uncached_steals[size->order], 1,
                                      memory_order_relaxed);
        return true;
    }
    return false;
}

/* Takes the oldest region of a class out of the cache, to the warm lists or to the kernel. Returns
 * its bytes, 0 if there is none. */
static size_t drop(struct tn_region_cache *cache, unsigned class, bool keep)
{
    uint32_t block;
    const size_t bytes = tn_bytes_of_class(cache->space, class);
    if (!steal_from(cache, class, bytes, &block))
        return 0;
    atomic_fetch_add_explicit(&cache->dropped[class], 1, memory_order_relaxed);
    tn_pool_uncache(cache->space, block, tn_order_of_class(class), bytes, keep);
    return bytes;
}

/* Whether one of them has waited: not if the only one is taken again and again. */
static bool has_idle(const struct tn_region_cache *cache, unsigned class)
{
    const size_t count = tn_deque_count(&cache->deques[class]);
    return count > 1 ||
           (count == 1 && tn_read(&cache->hits[class]) == tn_read(&cache->seen[class]));
}

/* Drops an idle region of the largest class of at most `most` bytes to the kernel. */
static size_t drop_idle(struct tn_region_cache *cache, size_t most)
{
    for (unsigned class = TN_REGION_CLASSES; class -- > 0;) {
        if (tn_bytes_of_class(cache->space, class) > most || !has_idle(cache, class))
            continue;
        const size_t bytes = drop(cache, class, false);
        if (bytes != 0)
            return bytes;
    }
    return 0;
}

/* Bytes are counted before a region comes in and after it went out: none means none. */
size_t tn_region_cache_empty(struct tn_region_cache *cache, bool keep)
{
    size_t total = 0, bytes;
    if (tn_region_cache_bytes(cache) == 0)
        return 0;
    for (unsigned class = 0; class < TN_REGION_CLASSES; class ++) {
        while (tn_deque_count(&cache->deques[class]) > 0 && (bytes = drop(cache, class, keep)) != 0)
            total += bytes;
    }
    return total;
}

static size_t drain(struct terrane_space *space)
{
    const struct tn_regions *regions = tn_regions_if_any(space);
    size_t total = 0;
    const uint32_t count = regions != NULL ? cache_count(regions) : 0;
    for (uint32_t i = 0; i < count; i++)
        total += tn_region_cache_empty(regions->caches[i], true);
    return total;
}

size_t tn_regions_drain(struct terrane_space *space)
{
    size_t total = drain(space);
    for (uint32_t id = 0; id < TN_SPACES_MAX && tn_process_is_limited(); id++) {
        struct terrane_space *other = tn_space_visit(id);
        if (other == NULL)
            continue;
        total += drain(other);
        tn_space_leave(id);
    }
    return total;
}

/* ---- time ---- */

/* What may stay in the cache now. */
static uint64_t allowed(struct tn_region_cache *cache, uint64_t now_ns, uint64_t *next_ns)
{
    struct terrane_space *space = cache->space;
    const uint64_t held = tn_region_cache_bytes(cache);
    const uint64_t low = atomic_exchange_explicit(&cache->low, held, memory_order_relaxed);
    tn_lock_acquire(&space->lock);
    if (!cache->decaying) {
        tn_decay_init(&cache->decay, tn_pool_decay_ns(space), now_ns);
        cache->decaying = true;
    }
    tn_decay_note(&cache->decay, low);
    const uint64_t keep = tn_decay_allowed(&cache->decay, now_ns, held);
    *next_ns = tn_decay_next(&cache->decay, held);
    tn_lock_release(&space->lock);
    return keep;
}

static void note_purged(struct tn_region_cache *cache, size_t bytes)
{
    tn_lock_acquire(&cache->space->lock);
    tn_decay_purged(&cache->decay, bytes);
    tn_lock_release(&cache->space->lock);
    uint64_t low = tn_read(&cache->low);
    while (!atomic_compare_exchange_weak_explicit(&cache->low, &low, low - tn_min(low, bytes),
                                                  memory_order_relaxed, memory_order_relaxed))
        continue; /* nobody wanted it: that it went is no use of it */
}

static uint64_t fade(struct tn_region_cache *cache, uint64_t now_ns)
{
    uint64_t next_ns;
    const uint64_t keep = allowed(cache, now_ns, &next_ns);
    uint64_t held = tn_region_cache_bytes(cache);
    while (held > keep) {
        const size_t gone = drop_idle(cache, held - keep);
        if (gone == 0)
            break;
        note_purged(cache, gone);
        held -= tn_min(held, gone);
    }
    for (unsigned class = 0; class < TN_REGION_CLASSES; class ++)
        atomic_store_explicit(&cache->seen[class], tn_read(&cache->hits[class]),
                              memory_order_relaxed);
    return next_ns;
}

uint64_t tn_regions_tick(struct terrane_space *space, uint64_t now_ns)
{
    const struct tn_regions *regions = tn_regions_if_any(space);
    const uint32_t count = regions != NULL ? cache_count(regions) : 0;
    uint64_t next_ns = 0;
    for (uint32_t i = 0; i < count; i++)
        next_ns = tn_earlier(next_ns, fade(regions->caches[i], now_ns));
    return next_ns;
}

void tn_regions_bound(struct tn_regions *regions)
{
    struct terrane_space *space = regions->space;
    tn_lock_acquire(&space->lock);
    const bool none = space->foreign || tn_pool_decay_ns(space) == TN_DECAY_AT_ONCE;
    const size_t wanted = atomic_load_explicit(&regions->cache_wanted, memory_order_relaxed);
    atomic_store_explicit(&regions->cache_bytes, none ? 0 : wanted, memory_order_relaxed);
    tn_lock_release(&space->lock);
}

void tn_regions_decay_set(struct terrane_space *space, uint64_t decay_ns, uint64_t now_ns)
{
    struct tn_regions *regions = tn_regions_if_any(space);
    const uint32_t count = regions != NULL ? cache_count(regions) : 0;
    tn_lock_acquire(&space->lock);
    for (uint32_t i = 0; i < count; i++) {
        tn_decay_init(&regions->caches[i]->decay, decay_ns, now_ns);
        regions->caches[i]->decaying = true;
    }
    tn_lock_release(&space->lock);
    if (regions == NULL)
        return;
    tn_regions_bound(regions);
    if (decay_ns == TN_DECAY_AT_ONCE) /* also what is wanted again and again */
        (void)drain(space);
}

/* ---- pressure ---- */

bool tn_regions_press(struct terrane_space *space, size_t bytes, unsigned tries)
{
    struct tn_regions *regions = tn_regions_if_any(space);
    if (tries == TRIES || regions == NULL || !tn_space_is_full(space, bytes))
        return false;
    tn_lock_acquire(&regions->lock);
    terrane_pressure *const call = regions->pressure;
    void *const context = regions->pressure_context;
    tn_lock_release(&regions->lock);
    if (call == NULL)
        return false;
    tn_pool_count_pressure(space);
    return call(space, bytes, context);
}

int tn_pool_acquire_pressed(struct terrane_space *space, const struct tn_wish *wish,
                            struct tn_run *out)
{
    int error = tn_pool_acquire(space, wish, out);
    for (unsigned tries = 0;
         TN_UNLIKELY(error == -ENOMEM) && tn_regions_press(space, wish->bytes, tries); tries++)
        error = tn_pool_acquire(space, wish, out);
    return error;
}

/* ---- fork ---- */

/* Its owner, or a thief, may have been between a deque and its count. Such a region is lost to the
 * child, and counts as handed out. */
static void settle_counts(struct tn_region_cache *cache)
{
    uint64_t bytes = 0;
    for (unsigned class = 0; class < TN_REGION_CLASSES; class ++) {
        const uint64_t held = tn_deque_count(&cache->deques[class]);
        const uint64_t taken = tn_read(&cache->hits[class]) + tn_read(&cache->stolen[class]);
        atomic_store_explicit(&cache->dropped[class], tn_read(&cache->puts[class]) - taken - held,
                              memory_order_relaxed);
        bytes += held * tn_bytes_of_class(cache->space, class);
    }
    atomic_store_explicit(&cache->bytes, tn_read(&cache->stolen_bytes) + bytes,
                          memory_order_relaxed);
}

/* In the child the parent's shared spaces have no caches: nothing of them is ours to hand out. */
static void orphan(struct tn_regions *regions)
{
    const uintptr_t me = tn_thread_mark();
    const bool foreign = regions->space->foreign;
    if (foreign)
        tn_regions_bound(regions);
    const uint32_t count = cache_count(regions);
    for (uint32_t i = 0; i < count; i++) {
        struct tn_region_cache *cache = regions->caches[i];
        if (cache->owner != me || foreign)
            (void)tn_region_cache_empty(cache, true);
        settle_counts(cache);
        if (cache->owner == me || cache->owner == 0)
            continue;
        for (unsigned class = 0; class < TN_REGION_CLASSES; class ++)
            tn_deque_adopt(&cache->deques[class]);
        tn_region_cache_disown(regions, cache);
    }
}

/* Under the registry's lock, or alone: spaces stay. */
static void each_regions(void (*visit)(struct tn_regions *regions))
{
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        const struct terrane_space *space = tn_space_at(id);
        struct tn_regions *regions = space != NULL ? tn_regions_if_any(space) : NULL;
        if (regions != NULL)
            visit(regions);
    }
}

static void take_lock(struct tn_regions *regions)
{
    tn_lock_fork_take(&regions->lock);
}

static void give_lock(struct tn_regions *regions)
{
    tn_lock_fork_give(&regions->lock);
}

void tn_regions_fork_prepare(void)
{
    each_regions(take_lock);
}

void tn_regions_fork_parent(void)
{
    each_regions(give_lock);
}

void tn_regions_fork_child(void)
{
    each_regions(orphan);
}
