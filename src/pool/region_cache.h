/* A thread's cache of one space's regions: a work-stealing deque a class.
 *
 * The owner takes and gives at the bottom, the youngest first, without a lock. Threads that find
 * nothing, and time, take at the top, the oldest. A cache is bounded in bytes; how many it holds
 * follows from what its owner gave and took, and from what others stole. Caches last as long as
 * their space: one whose thread has ended serves another. */
#ifndef TN_REGION_CACHE_H
#define TN_REGION_CACHE_H

#include "pool/decay.h"
#include "pool/deque.h"
#include "space/space.h"

#define TN_REGION_CLASSES 72

/* After so many doublings a cache takes as many regions of a class as a deque holds. */
#define TN_DOUBLINGS_MAX 6
_Static_assert(TN_DEQUE_SLOTS == 1 << TN_DOUBLINGS_MAX, "a full deque is the last doubling");

/* Counts are stored by the owner only, if not said otherwise; all relaxed, they order nothing. */
struct tn_region_cache {
    struct terrane_space *space;
    uintptr_t owner; /* its mark; under the regions' lock */
    uint32_t index;
    bool decaying;                            /* `decay` has been initialised */
    struct tn_decay decay;                    /* with `decaying` under the space's lock */
    _Atomic uint64_t seen[TN_REGION_CLASSES]; /* hits at the last tick; stored by ticks */

    _Alignas(64) _Atomic uint64_t bytes; /* given minus taken by the owner */
    _Atomic uint64_t low;                /* fewest held since the last tick, which resets it */
    _Atomic uint64_t hits[TN_REGION_CLASSES];
    _Atomic uint64_t puts[TN_REGION_CLASSES];
    _Atomic uint64_t steals[TN_REGION_CLASSES]; /* from other caches, by the owner */
    uint8_t doublings[TN_REGION_CLASSES];       /* how often the owner found nothing, up to full */

    _Alignas(64) _Atomic uint64_t stolen_bytes;  /* by anybody: added */
    _Atomic uint64_t stolen[TN_REGION_CLASSES];  /* by threads; added */
    _Atomic uint64_t dropped[TN_REGION_CLASSES]; /* taken out by time, drains and its end; added */
    struct tn_region_cache *unused;              /* the next without an owner */

    struct tn_deque deques[TN_REGION_CLASSES];
};

/* Memory of a cache. */
static inline size_t tn_region_cache_room(void)
{
    return tn_round_up(sizeof(struct tn_region_cache), tn_os_page_bytes());
}

static inline uint64_t tn_read(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

/* Adds to a count of the calling thread's own. */
static inline void tn_add_own(_Atomic uint64_t *count, uint64_t n)
{
    atomic_store_explicit(count, tn_read(count) + n, memory_order_relaxed);
}

static inline uint64_t tn_region_cache_bytes(const struct tn_region_cache *cache)
{
    return tn_read(&cache->bytes) - tn_read(&cache->stolen_bytes);
}

/* Owner: the youngest region of the class. */
static inline bool tn_region_cache_take(struct tn_region_cache *cache, unsigned class, size_t bytes,
                                        uint32_t *block)
{
    if (!tn_deque_pop(&cache->deques[class], block)) {
        cache->doublings[class] =
            (uint8_t)(cache->doublings[class] + (cache->doublings[class] < TN_DOUBLINGS_MAX));
        return false;
    }
    tn_add_own(&cache->bytes, 0 - (uint64_t)bytes);
    const uint64_t left = tn_region_cache_bytes(cache);
    if (left < tn_read(&cache->low))
        atomic_store_explicit(&cache->low, left, memory_order_relaxed);
    tn_add_own(&cache->hits[class], 1);
    return true;
}

/* Owner: false if it is full, or has as many of the class as its owner has shown to want: one, and
 * twice as many each time that it found nothing. A thread that only gives what others take would
 * pile up cold regions else. Counted first: a thief may be faster with what it takes. */
static inline bool tn_region_cache_give(struct tn_region_cache *cache, unsigned class, size_t bytes,
                                        size_t most, uint32_t block)
{
    if (tn_region_cache_bytes(cache) + bytes > most ||
        tn_deque_count(&cache->deques[class]) >> cache->doublings[class] != 0)
        return false;
    tn_add_own(&cache->bytes, bytes);
    tn_add_own(&cache->puts[class], 1);
    if (TN_LIKELY(tn_deque_push(&cache->deques[class], block)))
        return true;
    tn_add_own(&cache->bytes, 0 - (uint64_t)bytes);
    tn_add_own(&cache->puts[class], UINT64_MAX);
    return false;
}

/* The space that the calling thread used last, and its cache there. `serial` is that of the space's
 * regions, because another space may come to lie where it lay. */
struct tn_region_cache_last {
    const struct terrane_space *space;
    uint64_t serial;
    struct tn_region_cache *cache;
};
extern __thread struct tn_region_cache_last tn_region_cache_last;

/* The calling thread's cache in the space; NULL if it cannot have one. */
struct tn_region_cache *tn_region_cache_find(struct terrane_space *space);

/* Takes everything out of a cache, to the warm lists or to the kernel; any thread. Returns the
 * bytes.
 */
size_t tn_region_cache_empty(struct tn_region_cache *cache, bool keep);

#endif
