/* Heaps as wholes: creation, owners, adoption, fork.
 *
 * A space has a table of heaps by id. A heap's struct, once made, stays: a destroyed heap is kept
 * for the next one to be created, with its id, so that block descriptors can name heaps by number
 * and a thread that looks one up never meets unmapped memory.
 *
 * Owner states of a heap, all changes by compare-and-swap or by the owner:
 *
 *      obtain, adopt (0 -> mark)                  leave, abandon (mark -> 0)
 *   abandoned ------------------> owned by a thread ------------------> abandoned
 *      collect on its behalf: 0 -> mark -> 0 (remote.c)
 *      created as shared: the heap's own address, for good
 *      fork, in the child: another thread's mark -> LOST. Its owner may have been in the middle of
 * a change, so nobody may look inside; its objects stay valid and can be freed, but not reused. */
#include "heap/layout.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

#define HEAPS_MAX 65536
#define LOST      ((uintptr_t)1)

struct tn_heap_table {
    struct tn_lock lock; /* guards the lists and `count`; rank TN_RANK_HEAPS */
    uint32_t count;      /* ids given out */
    struct terrane_heap *unused;
    struct terrane_heap *abandoned;
    struct terrane_heap *_Atomic at[HEAPS_MAX];
};

struct terrane_heap tn_heap_none;

static const struct tn_atfork_part fork_part;

/* ---- the table ---- */

static struct tn_heap_table *table_if_any(const struct terrane_space *space)
{
    /* acquire; pairs with the release in tn_space_publish */
    return atomic_load_explicit(&space->heaps, memory_order_acquire);
}

static struct terrane_heap *heap_at(const struct tn_heap_table *table, uint32_t id)
{
    return atomic_load_explicit(&table->at[id],
                                memory_order_relaxed); /* under the lock, or alone */
}

static size_t table_bytes(void)
{
    return tn_round_up(sizeof(struct tn_heap_table), tn_os_page_bytes());
}

/* Room of a heap's struct and its caches. */
static size_t struct_bytes(void)
{
    size_t slots = 0;
    for (unsigned class = 0; class < TN_CLASSES; class ++)
        slots += tn_classes[class].cached;
    const size_t bytes = sizeof(struct terrane_heap) + slots * sizeof(void *);
    return tn_round_up(bytes, tn_os_page_bytes());
}

/* The space ends: gives the memory of its heaps back. */
static void table_release(struct terrane_space *space)
{
    struct tn_heap_table *table = table_if_any(space);
    for (uint32_t id = 0; id < table->count; id++) {
        tn_hardened_deinit(heap_at(table, id));
        (void)tn_os_release(heap_at(table, id), struct_bytes());
    }
    (void)tn_os_release(table, table_bytes());
}

static struct tn_heap_table *table_of(struct terrane_space *space)
{
    struct tn_heap_table *table = table_if_any(space);
    if (TN_LIKELY(table != NULL))
        return table;
    void *memory;
    if (tn_os_allocate(table_bytes(), &memory) != 0)
        return NULL;
    table = memory;
    table->lock = (struct tn_lock)TN_LOCK_INIT(TN_RANK_HEAPS);
    tn_atfork_add(TN_ATFORK_HEAPS, &fork_part);
    if (tn_space_publish(&space->heaps, table, &space->heaps_release, table_release))
        return table;
    (void)tn_os_release(memory, table_bytes()); /* another thread was faster */
    return table_if_any(space);
}

struct terrane_heap *tn_heap_by_id(const struct terrane_space *space, uint32_t id)
{
    /* acquire; pairs with the release in struct_create */
    return atomic_load_explicit(&table_if_any(space)->at[id], memory_order_acquire);
}

/* ---- structs ---- */

/* A struct with an id: a used one, or a new one. NULL: no memory; errno says which limit. */
static struct terrane_heap *struct_create(struct tn_heap_table *table)
{
    struct terrane_heap *heap = NULL;
    void *memory;
    tn_lock_acquire(&table->lock);
    if (table->unused != NULL) {
        heap = table->unused;
        table->unused = heap->next_abandoned;
    } else if (table->count == HEAPS_MAX) {
        errno = EAGAIN;
    } else if (tn_os_allocate(struct_bytes(), &memory) != 0) {
        errno = ENOMEM;
    } else {
        heap = memory;
        /* Once, before it has an id: a fork takes it from then on. */
        heap->large_lock = (struct tn_lock)TN_LOCK_INIT(TN_RANK_HEAP);
        heap->id = table->count++;
        /* release; pairs with the acquire in tn_heap_by_id */
        atomic_store_explicit(&table->at[heap->id], heap, memory_order_release);
    }
    tn_lock_release(&table->lock);
    return heap;
}

