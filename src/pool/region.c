/* The public calls on regions; see terrane/pool.h and regions.h.
 *
 * Where a region comes from, in this order: the thread's own cache, the shared warm list of its
 * class, another thread's cache, any other run of the pool (larger warm ones, clean ones, new
 * addresses). Where it goes: the own cache, else the shared warm lists. */
#include "base/base.h"
#include "os/os.h"
#include "pool/budget.h"
#include "pool/decay_worker.h"
#include "pool/regions.h"
#include "pool/warm.h"

#include <errno.h>

static struct {
    terrane_region_hook *_Atomic call; /* release, with acquire by who calls: the context */
    void *context;
} hook;

void terrane_pool_on_region(terrane_region_hook *call, void *context)
{
    hook.context = context;
    /* release; pairs with the acquire in tell */
    atomic_store_explicit(&hook.call, call, memory_order_release);
}

static void tell(const struct terrane_region *region, bool acquired, const void *caller)
{
    /* acquire; pairs with the release in terrane_pool_on_region */
    terrane_region_hook *const call = atomic_load_explicit(&hook.call, memory_order_acquire);
    if (TN_UNLIKELY(call != NULL))
        call(region, acquired, caller, hook.context);
}

/* ---- descriptors ---- */

static _Noreturn void crime(const void *pointer)
{
    tn_die("invalid region: pointer %p is not a region in use", pointer);
}

/* Space and block of a region in use. */
static struct terrane_space *locate(const struct terrane_region *region, uint32_t *block)
{
    struct terrane_space *space = tn_space_of(region->data);
    if (TN_UNLIKELY(space == NULL))
        crime(region->data);
    *block = tn_block_of(space, region->data);
    if (TN_UNLIKELY(tn_block_addr(space, *block) != region->data))
        crime(region->data);
    return space;
}

/* Its state, for a call that leaves it in use. */
static uint32_t state_of(const struct terrane_space *space, uint32_t block)
{
    const uint32_t state =
        atomic_load_explicit(&tn_region_row(space, block)->state, memory_order_relaxed);
    if (TN_UNLIKELY(state == 0))
        crime(tn_block_addr(space, block));
    return state;
}

/* Its state, for a call that ends it: of two that try, one is a crime. */
static uint32_t end_state(const struct terrane_space *space, uint32_t block)
{
    (void)state_of(space, block); /* rows that nobody wrote may be read only */
    const uint32_t state =
        atomic_exchange_explicit(&tn_region_row(space, block)->state, 0, memory_order_relaxed);
    if (TN_UNLIKELY(state == 0))
        crime(tn_block_addr(space, block));
    return state;
}

static void set_state(const struct terrane_space *space, uint32_t block, uint32_t state)
{
    atomic_store_explicit(&tn_region_row(space, block)->state, state, memory_order_relaxed);
}

/* Describes a run as a region. Cached is only one that is just its class. */
static void describe(const struct tn_held *held, struct terrane_region *out)
{
    struct tn_region_row *row = tn_region_row(held->space, held->block);
    struct tn_region_size size;
    const bool fits = tn_region_size(held->space, held->bytes, &size) &&
                      size.bytes == held->bytes && size.order == held->order;
    row->class = (uint16_t)(fits ? size.class : TN_CLASS_UNCACHED);
    row->order = (uint8_t)held->order;
    row->bytes = held->bytes;
    set_state(held->space, held->block, TN_REGION_LIVE);
    *out = (struct terrane_region){tn_block_addr(held->space, held->block), held->bytes};
}

static struct tn_held held_of(struct terrane_space *space, uint32_t block)
{
    const struct tn_region_row *row = tn_region_row(space, block);
    return (struct tn_held){space, block, row->order, row->bytes, row->bytes, 0};
}

int tn_region_from_run(const struct tn_held *held, struct terrane_region *out)
{
    if (tn_regions_of(held->space) == NULL)
        return -ENOMEM;
    tn_pool_count_regions(held->space, 1);
    describe(held, out);
    return 0;
}

int tn_region_to_run(const struct terrane_region *region, struct tn_held *out)
{
    uint32_t block;
    struct terrane_space *space = locate(region, &block);
    if ((state_of(space, block) & TN_REGION_SEALED) != 0)
        return -EPERM;
    (void)end_state(space, block);
    tn_pool_count_regions(space, -1);
    *out = held_of(space, block);
    return 0;
}

bool tn_region_in_use(const struct terrane_space *space, const void *pointer)
{
    const uint32_t block = tn_block_of(space, pointer);
    return tn_block_addr(space, block) == pointer &&
           atomic_load_explicit(&tn_region_row(space, block)->state, memory_order_relaxed) != 0;
}

/* ---- acquire ---- */

/* Pages behind the class that an earlier holder left warm. */
static int trim_tail(struct terrane_space *space, const struct tn_run *run, size_t bytes)
{
    struct tn_node *node = &space->buddy.nodes[run->block]; /* ours alone while the run is used */
    const size_t end = node->warm == 0 ? 0 : tn_bytes_of_order(run->order) / 8 * (node->warm + 1u);
    int error = 0;
    if (end > bytes)
        error = tn_space_discard(space, tn_block_addr(space, run->block) + bytes, end - bytes);
    if (error == 0)
        node->warm = 0;
    return error;
}

