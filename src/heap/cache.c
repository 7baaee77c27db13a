/* Caches of free slots, and the slow halves of allocation and free; see heap.h.
 *
 * A cache that runs empty is filled to half of its ceiling from the spans; one that runs full gives
 * its older half back: own slots to their spans, other heaps' slots to those heaps' remote bits.
 * The ceiling starts low and rises at each refill up to the class's limit, so that a class that
 * is rarely used holds little.
 *
 * A cache is closed (no slot goes in) until the heap itself needs the class. What its thread frees
 * of other heaps before waits beside it and goes home in batches: a thread's first objects should
 * not lie in cache lines in which other threads write to what lies beside an object it was given.
 */
#include "heap/layout.h"
#include "heap/sample.h"

#include <errno.h>
#include <string.h>

#define CEILING_FIRST 8
#define CEILING_STEP  16
#define STRAYS_MAX    32

/* ---- set-up ---- */

void tn_cache_init(struct terrane_heap *heap)
{
    void **room = heap->slots;
    for (unsigned class = 0; class < TN_CLASSES; class ++) {
        heap->strays[class] = 0;
        heap->caches[class] = (struct tn_cache){
            .top = room,
            .floor = room,
            .ceiling = room,
            .magic = tn_classes[class].magic,
            .size = heap->hardened ? 0 : tn_classes[class].size,
        };
        room += tn_classes[class].cached;
    }
}

static void raise_ceiling(struct tn_cache *cache, unsigned class)
{
    const size_t limit = tn_classes[class].cached;
    const size_t raised = (size_t)(cache->ceiling - cache->floor) + CEILING_STEP;
    cache->ceiling = cache->floor + tn_min(raised, limit);
}

/* Batches that a heap counts by itself before it tells the space. */
#define COUNT_STEP 16

static void count_batches(struct terrane_heap *heap, uint32_t least)
{
    if (heap->refills + heap->flushes < least)
        return;
    tn_count(heap->space, TN_COUNT_SMALL_REFILLS, heap->refills);
    tn_count(heap->space, TN_COUNT_SMALL_FLUSHES, heap->flushes);
    heap->refills = 0;
    heap->flushes = 0;
}

/* ---- giving back ---- */

/* Collects pointers of other heaps, to hand them over in groups. */
struct strangers {
    void *pointers[64];
    unsigned count;
};

static void strangers_flush(struct terrane_heap *heap, struct strangers *strangers)
{
    if (strangers->count > 0)
        tn_remote_give(heap->space, strangers->pointers, strangers->count);
    strangers->count = 0;
}

static bool is_ours(const struct terrane_heap *heap, const struct tn_slot *at)
{
    /* relaxed: constant while the object lives */
    return atomic_load_explicit(&at->descriptor->heap, memory_order_relaxed) == heap->id;
}

/* Gives back the first of `pointers`, and those behind it that lie in the same span of ours. */
static size_t give_some(struct terrane_heap *heap, void *const *pointers, size_t count,
                        struct strangers *strangers)
{
    const struct tn_slot at = tn_slot_at(heap->space, pointers[0]);
    if (TN_UNLIKELY(!at.exact))
        tn_crime_invalid(heap->space, pointers[0]);
    if (TN_LIKELY(is_ours(heap, &at)))
        return tn_span_give_run(heap, &at, pointers, (unsigned)count);
    strangers->pointers[strangers->count++] = pointers[0];
    if (strangers->count == TN_ARRAY_COUNT(strangers->pointers))
        strangers_flush(heap, strangers);
    return 1;
}

static void give_all(struct terrane_heap *heap, void *const *pointers, size_t count)
{
    struct strangers strangers;
    strangers.count = 0;
    for (size_t done = 0; done < count;)
        done += give_some(heap, pointers + done, count - done, &strangers);
    strangers_flush(heap, &strangers);
}

/* Gives the oldest `count` slots of a cache back. */
static void cache_shed(struct terrane_heap *heap, struct tn_cache *cache, size_t count)
{
    if (count == 0)
        return;
    heap->flushes++;
    give_all(heap, cache->floor, count);
    const size_t left = (size_t)(cache->top - cache->floor) - count;
    memmove(cache->floor, cache->floor + count, left * sizeof(void *));
    cache->top = cache->floor + left;
    tn_audit(tn_heap_audit_step(heap));
}

static void send_strays(struct terrane_heap *heap, unsigned class)
{
    give_all(heap, heap->caches[class].floor, heap->strays[class]);
    heap->strays[class] = 0;
}

void tn_cache_flush(struct terrane_heap *heap)
{
    for (unsigned class = 1; class < TN_CLASSES; class ++) {
        struct tn_cache *cache = &heap->caches[class];
        send_strays(heap, class);
        cache_shed(heap, cache, (size_t)(cache->top - cache->floor));
    }
    count_batches(heap, 1);
}

