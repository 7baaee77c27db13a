/* What a space keeps of its arrays: heaps for headers and small bodies, locks, counters.
 *
 * A heap has one owner; arrays are made and given back by any thread. So there are a few heaps,
 * each under a lock, and a thread always comes to the same one. Objects go back to the heap that
 * they came from.
 *
 * Headers and bodies of shared spaces lie in the default space, which a child of fork has a copy
 * of: it can read the parent's arrays as long as their units are there. It must not build on them,
 * which the library refuses; and it forgets their room for the inline calls, which do not ask. */
#include "array/array.h"

#include "os/os.h"

#include <errno.h>

static const struct tn_atfork_part fork_part;

static size_t arrays_bytes(void)
{
    return tn_round_up(sizeof(struct tn_arrays), tn_os_page_bytes());
}

static struct terrane_heap *heap_of_shard(const struct tn_array_shard *shard,
                                          enum tn_array_kind kind)
{
    /* acquire; pairs with the release in make_heap */
    return atomic_load_explicit(&shard->heaps[kind], memory_order_acquire);
}

/* The kind that is kept where this one is. */
static enum tn_array_kind kept_as(const struct tn_arrays *arrays, enum tn_array_kind kind)
{
    return arrays->space->backing == TERRANE_BACKING_PRIVATE ? TN_ARRAY_SAID : kind;
}

/* The space ends, and with it what lies in it. */
static void arrays_release(struct terrane_space *space)
{
    struct tn_arrays *arrays = tn_arrays_if_any(space);
    for (unsigned i = 0; i < TN_ARRAY_SHARDS * TN_ARRAY_KINDS; i++) {
        const enum tn_array_kind kind = i % TN_ARRAY_KINDS;
        if (arrays->heap_spaces[kind] != space)
            terrane_heap_destroy(heap_of_shard(&arrays->shards[i / TN_ARRAY_KINDS], kind));
    }
    (void)tn_os_release(arrays, arrays_bytes());
}

/* Says where the heaps are; false: nowhere. */
static bool find_heap_spaces(struct tn_arrays *arrays)
{
    struct terrane_space *space = arrays->space;
    const bool ordinary = space->page_bytes == tn_os_page_bytes();
    const bool private = space->backing == TERRANE_BACKING_PRIVATE;
    struct terrane_space *other = private ? space : terrane_space_default();
    arrays->heap_spaces[TN_ARRAY_SAID] = other;
    arrays->heap_spaces[TN_ARRAY_UNITS] = ordinary ? space : other;
    return other != NULL;
}

struct tn_arrays *tn_arrays_of(struct terrane_space *space)
{
    struct tn_arrays *arrays = tn_arrays_if_any(space);
    void *memory;
    if (TN_LIKELY(arrays != NULL))
        return arrays;
    if (tn_os_allocate(arrays_bytes(), &memory) != 0)
        return NULL;
    arrays = memory;
    arrays->space = space;
    if (!find_heap_spaces(arrays)) {
        (void)tn_os_release(memory, arrays_bytes());
        return NULL;
    }
    for (unsigned i = 0; i < TN_ARRAY_SHARDS; i++)
        arrays->shards[i].lock = (struct tn_lock)TN_LOCK_INIT(TN_RANK_ARRAYS);
    for (unsigned i = 0; i < TN_ARRAY_STRIPES; i++)
        arrays->stripes[i] = (struct tn_lock)TN_LOCK_INIT(TN_RANK_ARRAYS);
    tn_atfork_add(TN_ATFORK_ARRAYS, &fork_part);
    tn_atfork_need();
    if (tn_space_publish(&space->arrays, arrays, &space->arrays_release, arrays_release))
        return arrays;
    (void)tn_os_release(memory, arrays_bytes()); /* another thread was faster */
    return tn_arrays_if_any(space);
}

/* ---- objects ---- */

static struct terrane_heap *make_heap(struct tn_arrays *arrays, struct tn_array_shard *shard,
                                      enum tn_array_kind kind)
{
    struct terrane_heap *none = NULL;
    struct terrane_heap *heap = tn_heap_create_shared(arrays->heap_spaces[kind]);
    /* release; pairs with the acquire in heap_of_shard */
    if (heap == NULL ||
        atomic_compare_exchange_strong_explicit(&shard->heaps[kind], &none, heap,
                                                memory_order_release, memory_order_acquire))
        return heap;
    terrane_heap_destroy(heap); /* another thread was faster */
    return none;
}

void *tn_array_object(struct tn_arrays *arrays, enum tn_array_kind kind, size_t bytes)
{
    const int saved_errno = errno;
    const size_t page = tn_os_page_bytes();
    struct tn_array_shard *shard =
        &arrays->shards[(tn_thread_mark() >> 12) * 0x9E3779B97F4A7C15u >> 62];
    kind = kept_as(arrays, kind);
    struct terrane_heap *heap = heap_of_shard(shard, kind);
    if (TN_UNLIKELY(heap == NULL) && (heap = make_heap(arrays, shard, kind)) == NULL) {
        errno = saved_errno;
        return NULL;
    }
    tn_lock_acquire(&shard->lock);
    void *object = bytes < page ? tn_heap_alloc(heap, bytes)
                                : tn_heap_alloc_aligned(heap, page, tn_round_up(bytes, page));
    tn_lock_release(&shard->lock);
    errno = saved_errno;
    return object;
}

