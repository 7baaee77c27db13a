/* Large objects: runs of the pool, trimmed to pages.
 *
 * The descriptor of a run's first block holds the usable bytes, the heap and the list links;
 * nothing else of the run is described. An object that grows stays where it is as long as its
 * addresses last, takes its neighbours if they are free, and else goes elsewhere (relocate.c). A
 * run changes hands between a heap and whoever holds regions without a page being touched. */
#include "heap/layout.h"
#include "os/os.h"
#include "pool/pool.h"

#include <errno.h>
#include <string.h>

/* ---- descriptors and the heap's list ---- */

struct tn_block *tn_large_at(const struct terrane_space *space, const void *pointer)
{
    const uint32_t block = tn_block_of(space, pointer);
    struct tn_block *descriptor = tn_block_at(space, block);
    if (descriptor->use != TN_USE_LARGE ||
        tn_block_addr(space, block) + descriptor->offset != pointer)
        return NULL;
    return descriptor;
}

static struct terrane_heap *heap_of(const struct terrane_space *space,
                                    const struct tn_block *descriptor)
{
    /* relaxed: constant while the object lives */
    return tn_heap_by_id(space, atomic_load_explicit(&descriptor->heap, memory_order_relaxed));
}

static void link_object(struct terrane_heap *heap, uint32_t block)
{
    struct tn_block *descriptor = tn_block_at(heap->space, block);
    tn_lock_acquire(&heap->large_lock);
    atomic_store_explicit(&descriptor->heap, heap->id, memory_order_relaxed);
    descriptor->kind = (uint8_t)heap->kind;
    descriptor->all_prev = TN_NONE;
    descriptor->all_next = heap->large;
    if (descriptor->all_next != TN_NONE)
        tn_block_at(heap->space, descriptor->all_next)->all_prev = block;
    heap->large = block;
    tn_lock_release(&heap->large_lock);
}

static void unlink_object(struct terrane_heap *heap, const struct tn_block *descriptor)
{
    tn_lock_acquire(&heap->large_lock);
    if (descriptor->all_prev != TN_NONE)
        tn_block_at(heap->space, descriptor->all_prev)->all_next = descriptor->all_next;
    else
        heap->large = descriptor->all_next;
    if (descriptor->all_next != TN_NONE)
        tn_block_at(heap->space, descriptor->all_next)->all_prev = descriptor->all_prev;
    tn_lock_release(&heap->large_lock);
}

/* ---- allocation and free ---- */

/* Describes and links a run as an object. */
static void describe_object(struct terrane_heap *heap, const struct tn_run *run, size_t bytes)
{
    struct tn_block *descriptor = tn_block_at(heap->space, run->block);
    descriptor->use = TN_USE_LARGE;
    descriptor->order = (uint8_t)run->order;
    descriptor->bytes = bytes;
    descriptor->offset = 0;
    descriptor->tail = 0;
    link_object(heap, run->block);
    tn_count(heap->space, TN_COUNT_LARGE_ALLOCS, 1);
    tn_count(heap->space, TN_COUNT_LARGE_BYTES, bytes);
}

/* A run for an object of `bytes`, described and linked. */
static int object_create(struct terrane_heap *heap, const struct tn_wish *wish, struct tn_run *run)
{
    const int error = tn_pool_acquire_pressed(heap->space, wish, run);
    if (error != 0)
        return tn_pool_refused(heap->space, error);
    describe_object(heap, run, wish->bytes);
    tn_audit(tn_heap_audit_step(heap));
    return 0;
}

/* Pages of an object; false if no run can hold it. */
static bool page_bytes_of(size_t size, size_t *bytes)
{
    if (size > tn_bytes_of_order(TN_ORDER_MAX))
        return false;
    *bytes = tn_round_up(tn_max(size, 1), tn_os_page_bytes());
    return true;
}

/* As tn_large_alloc, of a multiple of pages. */
static void *alloc_pages(struct terrane_heap *heap, const struct tn_wish *wish, bool zeroed)
{
    struct tn_run run;
    if (object_create(heap, wish, &run) != 0)
        return NULL;
    char *pointer = tn_block_addr(heap->space, run.block);
    tn_space_want_huge(heap->space, run.block, run.order, wish->bytes);
    if (zeroed && !run.zero)
        memset(pointer, 0, wish->bytes);
    return pointer;
}

