/* Large objects: runs of the pool, trimmed to pages.
 *
 * The descriptor of a run's first block holds the usable bytes, the heap and the list links;
 * nothing else of the run is described. Addresses are cheap, so an object that grows and is large
 * gets far more of them than it needs and stays where it is as long as they last; when they are
 * used up it takes its neighbours if they are free, else pages that were used before, else it moves
 * by page table, and copies only below the size where moving pays. */
#include "heap/layout.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

/* Orders of addresses that a growing object of this size takes beyond what it needs: 4 to 8 times.
 * Smaller ones grow through warm runs that others left; in addresses of their own they would have
 * to fault fresh pages in. */
#define GROWTH_SLACK    2
#define SLACK_MIN_BYTES (4 * TN_MIB)

/* An exchange is three moves, and a range of addresses that comes and goes: it pays from so many
 * times the size on from which one move does. */
#define EXCHANGE_COST 8

/* An object this large may have its last, partly used 2 MiB as a huge page too: at most 5 % more.
 */
#define HUGE_TAIL_FROM (40 * TN_MIB)

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

/* ---- huge pages ---- */

/* Wants huge pages for the object's whole 2 MiB units, and for the last one where little is lost.
 */
static void want_huge(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes)
{
    if (bytes < TN_HUGE_BYTES)
        return;
    size_t wanted = tn_round_down(bytes, TN_HUGE_BYTES);
    if (bytes >= HUGE_TAIL_FROM)
        wanted = tn_min(tn_round_up(bytes + bytes / 32, TN_HUGE_BYTES), tn_bytes_of_order(order));
    tn_space_advise_huge(space, tn_block_addr(space, block), wanted);
}

/* ---- allocation and free ---- */

/* A run for an object of `bytes`, described and linked. */
static int object_create(struct terrane_heap *heap, const struct tn_wish *wish, struct tn_run *run)
{
    const int error = tn_pool_acquire(heap->space, wish, run);
    if (error != 0)
        return error;
    struct tn_block *descriptor = tn_block_at(heap->space, run->block);
    descriptor->use = TN_USE_LARGE;
    descriptor->order = (uint8_t)run->order;
    descriptor->bytes = wish->bytes;
    descriptor->offset = 0;
    descriptor->tail = 0;
    link_object(heap, run->block);
    tn_count(heap->space, TN_COUNT_LARGE_ALLOCS, 1);
    tn_count(heap->space, TN_COUNT_LARGE_BYTES, wish->bytes);
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
    want_huge(heap->space, run.block, run.order, wish->bytes);
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

/* Ends the object; `moved`: its pages are elsewhere already. */
static void object_destroy(struct terrane_space *space, uint32_t block, bool moved)
{
    struct tn_block *descriptor = tn_block_at(space, block);
    const size_t bytes = descriptor->bytes;
    unlink_object(heap_of(space, descriptor), descriptor);
    descriptor->use = TN_USE_NONE;
    tn_uncount(space, TN_COUNT_LARGE_BYTES, bytes);
    tn_count(space, TN_COUNT_LARGE_FREES, 1);
    if (moved)
        tn_pool_release_empty(space, block, descriptor->order, bytes);
    else
        tn_pool_release(space, block, descriptor->order, bytes);
}

void tn_large_free(struct terrane_space *space, void *pointer)
{
    const struct tn_block *descriptor = tn_large_at(space, pointer);
    if (TN_UNLIKELY(descriptor == NULL))
        tn_crime_invalid(space, pointer);
    object_destroy(space, tn_block_of(space, pointer), false);
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
        want_huge(space, block, order, bytes);
    }
    return 0;
}

/* An object on its way from one run to another. */
struct journey {
    struct terrane_heap *heap;   /* where it goes */
    struct terrane_space *space; /* where it comes from */
    char *from, *to;
    size_t kept;  /* bytes that go along */
    size_t bytes; /* that it has afterwards */
    struct tn_run run;
};

static unsigned growth_slack(const struct journey *journey)
{
    return journey->bytes > journey->kept && journey->kept >= SLACK_MIN_BYTES ? GROWTH_SLACK : 0;
}