_Static_assert(TN_ARRAY_SHARDS == 4, "two bits of the hash choose a shard");

/* The shard that a heap belongs to, from the heap that the object says it is of. */
void tn_array_object_free(struct tn_arrays *arrays, enum tn_array_kind kind, void *object)
{
    const struct terrane_heap *heap = terrane_heap_of(object);
    kind = kept_as(arrays, kind);
    for (unsigned i = 0; i < TN_ARRAY_SHARDS; i++) {
        struct tn_array_shard *shard = &arrays->shards[i];
        if (heap_of_shard(shard, kind) != heap)
            continue;
        tn_lock_acquire(&shard->lock);
        tn_heap_free(heap_of_shard(shard, kind), object);
        tn_lock_release(&shard->lock);
        return;
    }
    tn_die("invalid array: pointer %p is not an array of this space", object);
}

/* ---- spaces ---- */

/* An array has so many pages at least, lest too much of its last one be empty. */
#define PAGES_MIN 4

/* A space with huge pages for arrays of so many bytes, if the machine has them free. */
static bool create_huge(size_t bytes, size_t page, struct terrane_space **out)
{
    const struct terrane_space_options options = {.backing = TERRANE_BACKING_MEMFD,
                                                  .huge_page_bytes = page};
    return bytes / page >= PAGES_MIN && tn_os_huge_pages_free(page) > bytes / page &&
           terrane_space_create(&options, out) == 0;
}

int terrane_array_space_create(size_t bytes, struct terrane_space **out)
{
    const struct terrane_space_options options = {.backing = TERRANE_BACKING_MEMFD};
    if (create_huge(bytes, TN_GIB, out) || create_huge(bytes, TN_HUGE_BYTES, out))
        return 0;
    return terrane_space_create(&options, out);
}

/* ---- figures ---- */

void terrane_array_stats(struct terrane_space *space, struct terrane_array_stats *out)
{
    uint64_t counts[TN_ARRAY_COUNTERS] = {0};
    if (space == NULL)
        space = tn_space_default_if_any();
    const struct tn_arrays *arrays = space != NULL ? tn_arrays_if_any(space) : NULL;
    for (unsigned i = 0; arrays != NULL && i < TN_ARRAY_COUNTERS; i++)
        counts[i] = atomic_load_explicit(&arrays->counters[i], memory_order_relaxed);
    *out = (struct terrane_array_stats){
        .arrays = counts[TN_ARRAY_VIEWS],
        .bodies = counts[TN_ARRAY_BODIES],
        .body_bytes = counts[TN_ARRAY_BODY_BYTES],
        .shared_extensions = counts[TN_ARRAY_SHARED_EXTENSIONS],
        .aliased_bytes = counts[TN_ARRAY_ALIASED_BYTES],
        .moved_bytes = counts[TN_ARRAY_MOVED_BYTES],
        .copied_bytes = counts[TN_ARRAY_COPIED_BYTES],
    };
}

/* ---- fork ---- */

/* Under the registry's lock: spaces and what they keep stay. */
static void each_arrays(void (*visit)(struct tn_lock *lock))
{
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        const struct terrane_space *space = tn_space_at(id);
        struct tn_arrays *arrays = space != NULL ? tn_arrays_if_any(space) : NULL;
        for (unsigned i = 0; arrays != NULL && i < TN_ARRAY_SHARDS; i++)
            visit(&arrays->shards[i].lock);
        for (unsigned i = 0; arrays != NULL && i < TN_ARRAY_STRIPES; i++)
            visit(&arrays->stripes[i]);
    }
}

static void fork_take(void)
{
    each_arrays(tn_lock_fork_take);
}

static void fork_give(void)
{
    each_arrays(tn_lock_fork_give);
}

/* Headers and bodies lie in one heap. Classes of this size are TN_OBJECT_ALIGN apart. */
_Static_assert(sizeof(struct terrane_array) + TN_OBJECT_ALIGN <= sizeof(struct tn_array_body),
               "an object that no body fits in is a header");

static int forget_room(void *object, size_t bytes, void *context)
{
    (void)context;
    if (bytes < sizeof(struct tn_array_body)) {
        struct terrane_array *view = object;
        view->limit = view->floor = NULL;
    }
    return 0;
}

/* The heaps are whole: who forked held their locks. */
static void fork_child(void)
{
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        const struct terrane_space *space = tn_space_at(id);
        const struct tn_arrays *arrays = space != NULL ? tn_arrays_if_any(space) : NULL;
        for (unsigned i = 0; arrays != NULL && space->foreign && i < TN_ARRAY_SHARDS; i++) {
            struct terrane_heap *heap = heap_of_shard(&arrays->shards[i], TN_ARRAY_SAID);
            if (heap != NULL)
                (void)terrane_heap_walk(heap, forget_room, NULL);
        }
    }
}

static const struct tn_atfork_part fork_part = {
    .take = fork_take, .give = fork_give, .child = fork_child};