/* ---- allocation ---- */

static void reverse(void **slots, unsigned count)
{
    for (unsigned low = 0, high = count; low + 1 < high; low++) {
        void *const swapped = slots[low];
        slots[low] = slots[--high];
        slots[high] = swapped;
    }
}

static bool is_closed(const struct tn_cache *cache)
{
    return cache->ceiling == cache->floor;
}

static void open_cache(struct terrane_heap *heap, unsigned class)
{
    struct tn_cache *cache = &heap->caches[class];
    send_strays(heap, class);
    cache->ceiling = cache->floor + tn_min(CEILING_FIRST, tn_classes[class].cached);
}

/* Fills an empty cache and pops one slot. Lowest addresses are popped first. */
static void *refill(struct terrane_heap *heap, unsigned class)
{
    struct tn_cache *cache = &heap->caches[class];
    if (TN_UNLIKELY(is_closed(cache)))
        open_cache(heap, class);
    const size_t room = (size_t)(cache->ceiling - cache->floor);
    const unsigned count = tn_span_take(heap, class, cache->floor, (unsigned)((room + 1) / 2));
    if (TN_UNLIKELY(count == 0))
        return NULL;
    heap->refills++;
    count_batches(heap, COUNT_STEP);
    raise_ceiling(cache, class);
    reverse(cache->floor, count);
    cache->top = cache->floor + count - 1;
    tn_audit(tn_heap_audit_step(heap));
    return *cache->top;
}

/* A slot of the class, from the cache or, when that is empty, from the spans. */
static void *alloc_small(struct terrane_heap *heap, size_t size)
{
    const unsigned class = tn_class_of(size);
    struct tn_cache *cache = &heap->caches[class];
    if (cache->top != cache->floor)
        return *--cache->top;
    /* relaxed: a stale 0 only delays the collection; collecting itself acquires */
    if (TN_UNLIKELY(atomic_load_explicit(&heap->remote, memory_order_relaxed) != 0))
        tn_remote_collect(heap);
    if (TN_UNLIKELY(heap->guard_rate != 0)) {
        void *guarded = tn_sample_guarded(heap, size);
        if (guarded != NULL)
            return guarded;
    }
    return refill(heap, class);
}

void *tn_heap_alloc_slow(struct terrane_heap *heap, size_t size)
{
    if (TN_UNLIKELY(tn_heap_refuses(heap))) {
        errno = tn_refusal(heap);
        return NULL;
    }
    void *pointer;
    if (heap->hardened)
        pointer = tn_hardened_alloc(heap, size, TN_OBJECT_ALIGN);
    else if (size <= TN_SMALL_MAX)
        pointer = alloc_small(heap, size);
    else
        pointer = tn_large_alloc(heap, size, TN_OBJECT_ALIGN, false);
    if (TN_UNLIKELY(pointer == NULL))
        errno = tn_refusal(heap);
    return pointer;
}

/* ---- free ---- */

/* Into a cache that is closed: a slot of another heap waits, one of ours opens it. */
static void free_to_closed(struct terrane_heap *heap, unsigned class, const struct tn_slot *at,
                           void *pointer)
{
    struct tn_cache *cache = &heap->caches[class];
    if (is_ours(heap, at)) {
        open_cache(heap, class);
        *cache->top++ = pointer;
        return;
    }
    cache->floor[heap->strays[class]++] = pointer;
    if (heap->strays[class] == tn_min(STRAYS_MAX, tn_classes[class].cached))
        send_strays(heap, class);
}

static void free_small(struct terrane_heap *heap, unsigned class, void *pointer)
{
    struct tn_cache *cache = &heap->caches[class];
    const struct tn_slot at = tn_slot_at(heap->space, pointer);
    if (TN_UNLIKELY(!at.exact))
        tn_crime_invalid(heap->space, pointer);
    if (is_closed(cache)) {
        free_to_closed(heap, class, &at, pointer);
        return;
    }
    const size_t held = (size_t)(cache->top - cache->floor);
    cache_shed(heap, cache, (held + 1) / 2);
    *cache->top++ = pointer;
}

void tn_heap_free_slow(struct terrane_heap *heap, void *pointer)
{
    if (pointer == NULL)
        return;
    if (TN_UNLIKELY(heap->space == NULL))
        tn_crime_foreign(pointer);
    const size_t offset = tn_offset_of(heap->space, pointer);
    if (TN_UNLIKELY(offset >= heap->window_bytes))
        tn_crime_foreign(pointer);
    const unsigned class = TN_MINI_CLASS(heap->mini[offset >> TN_MINIPAGE_SHIFT]);
    const int saved_errno = errno;
    if (heap->hardened)
        tn_hardened_free(heap, pointer);
    else if (class == TN_CLASS_NONE)
        tn_large_free(heap->space, pointer);
    else
        free_small(heap, class, pointer);
    errno = saved_errno;
}