void *tn_large_alloc(struct terrane_heap *heap, size_t size, size_t align, bool zeroed)
{
    struct tn_wish wish = {0};
    if (!page_bytes_of(size, &wish.bytes))
        return NULL;
    const unsigned order = tn_order_of_bytes(wish.bytes);
    const unsigned aligned = tn_order_of_bytes(align);
    wish.slack = aligned > order ? aligned - order : 0;
    void *pointer = alloc_pages(heap, &wish, zeroed);
    if (((uintptr_t)pointer & (align - 1)) != 0) { /* the window had no run so large */
        tn_large_free(heap->space, pointer);
        return NULL;
    }
    return pointer;
}

void *tn_large_alloc_guarded(struct terrane_heap *heap, size_t size, size_t align, bool zeroed)
{
    const size_t page = tn_os_page_bytes();
    struct tn_wish wish = {.whole = true};
    if (!page_bytes_of(size, &wish.bytes) || !tn_size_add(wish.bytes, page, &wish.bytes))
        return NULL;
    const unsigned order = tn_order_of_bytes(wish.bytes);
    const unsigned aligned = tn_order_of_bytes(align);
    wish.slack = aligned > order ? aligned - order : 0;
    char *pointer = alloc_pages(heap, &wish, zeroed);
    if (pointer == NULL)
        return NULL;
    char *guard = pointer + wish.bytes - page;
    if (((uintptr_t)pointer & (align - 1)) != 0 ||
        tn_space_guard(heap->space, tn_block_of(heap->space, pointer), guard, page) != 0) {
        tn_large_free(heap->space, pointer);
        return NULL;
    }
    tn_large_at(heap->space, pointer)->tail = (uint32_t)page;
    return pointer;
}

/* What the object holds, for the pool. */
static struct tn_held held_of(struct terrane_space *space, uint32_t block)
{
    const struct tn_block *descriptor = tn_block_at(space, block);
    return (struct tn_held){space,
                            block,
                            descriptor->order,
                            descriptor->bytes,
                            tn_large_usable(descriptor),
                            descriptor->offset};
}

/* The run is no object any more, but still in use. */
static void forget_object(struct terrane_space *space, uint32_t block)
{
    struct tn_block *descriptor = tn_block_at(space, block);
    unlink_object(heap_of(space, descriptor), descriptor);
    descriptor->use = TN_USE_NONE;
    tn_uncount(space, TN_COUNT_LARGE_BYTES, descriptor->bytes);
    tn_count(space, TN_COUNT_LARGE_FREES, 1);
}

static void object_destroy(struct terrane_space *space, uint32_t block)
{
    const struct tn_held held = held_of(space, block);
    forget_object(space, block);
    tn_pool_release(space, block, held.order, held.bytes);
}

void tn_large_free(struct terrane_space *space, void *pointer)
{
    const struct tn_block *descriptor = tn_large_at(space, pointer);
    if (TN_UNLIKELY(descriptor == NULL))
        tn_crime_invalid(space, pointer);
    object_destroy(space, tn_block_of(space, pointer));
}

/* ---- resize ---- */

/* It may have more addresses even if it has no more bytes. Under the lock, because an audit of the
 * heap looks at its objects while other threads resize them. */
static void note_size(struct terrane_heap *heap, struct tn_block *descriptor, unsigned order,
                      size_t bytes)
{
    tn_lock_acquire(&heap->large_lock);
    descriptor->order = (uint8_t)order;
    descriptor->bytes = bytes;
    tn_lock_release(&heap->large_lock);
}

/* Changes the bytes at the same address: within the run's addresses, or taking free neighbours. */
static int resize_here(struct terrane_space *space, uint32_t block, size_t bytes)
{
    struct tn_block *descriptor = tn_block_at(space, block);
    const size_t old = descriptor->bytes;
    unsigned order = descriptor->order;
    const int error = tn_pool_resize(space, block, &order, old, bytes);
    note_size(heap_of(space, descriptor), descriptor, order, error == 0 ? bytes : old);
    if (error != 0)
        return error;
    tn_count(space, TN_COUNT_LARGE_BYTES, bytes - old); /* wraps downwards when shrinking */
    if (bytes > old) {
        tn_count(space, TN_COUNT_GROWN_IN_PLACE, 1);
        tn_space_want_huge(space, block, order, bytes);
    }
    return 0;
}

