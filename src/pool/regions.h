/* Regions behind their public calls: size classes, descriptors, and what a space keeps of them.
 *
 * A region is a run of its own whose bytes are a size class: whole pages in the first 64 KiB, then
 * four classes a doubling, the eighths of the run's order. So the regions of one class are alike,
 * and a cache is one deque a class.
 *
 * A region in a cache stays counted as handed out, so that taking and giving it costs no shared
 * counter; caches are emptied before a limit refuses. */
#ifndef TN_REGIONS_H
#define TN_REGIONS_H

#include "pool/pool.h"
#include "pool/region_cache.h"

#include <terrane/pool.h>

/* ---- size classes ---- */

/* Orders whose regions threads cache: up to 1 GiB. */
#define TN_CACHED_ORDERS 15

/* Classes of the first order, one a page, and of each order above. */
#define TN_PAGE_CLASSES  16
#define TN_ORDER_CLASSES 4

/* A class that no cache holds. */
#define TN_CLASS_UNCACHED TN_REGION_CLASSES

_Static_assert(TN_REGION_CLASSES == TN_PAGE_CLASSES + (TN_CACHED_ORDERS - 1) * TN_ORDER_CLASSES,
               "a cache has a deque for each class");

struct tn_region_size {
    size_t bytes; /* of the class */
    unsigned order;
    unsigned class; /* TN_CLASS_UNCACHED if too large */
};

/* The class of at least `bytes`; false if no run is so large. */
static inline bool tn_region_size(const struct terrane_space *space, size_t bytes,
                                  struct tn_region_size *out)
{
    const size_t page = space->page_bytes;
    if (TN_UNLIKELY(bytes > tn_bytes_of_order(TN_ORDER_MAX)))
        return false;
    bytes = bytes == 0 ? page : tn_round_up(bytes, page);
    out->order = tn_order_of_bytes(bytes);
    if (out->order == 0) {
        out->bytes = bytes;
        out->class = (unsigned)(bytes >> tn_lowest_bit(page)) - 1;
        return true;
    }
    const unsigned eighth_shift = TN_BLOCK_SHIFT - 3 + out->order;
    const size_t eighths = (bytes - 1) >> eighth_shift; /* 4 to 7 */
    out->bytes = (eighths + 1) << eighth_shift;
    out->class = out->order < TN_CACHED_ORDERS
                     ? TN_PAGE_CLASSES - TN_ORDER_CLASSES - 4 + out->order * TN_ORDER_CLASSES +
                           (unsigned)eighths
                     : TN_CLASS_UNCACHED;
    return true;
}

/* The order of a class that caches hold. */
static inline unsigned tn_order_of_class(unsigned class)
{
    return class < TN_PAGE_CLASSES ? 0 : 1 + (class - TN_PAGE_CLASSES) / TN_ORDER_CLASSES;
}

/* The bytes of a class that caches hold. */
size_t tn_bytes_of_class(const struct terrane_space *space, unsigned class);

/* ---- descriptors ---- */

/* Row of a region's first block in TN_TABLE_REGIONS. The holder's, but for `state`. */
struct tn_region_row {
    _Atomic uint32_t state; /* 0: no region in use; relaxed: told apart are only crimes */
    uint16_t class;         /* TN_CLASS_UNCACHED too if its run is not just the class's */
    uint8_t order;          /* of its run */
    uint8_t spare;
    uint64_t bytes;
};

#define TN_REGION_LIVE   1u
#define TN_REGION_SEALED 2u

_Static_assert(sizeof(struct tn_region_row) == TN_ROW_REGIONS,
               "row size is part of the window's layout");

static inline struct tn_region_row *tn_region_row(const struct terrane_space *space, uint32_t block)
{
    return (struct tn_region_row *)(void *)space->tables[TN_TABLE_REGIONS] + block;
}

/* ---- what a space keeps ---- */

#define TN_REGION_CACHES_MAX 256

struct tn_regions {
    struct terrane_space *space;
    uint64_t serial; /* of the space, never used again in this process */

    struct tn_lock lock; /* rank TN_RANK_REGIONS; guards the fields from here to `count` */
    struct tn_region_cache *unused;
    terrane_pressure *pressure;
    void *pressure_context;

    _Atomic uint32_t count;      /* caches there are; release, with acquire by who walks */
    _Atomic size_t cache_wanted; /* most in one cache, as the user set it; relaxed */
    _Atomic size_t cache_bytes;  /* the same, or 0 where nothing may be cached; relaxed */
    _Atomic uint64_t resizes;    /* relaxed */
    _Atomic uint64_t uncached_steals[TN_CACHED_ORDERS];   /* by threads without a cache; relaxed */
    struct tn_region_cache *caches[TN_REGION_CACHES_MAX]; /* constant below `count` */
};

/* The space's, or NULL if there are none yet. A space in which a region is in use has them. */
static inline struct tn_regions *tn_regions_if_any(const struct terrane_space *space)
{
    /* acquire; pairs with the release in tn_regions_of */
    return atomic_load_explicit(&space->regions, memory_order_acquire);
}

/* The space's, made at the first call. NULL: no memory. */
struct tn_regions *tn_regions_of(struct terrane_space *space);

/* The same as tn_region_cache_find, without a call in the usual case. */
static inline struct tn_region_cache *tn_region_cache_mine(struct terrane_space *space)
{
    const struct tn_region_cache_last *last = &tn_region_cache_last;
    const struct tn_regions *regions = tn_regions_if_any(space);
    if (TN_LIKELY(last->space == space && regions != NULL && last->serial == regions->serial))
        return last->cache;
    return tn_region_cache_find(space);
}

/* An empty cache serves another thread from now on. Locked. */
static inline void tn_region_cache_disown(struct tn_regions *regions, struct tn_region_cache *cache)
{
    cache->owner = 0;
    cache->unused = regions->unused;
    regions->unused = cache;
}

/* Empties all caches of the space, and of the other spaces if the process has a limit, into the
 * warm lists; returns the bytes. */
size_t tn_regions_drain(struct terrane_space *space);

/* Takes a region of the class from another thread's cache. */
bool tn_regions_steal(struct tn_regions *regions, const struct tn_region_size *size,
                      uint32_t *block);

/* What fades in caches; as tn_pool_tick. */
uint64_t tn_regions_tick(struct terrane_space *space, uint64_t now_ns);
void tn_regions_decay_set(struct terrane_space *space, uint64_t decay_ns, uint64_t now_ns);

/* Says anew how much caches may hold: nothing where memory fades at once, nor of the parent's. */
void tn_regions_bound(struct tn_regions *regions);

/* Asks the pressure callback after a limit refused `bytes` `tries` times; true: it is worth another
 * try. */
bool tn_regions_press(struct terrane_space *space, size_t bytes, unsigned tries);

/* fork: takes and gives the locks of all spaces' regions. Afterwards in the child: other threads'
 * caches are emptied and free for new threads. */
void tn_regions_fork_prepare(void);
void tn_regions_fork_parent(void);
void tn_regions_fork_child(void);

#endif