static void struct_destroy(struct terrane_heap *heap)
{
    struct tn_heap_table *table = table_if_any(heap->space);
    tn_lock_acquire(&table->lock);
    heap->next_abandoned = table->unused;
    table->unused = heap;
    tn_lock_release(&table->lock);
}

static void init_lists(struct terrane_heap *heap)
{
    for (unsigned class = 0; class < TN_CLASSES; class ++) {
        heap->open[class] = TN_NONE;
        heap->span_counts[class] = 0;
    }
    for (unsigned list = 0; list < TN_ROOMY_LISTS; list++)
        heap->roomy[list] = TN_NONE;
    heap->roomy_lists = 0;
    heap->small_blocks = TN_NONE;
    heap->small_count = 0;
    heap->empty_count = 0;
    heap->large = TN_NONE;
}

static struct terrane_heap *create(struct terrane_space *space,
                                   const struct terrane_heap_options *options, bool hardened)
{
    struct tn_heap_table *table = table_of(space);
    struct terrane_heap *heap = table != NULL ? struct_create(table) : NULL;
    if (heap == NULL)
        return NULL;
    heap->space = space;
    heap->base = space->base;
    heap->window_bytes = (size_t)space->block_count << TN_BLOCK_SHIFT;
    heap->mini = tn_mini(space);
    heap->hardened = hardened;
    heap->kind = options->kind;
    heap->fresh_ratio = options->fresh_ratio;
    heap->fresh_debt = 0;
    heap->guard_rate = 0;
    init_lists(heap);
    tn_cache_init(heap);
    if (hardened && heap->quarantine == NULL && tn_hardened_init(heap) != 0) {
        struct_destroy(heap);
        errno = ENOMEM;
        return NULL;
    }
    /* release; pairs with the acquire of later owners */
    atomic_store_explicit(&heap->owner, tn_thread_mark(), memory_order_release);
    tn_count(space, TN_COUNT_HEAPS, 1);
    return heap;
}

struct terrane_heap *tn_heap_create_shared(struct terrane_space *space)
{
    const struct terrane_heap_options options = {.kind = TERRANE_KIND_RAW};
    struct terrane_heap *heap = create(space, &options, false);
    /* relaxed: nobody knows it yet. No thread's mark, so that frees elsewhere wait in its list. */
    if (heap != NULL)
        atomic_store_explicit(&heap->owner, (uintptr_t)heap, memory_order_relaxed);
    return heap;
}

int terrane_heap_create(struct terrane_space *space, const struct terrane_heap_options *options,
                        struct terrane_heap **out)
{
    static const struct terrane_heap_options defaults = {.kind = TERRANE_KIND_RAW};
    if (options == NULL)
        options = &defaults;
    if ((unsigned)options->kind > TERRANE_KIND_PINNED || options->fresh_ratio > 100)
        return -EINVAL;
    const int saved_errno = errno;
    tn_atfork_need();
    if (space == NULL)
        space = terrane_space_default();
    struct terrane_heap *heap = NULL;
    if (space != NULL)
        heap = create(space, options, options->hardened);
    const int error = heap != NULL ? 0 : -errno;
    errno = saved_errno;
    if (heap != NULL)
        *out = heap;
    return error;
}

/* ---- destruction ---- */

static void destroy_blocks(struct terrane_heap *heap)
{
    struct terrane_space *space = heap->space;
    for (uint32_t block = heap->small_blocks; block != TN_NONE;) {
        struct tn_block *descriptor = tn_block_at(space, block);
        const uint32_t next = descriptor->all_next;
        memset(&tn_mini(space)[(size_t)block * TN_MINIPAGES], 0, TN_ROW_MINI);
        memset(descriptor->bits, 0, sizeof(descriptor->bits));
        descriptor->use = TN_USE_NONE;
        tn_uncount(space, TN_COUNT_SMALL_BYTES, TN_BLOCK_BYTES);
        tn_pool_release(space, block, 0, TN_BLOCK_BYTES);
        block = next;
    }
}

void terrane_heap_destroy(struct terrane_heap *heap)
{
    if (heap == NULL)
        return;
    tn_hardened_drain(heap);
    tn_remote_collect(heap);
    while (heap->large != TN_NONE) {
        const struct tn_block *descriptor = tn_block_at(heap->space, heap->large);
        tn_large_free(heap->space, tn_block_addr(heap->space, heap->large) + descriptor->offset);
    }
    destroy_blocks(heap);
    init_lists(heap);
    tn_cache_init(heap);
    tn_uncount(heap->space, TN_COUNT_HEAPS, 1);
    struct_destroy(heap);
}