static void copy_pages(const struct journey *journey)
{
    memcpy(journey->to, journey->from, journey->kept);
    tn_count(journey->heap->space, TN_COUNT_COPIES, 1);
    tn_count(journey->heap->space, TN_COUNT_COPY_BYTES, journey->kept);
}

/* Into a warm run: pages are exchanged, so that both runs stay warm, or copied if there are few. */
static bool go_warm(struct journey *journey, bool may_move)
{
    struct terrane_heap *heap = journey->heap;
    const struct tn_wish wish = {.bytes = journey->bytes, .warm = true};
    if (journey->space != heap->space || heap->space->backing != TERRANE_BACKING_PRIVATE ||
        object_create(heap, &wish, &journey->run) != 0)
        return false;
    journey->to = tn_block_addr(heap->space, journey->run.block);
    if (!may_move || journey->kept < EXCHANGE_COST * tn_move_threshold(heap->space) ||
        tn_space_exchange(heap->space, journey->from, journey->to, journey->kept) != 0)
        copy_pages(journey);
    object_destroy(journey->space, tn_block_of(journey->space, journey->from), false);
    return true;
}

/* Into untouched addresses, far more than it needs: the pages move along. */
static bool go_moving(struct journey *journey)
{
    struct terrane_space *target = journey->heap->space;
    const size_t grown = journey->bytes - journey->kept;
    const struct tn_wish wish = {
        .bytes = journey->bytes, .slack = growth_slack(journey), .cold = true};
    if (object_create(journey->heap, &wish, &journey->run) != 0)
        return false;
    journey->to = tn_block_addr(target, journey->run.block);
    if (tn_space_move(journey->space, journey->from, target, journey->to, journey->kept) != 0) {
        object_destroy(target, journey->run.block, true);
        return false;
    }
    if (grown > 0 && tn_space_commit(target, journey->to + journey->kept, grown) != 0) {
        /* Only a file or strict overcommit can refuse here. The pages go back where they were. */
        if (tn_space_move(target, journey->to, journey->space, journey->from, journey->kept) != 0)
            memcpy(journey->from, journey->to, journey->kept);
        object_destroy(target, journey->run.block, true);
        return false;
    }
    object_destroy(journey->space, tn_block_of(journey->space, journey->from), true);
    return true;
}

static bool go_copying(struct journey *journey)
{
    const struct tn_wish wish = {.bytes = journey->bytes, .slack = growth_slack(journey)};
    if (object_create(journey->heap, &wish, &journey->run) != 0)
        return false;
    journey->to = tn_block_addr(journey->heap->space, journey->run.block);
    copy_pages(journey);
    object_destroy(journey->space, tn_block_of(journey->space, journey->from), false);
    return true;
}

/* An object of `bytes` elsewhere in `heap` with the first `kept` bytes of the one at `pointer`,
 * which is freed. NULL: nothing changed. */
static void *relocate(struct terrane_heap *heap, struct terrane_space *space, void *pointer,
                      size_t bytes, size_t kept)
{
    struct journey journey = {
        .heap = heap, .space = space, .from = pointer, .kept = kept, .bytes = bytes};
    const struct tn_block *descriptor = tn_large_at(space, pointer);
    const bool may_move = heap->kind != TERRANE_KIND_PINNED &&
                          descriptor->kind != TERRANE_KIND_PINNED && tn_large_plain(descriptor);
    if (!(bytes > kept && go_warm(&journey, may_move)) &&
        !(may_move && kept >= tn_move_threshold(heap->space) && go_moving(&journey)) &&
        !go_copying(&journey))
        return NULL;
    want_huge(heap->space, journey.run.block, journey.run.order, bytes);
    return journey.to;
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
    return shrinks ? pointer : relocate(heap, space, pointer, bytes, old);
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
    const size_t bytes = tn_large_usable(descriptor);
    void *target = relocate(heap, space, *pointer, bytes, bytes);
    if (target == NULL)
        return -ENOMEM;
    *pointer = target;
    return 0;
}