/* An object of `bytes` elsewhere in `heap` with the first bytes of the one at `pointer`, which is
 * freed. NULL: nothing changed. */
static void *relocate(struct terrane_heap *heap, struct terrane_space *space, void *pointer,
                      size_t bytes)
{
    const struct tn_held held = held_of(space, tn_block_of(space, pointer));
    struct tn_block *descriptor = tn_block_at(space, held.block);
    const bool may_move = heap->kind != TERRANE_KIND_PINNED &&
                          descriptor->kind != TERRANE_KIND_PINNED && tn_large_plain(descriptor);
    struct terrane_heap *owner = heap_of(space, descriptor);
    struct tn_run run;
    unlink_object(owner, descriptor); /* its block may be somebody else's soon */
    descriptor->use = TN_USE_NONE;
    if (tn_pool_relocate(&held, heap->space, bytes, may_move, &run) != 0) {
        descriptor->use = TN_USE_LARGE;
        link_object(owner, held.block);
        (void)tn_pool_refused(heap->space, -ENOMEM);
        return NULL;
    }
    tn_uncount(space, TN_COUNT_LARGE_BYTES, held.bytes);
    tn_count(space, TN_COUNT_LARGE_FREES, 1);
    describe_object(heap, &run, bytes);
    tn_space_want_huge(heap->space, run.block, run.order, bytes);
    return tn_block_addr(heap->space, run.block);
}

void *tn_large_resize(struct terrane_heap *heap, void *pointer, size_t size)
{
    struct terrane_space *space = tn_space_of(pointer);
    const struct tn_block *descriptor = tn_large_at(space, pointer);
    size_t bytes;
    if (!page_bytes_of(size, &bytes))
        return NULL;
    const size_t old = tn_large_usable(descriptor);
    const bool shrinks = bytes <= old;
    if (shrinks && (bytes + TN_SHRINK_MIN_BYTES > old || !tn_large_plain(descriptor)))
        return pointer;
    if (tn_large_plain(descriptor) && resize_here(space, tn_block_of(space, pointer), bytes) == 0)
        return pointer;
    /* A shrink that the kernel refused: the object keeps its tail. */
    return shrinks ? pointer : relocate(heap, space, pointer, bytes);
}

int tn_large_resize_in_place(struct terrane_space *space, void *pointer, size_t size)
{
    const struct tn_block *descriptor = tn_large_at(space, pointer);
    size_t bytes;
    if (!page_bytes_of(size, &bytes))
        return -ENOMEM;
    if (bytes == tn_large_usable(descriptor))
        return 0;
    return tn_large_plain(descriptor) ? resize_here(space, tn_block_of(space, pointer), bytes)
                                      : -ENOTSUP;
}

/* ---- move between heaps ---- */

int tn_large_move(struct terrane_heap *heap, void **pointer)
{
    struct terrane_space *space = tn_space_of(*pointer);
    struct tn_block *descriptor = tn_large_at(space, *pointer);
    if (space == heap->space) { /* a change of owner */
        unlink_object(heap_of(space, descriptor), descriptor);
        link_object(heap, tn_block_of(space, *pointer));
        return 0;
    }
    if (descriptor->kind == TERRANE_KIND_PINNED)
        return -EPERM;
    void *target = relocate(heap, space, *pointer, tn_large_usable(descriptor));
    if (target == NULL)
        return -ENOMEM;
    *pointer = target;
    return 0;
}

/* ---- regions ---- */

int terrane_region_to_object(struct terrane_region *region, struct terrane_heap *heap,
                             void **object)
{
    struct tn_held held;
    if (tn_space_of(region->data) != heap->space)
        return -EINVAL;
    const int error = tn_region_to_run(region, &held);
    if (error != 0)
        return error;
    const struct tn_run run = {.block = held.block, .order = held.order};
    describe_object(heap, &run, held.bytes);
    *object = region->data;
    *region = (struct terrane_region){NULL, 0};
    return 0;
}

int terrane_region_from_object(void *object, struct terrane_region *out)
{
    struct terrane_space *space = tn_space_of(object);
    const struct tn_block *descriptor = space != NULL ? tn_large_at(space, object) : NULL;
    if (descriptor == NULL || !tn_large_plain(descriptor))
        return -EINVAL;
    const struct tn_held held = held_of(space, tn_block_of(space, object));
    const int error = tn_region_from_run(&held, out);
    if (error == 0)
        forget_object(space, held.block);
    return error;
}