/* ---- owners ---- */

void terrane_heap_trim(struct terrane_heap *heap)
{
    tn_hardened_drain(heap);
    tn_cache_flush(heap);
    tn_remote_collect(heap);
    tn_span_trim(heap);
}

void terrane_heap_abandon(struct terrane_heap *heap)
{
    terrane_heap_trim(heap);
    /* release; pairs with the acquire of the next owner */
    atomic_store_explicit(&heap->owner, 0, memory_order_release);
}

int terrane_heap_adopt(struct terrane_heap *heap)
{
    uintptr_t nobody = 0;
    /* acquire; pairs with the release of the last owner */
    if (!atomic_compare_exchange_strong_explicit(&heap->owner, &nobody, tn_thread_mark(),
                                                 memory_order_acquire, memory_order_relaxed))
        return -EBUSY;
    tn_count(heap->space, TN_COUNT_ADOPTIONS, 1);
    tn_remote_collect(heap);
    return 0;
}

void tn_heap_leave(struct terrane_heap *heap)
{
    struct tn_heap_table *table = table_if_any(heap->space);
    terrane_heap_abandon(heap);
    tn_lock_acquire(&table->lock);
    heap->next_abandoned = table->abandoned;
    table->abandoned = heap;
    tn_lock_release(&table->lock);
}

static struct terrane_heap *pop_abandoned(struct terrane_space *space)
{
    struct tn_heap_table *table = table_if_any(space);
    if (table == NULL)
        return NULL;
    tn_lock_acquire(&table->lock);
    struct terrane_heap *heap = table->abandoned;
    if (heap != NULL)
        table->abandoned = heap->next_abandoned;
    tn_lock_release(&table->lock);
    return heap;
}

static bool is_lost(const struct terrane_heap *heap)
{
    return atomic_load_explicit(&heap->owner, memory_order_relaxed) == LOST; /* for good */
}

struct terrane_heap *tn_heap_obtain(struct terrane_space *space, bool hardened)
{
    struct terrane_heap *heap = pop_abandoned(space);
    while (heap != NULL && terrane_heap_adopt(heap) != 0) {
        if (is_lost(heap))
            heap = pop_abandoned(space);
        else
            tn_os_yield(); /* somebody collects it just now (remote.c) */
    }
    if (heap != NULL)
        return heap;
    const struct terrane_heap_options options = {.kind = TERRANE_KIND_RAW};
    return create(space, &options, hardened);
}

/* ---- fork ---- */

/* Under the registry's lock: spaces and their tables stay. */
static void each_table(void (*visit)(struct terrane_space *space, struct tn_heap_table *table))
{
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        struct terrane_space *space = tn_space_at(id);
        struct tn_heap_table *table = space != NULL ? table_if_any(space) : NULL;
        if (table != NULL)
            visit(space, table);
    }
}

static void lock_table(struct terrane_space *space, struct tn_heap_table *table)
{
    (void)space;
    tn_lock_fork_take(&table->lock);
    for (uint32_t id = 0; id < table->count; id++)
        tn_lock_fork_take(&heap_at(table, id)->large_lock);
}

static void unlock_table(struct terrane_space *space, struct tn_heap_table *table)
{
    (void)space;
    for (uint32_t id = 0; id < table->count; id++)
        tn_lock_fork_give(&heap_at(table, id)->large_lock);
    tn_lock_fork_give(&table->lock);
}

/* Heaps of threads that do not exist in the child are lost: their owners may have been half-way. In
 * a space of the parent's nothing may be allocated, so caches there lose what they hold. */
static void lose_others(struct terrane_space *space, struct tn_heap_table *table)
{
    const uintptr_t me = tn_thread_mark();
    for (uint32_t id = 0; id < table->count; id++) {
        struct terrane_heap *heap = heap_at(table, id);
        /* relaxed: the only thread */
        const uintptr_t mark = atomic_load_explicit(&heap->owner, memory_order_relaxed);
        if (mark != 0 && mark != me && mark != (uintptr_t)heap)
            atomic_store_explicit(&heap->owner, LOST, memory_order_relaxed);
        if (space->foreign)
            tn_cache_init(heap);
    }
}

static void fork_prepare(void)
{
    each_table(lock_table);
}

static void fork_parent(void)
{
    each_table(unlock_table);
}

static void fork_child(void)
{
    each_table(lose_others);
}

static const struct tn_atfork_part fork_part = {fork_prepare, fork_parent, fork_child};
