/* Which cache a thread has in which space; see region_cache.h.
 *
 * A thread remembers the space that it used last, and behind that one entry a space: of the first
 * space in itself, because most threads use no other and births should be cheap, of others in pages
 * of their own. Entries name the serial number of their space, because a space may end and another
 * take its id and its address while the thread knows nothing of it. */
#include "pool/region_cache.h"

#include "os/os.h"
#include "pool/regions.h"

#include <pthread.h>

struct entry {
    uint64_t serial; /* of the space's regions; 0: none */
    struct tn_region_cache *cache;
};

__thread struct tn_region_cache_last tn_region_cache_last;

/* Of the first space; its id stays the first space's also when that has ended. */
static __thread struct entry home;
static __thread uint32_t home_id;

static __thread struct entry *entries; /* TN_SPACES_MAX, of other spaces; NULL: none yet */
static __thread bool begun;            /* the thread's key has a value */
static __thread bool ended;            /* the thread's key has been destroyed */

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_made;

static size_t entries_bytes(void)
{
    return tn_round_up(TN_SPACES_MAX * sizeof(struct entry), tn_os_page_bytes());
}

/* ---- the end of a thread ---- */

static void leave(struct tn_regions *regions, struct tn_region_cache *cache)
{
    tn_region_cache_empty(cache, true);
    tn_lock_acquire(&regions->lock);
    tn_region_cache_disown(regions, cache);
    tn_lock_release(&regions->lock);
}

/* The entry's space may have ended, and another may have its id. */
static void leave_entry(struct entry *entry, uint32_t id)
{
    if (entry->cache != NULL) {
        struct terrane_space *space = tn_space_visit(id);
        struct tn_regions *regions = space != NULL ? tn_regions_if_any(space) : NULL;
        if (regions != NULL && regions->serial == entry->serial)
            leave(regions, entry->cache);
        if (space != NULL)
            tn_space_leave(id);
    }
    *entry = (struct entry){0, NULL};
}

/* Empties the caches of the calling thread, which serve others from now on. */
static void leave_all(void)
{
    tn_region_cache_last.space = NULL;
    leave_entry(&home, home_id);
    if (entries == NULL)
        return;
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++)
        leave_entry(&entries[id], id);
    (void)tn_os_release(entries, entries_bytes());
    entries = NULL;
}

static void thread_ends(void *value)
{
    (void)value;
    leave_all();
    ended = true;
}

/* ---- its begin, and its entries ---- */

static void make_key(void)
{
    key_made = pthread_key_create(&key, thread_ends) == 0;
}

static bool thread_begins(void)
{
    (void)pthread_once(&key_once, make_key);
    begun = !ended && key_made && pthread_setspecific(key, &home) == 0;
    return begun;
}

/* The entry of a space whose regions have this number; NULL: no memory. */
static struct entry *entry_of(const struct terrane_space *space, uint64_t serial)
{
    void *memory;
    if (home.serial == 0) {
        home.serial = serial;
        home_id = space->id;
    }
    if (home.serial == serial)
        return &home;
    if (entries == NULL) {
        if (tn_os_allocate(entries_bytes(), &memory) != 0)
            return NULL;
        entries = memory;
    }
    struct entry *entry = &entries[space->id];
    if (entry->serial != serial)
        *entry = (struct entry){serial, NULL};
    return entry;
}

/* ---- caches ---- */

/* A new cache, or NULL. Locked by the regions' lock. */
static struct tn_region_cache *make(struct tn_regions *regions)
{
    void *memory;
    const uint32_t count = atomic_load_explicit(&regions->count, memory_order_relaxed);
    if (count == TN_REGION_CACHES_MAX || tn_os_allocate(tn_region_cache_room(), &memory) != 0)
        return NULL;
    struct tn_region_cache *cache = memory;
    cache->space = regions->space;
    cache->index = count;
    regions->caches[count] = cache;
    /* release; pairs with the acquire of those who walk the caches */
    atomic_store_explicit(&regions->count, count + 1, memory_order_release);
    return cache;
}

static struct tn_region_cache *obtain(struct tn_regions *regions)
{
    tn_lock_acquire(&regions->lock);
    struct tn_region_cache *cache = regions->unused;
    if (cache != NULL)
        regions->unused = cache->unused;
    else
        cache = make(regions);
    if (cache != NULL)
        cache->owner = tn_thread_mark();
    tn_lock_release(&regions->lock);
    return cache;
}

struct tn_region_cache *tn_region_cache_find(struct terrane_space *space)
{
    struct tn_regions *regions = tn_regions_of(space);
    if (regions == NULL || ended || (!begun && !thread_begins()))
        return NULL;
    struct entry *entry = entry_of(space, regions->serial);
    if (entry == NULL)
        return NULL;
    if (entry->cache == NULL)
        entry->cache = obtain(regions);
    /* All may be taken: it asks again when the thread comes back from another space. */
    tn_region_cache_last = (struct tn_region_cache_last){space, regions->serial, entry->cache};
    return entry->cache;
}