/* A run from anywhere in the pool. */
static int acquire_run(struct terrane_space *space, size_t bytes, struct tn_run *run)
{
    const struct tn_wish wish = {.bytes = bytes, .whole = true};
    int error = tn_pool_acquire_pressed(space, &wish, run);
    if (error != 0)
        return error;
    error = trim_tail(space, run, bytes);
    if (error != 0) {
        tn_pool_release(space, run->block, run->order, bytes);
        return error;
    }
    tn_pool_count_regions(space, 1);
    tn_space_want_huge(space, run->block, run->order, bytes);
    return 0;
}

/* Memory that was in use at once, so that there is something to fade: somebody must watch. */
static int acquire_shared(struct terrane_space *space, const struct tn_region_size *size,
                          struct tn_held *out)
{
    struct tn_regions *regions = tn_regions_of(space);
    struct tn_run run;
    if (regions == NULL || space->foreign)
        return space->foreign ? -EPERM : -ENOMEM;
    *out = (struct tn_held){space, 0, size->order, size->bytes, size->bytes, 0};
    if (tn_pool_take_kept(space, size->order, size->bytes, &out->block) == 0) {
        if (!space->lazy_commit && !space->reserve_file)
            return 0;
        const int error = tn_space_commit(space, tn_block_addr(space, out->block), size->bytes);
        if (error != 0)
            tn_pool_keep(space, out->block, size->order, size->bytes);
        return error;
    }
    if (size->class != TN_CLASS_UNCACHED && tn_regions_steal(regions, size, &out->block))
        return 0;
    tn_worker_need();
    const int error = acquire_run(space, size->bytes, &run);
    out->block = run.block;
    return error;
}

/* Not from the own cache. Kept out of the usual case, whose registers it would cost. */
static __attribute__((noinline)) int acquire_elsewhere(struct terrane_space *space,
                                                       const struct tn_region_size *size,
                                                       struct terrane_region *out)
{
    struct tn_held held;
    const int error = acquire_shared(space, size, &held);
    if (error != 0)
        return tn_pool_refused(space, error);
    describe(&held, out);
    return 0;
}

int terrane_region_acquire(struct terrane_space *space, size_t bytes, struct terrane_region *out)
{
    struct tn_region_size size;
    struct tn_region_cache *cache = NULL;
    uint32_t block;
    if (space == NULL && (space = terrane_space_default()) == NULL)
        return -ENOMEM;
    if (!tn_region_size(space, bytes, &size))
        return tn_pool_refused(space, -ENOMEM);
    if (TN_LIKELY(size.class != TN_CLASS_UNCACHED))
        cache = tn_region_cache_mine(space);
    if (TN_LIKELY(cache != NULL) && tn_region_cache_take(cache, size.class, size.bytes, &block)) {
        set_state(space, block, TN_REGION_LIVE);
        *out = (struct terrane_region){tn_block_addr(space, block), size.bytes};
    } else {
        const int error = acquire_elsewhere(space, &size, out);
        if (error != 0)
            return error;
    }
    tell(out, true, __builtin_return_address(0));
    return 0;
}

/* ---- release ---- */

static void release_shared(struct terrane_space *space, uint32_t block)
{
    if (space->foreign)
        return; /* the parent's region lives on */
    const struct tn_held held = held_of(space, block);
    if (tn_pool_keepable(space, block)) {
        tn_pool_keep(space, block, held.order, held.bytes);
        return;
    }
    tn_pool_count_regions(space, -1);
    tn_pool_release(space, block, held.order, held.bytes);
}

void terrane_region_release(struct terrane_region *region)
{
    if (region->data == NULL)
        return;
    uint32_t block;
    tell(region, false, __builtin_return_address(0));
    struct terrane_space *space = locate(region, &block);
    (void)end_state(space, block);
    *region = (struct terrane_region){NULL, 0};
    const struct tn_region_row *row = tn_region_row(space, block);
    if (TN_LIKELY(row->class != TN_CLASS_UNCACHED && tn_pool_keepable(space, block) &&
                  tn_warm_is_local(space, block))) {
        struct tn_region_cache *cache = tn_region_cache_mine(space);
        const size_t most =
            atomic_load_explicit(&tn_regions_if_any(space)->cache_bytes, memory_order_relaxed);
        if (TN_LIKELY(cache != NULL) &&
            tn_region_cache_give(cache, row->class, row->bytes, most, block)) {
            tn_worker_need();
            return;
        }
    }
    release_shared(space, block);
    tn_worker_need();
}

/* ---- resize and move ---- */

