/* What a program may set, and ask for now; see terrane/pool.h. */
#include "base/base.h"
#include "os/os.h"
#include "pool/regions.h"

#define NS_PER_MS 1000000u

static struct terrane_space *chosen(struct terrane_space *space)
{
    return space != NULL ? space : terrane_space_default();
}

size_t terrane_pool_purge(struct terrane_space *space)
{
    space = chosen(space);
    if (space == NULL)
        return 0;
    (void)tn_regions_drain(space);
    return tn_pool_trim(space);
}

void terrane_pool_set_cache(struct terrane_space *space, size_t bytes)
{
    space = chosen(space);
    struct tn_regions *regions = space != NULL ? tn_regions_of(space) : NULL;
    if (regions == NULL)
        return; /* without memory for caches there are none */
    atomic_store_explicit(&regions->cache_wanted, bytes, memory_order_relaxed);
    tn_regions_bound(regions);
    (void)tn_regions_drain(space);
}

void terrane_pool_set_decay(struct terrane_space *space, uint64_t milliseconds)
{
    space = chosen(space);
    if (space != NULL)
        tn_pool_decay_set(space, milliseconds > UINT64_MAX / NS_PER_MS ? UINT64_MAX
                                                                       : milliseconds * NS_PER_MS);
}

void terrane_pool_set_limit(struct terrane_space *space, size_t bytes)
{
    space = chosen(space);
    if (space != NULL)
        atomic_store_explicit(&space->limit_bytes, bytes != 0 ? bytes : SIZE_MAX,
                              memory_order_relaxed);
}

void terrane_pool_set_process_limit(size_t bytes)
{
    tn_process_limit_set(bytes != 0 ? bytes : SIZE_MAX);
}

void terrane_pool_on_pressure(struct terrane_space *space, terrane_pressure *call, void *context)
{
    space = chosen(space);
    struct tn_regions *regions = space != NULL ? tn_regions_of(space) : NULL;
    if (regions == NULL)
        return;
    tn_lock_acquire(&regions->lock);
    regions->pressure = call;
    regions->pressure_context = context;
    tn_lock_release(&regions->lock);
}