/* A region of `bytes` in `space` with the contents of the one at `block`, at another address. */
static int relocate(const struct tn_held *held, struct terrane_space *space, size_t bytes,
                    struct terrane_region *out)
{
    struct tn_run run;
    (void)end_state(held->space, held->block); /* its block may be somebody else's soon */
    const int error = tn_pool_relocate(held, space, bytes, true, &run);
    if (error != 0) {
        set_state(held->space, held->block, TN_REGION_LIVE);
        return tn_pool_refused(space, error);
    }
    if (held->space != space) {
        tn_pool_count_regions(held->space, -1);
        tn_pool_count_regions(space, 1);
    }
    tn_space_want_huge(space, run.block, run.order, bytes);
    describe(&(struct tn_held){space, run.block, run.order, bytes, bytes, 0}, out);
    return 0;
}

int terrane_region_resize(struct terrane_region *region, size_t bytes)
{
    uint32_t block;
    struct tn_region_size size;
    struct terrane_space *space = locate(region, &block);
    if ((state_of(space, block) & TN_REGION_SEALED) != 0)
        return -EPERM;
    if (!tn_region_size(space, bytes, &size))
        return tn_pool_refused(space, -ENOMEM);
    struct tn_held held = held_of(space, block);
    if (size.bytes == held.bytes)
        return 0;
    atomic_fetch_add_explicit(&tn_regions_if_any(space)->resizes, 1, memory_order_relaxed);
    const int error = tn_pool_resize(space, block, &held.order, held.bytes, size.bytes);
    tn_region_row(space, block)->order = (uint8_t)held.order; /* more addresses, if no more bytes */
    if (error == 0) {
        held.bytes = size.bytes;
        tn_space_want_huge(space, block, held.order, held.bytes);
        describe(&held, region);
        return 0;
    }
    tn_region_row(space, block)->class = TN_CLASS_UNCACHED;
    return size.bytes < held.bytes ? tn_pool_refused(space, error)
                                   : relocate(&held, space, size.bytes, region);
}

int terrane_region_move(struct terrane_region *region, struct terrane_space *space)
{
    uint32_t block;
    struct tn_region_size size;
    struct terrane_space *from = locate(region, &block);
    if ((state_of(from, block) & TN_REGION_SEALED) != 0)
        return -EPERM;
    if (space == NULL && (space = terrane_space_default()) == NULL)
        return -ENOMEM;
    if (space == from)
        return 0;
    const struct tn_held held = held_of(from, block);
    if (!tn_region_size(space, held.bytes, &size))
        return -ENOMEM;
    if (tn_regions_of(space) == NULL)
        return -ENOMEM;
    return relocate(&held, space, size.bytes, region);
}

/* ---- seal, advise ---- */

static int protect(const struct terrane_region *region, bool writable)
{
    uint32_t block;
    struct terrane_space *space = locate(region, &block);
    const uint32_t sealed = writable ? 0 : TN_REGION_SEALED;
    if ((state_of(space, block) & TN_REGION_SEALED) == sealed)
        return 0;
    if (tn_space_is_gone(space))
        return -EPERM; /* what is not there must not become accessible */
    const size_t bytes = tn_region_row(space, block)->bytes;
    const int error = tn_space_protect(space, block, region->data, bytes, true, writable);
    if (error == 0)
        set_state(space, block, TN_REGION_LIVE | sealed);
    return error;
}

int terrane_region_seal(const struct terrane_region *region)
{
    return protect(region, false);
}

int terrane_region_unseal(const struct terrane_region *region)
{
    return protect(region, true);
}

/* Contents go; on files the space for new ones is reserved again. Where that is refused the region
 * is not for a cache any more, which would hand it out as it is. */
static int discard(struct terrane_space *space, uint32_t block, char *addr, size_t bytes)
{
    int error = tn_space_discard(space, addr, bytes);
    if (error != 0 || !space->reserve_file)
        return error;
    error = tn_space_commit(space, addr, bytes);
    if (error != 0)
        tn_region_row(space, block)->class = TN_CLASS_UNCACHED;
    return error;
}

int terrane_region_advise(const struct terrane_region *region, size_t offset, size_t bytes,
                          enum terrane_advice advice)
{
    uint32_t block;
    size_t end;
    struct terrane_space *space = locate(region, &block);
    const uint32_t state = state_of(space, block);
    if (!tn_size_add(offset, bytes, &end) || end > tn_region_row(space, block)->bytes)
        return -EINVAL;
    offset = tn_round_up(offset, space->page_bytes);
    end = tn_round_down(end, space->page_bytes);
    if (offset >= end)
        return (unsigned)advice <= TERRANE_ADVICE_DEAD ? 0 : -EINVAL;
    char *addr = (char *)region->data + offset;
    switch (advice) {
    case TERRANE_ADVICE_NEEDED:
        (void)tn_os_populate(addr, end - offset); /* a hint: pages come when they are touched */
        return 0;
    case TERRANE_ADVICE_COLD:
        tn_space_cool(space, addr, end - offset);
        tn_budget_cold(space, addr, end - offset);
        return 0;
    case TERRANE_ADVICE_DEAD:
        return (state & TN_REGION_SEALED) != 0 ? -EPERM : discard(space, block, addr, end - offset);
    }
    return -EINVAL;
}
