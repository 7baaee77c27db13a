/* The heap floor: objects from 16 bytes up. What preload and services use; layout.h says how it
 * works.
 *
 * The two functions below are the hot path of every allocation. A heap keeps for each class a
 * cache, a stack of free slots outside of user memory:
 *
 *      floor                top              ceiling
 *        | p0 | p1 | ... | pn |    |    |    |            allocation pops, free pushes
 *
 * A heap that must see every call (hardened, not yet initialised) has caches with floor == top ==
 * ceiling, so that both ways end in the slow functions without a test of their own.
 * For class 0 (large objects, foreign pointers) the cache is always like that. */
#ifndef TN_HEAP_H
#define TN_HEAP_H

#include "heap/classes.h"
#include "space/space.h"

#include <string.h>
#include <terrane/heap.h>

/* A minipage's code: its class in bits 5 to 10 and the distance to its span's first minipage in
 * bits 11 to 15, so that the one masked is the class's cache in bytes from the first, and the other
 * masked is the distance in bytes. */
#define TN_MINI_CLASS_BITS            0x07e0u
#define TN_MINI_DISTANCE_BITS         0xf800u
#define TN_MINI_CLASS(code)           (((unsigned)(code)&TN_MINI_CLASS_BITS) >> 5)
#define TN_MINI_DISTANCE(code)        ((unsigned)(code) >> 11)
#define TN_MINI_CODE(class, distance) ((uint16_t)((class) << 5 | (distance) << 11))

/* Lists of blocks by their longest run of free minipages. */
#define TN_ROOMY_LISTS 33 /* a block has 32 minipages */
#define TN_ROOMY_NONE  0

struct tn_cache {
    void **top;     /* next free place; the newest slot is below it */
    void **floor;   /* constant */
    void **ceiling; /* as far as the cache may fill now; rises up to the class's limit */
    uint32_t magic; /* of the class */
    uint32_t size;  /* of the class; 0 if the heap must see every call */
};

_Static_assert(sizeof(struct tn_cache) == 32, "a minipage's code holds the offset of a cache");

/* A quarantined object waits here for its turn; hardened heaps only. */
struct tn_quarantine;

struct terrane_heap {
    /* Hot: constant after creation, but for the caches. Owner only. */
    char *base;
    size_t window_bytes; /* 0 in a heap that is not initialised: every pointer is foreign */
    uint16_t *mini;
    struct tn_cache caches[TN_CLASSES];

    /* Owner only. */
    struct terrane_space *space;
    uint32_t id;
    bool hardened; /* every call goes to hardened.c, past the caches */
    enum terrane_kind kind;
    unsigned fresh_ratio;
    unsigned fresh_debt;              /* refills since the last fresh span, times fresh_ratio */
    uint32_t open[TN_CLASSES];        /* spans with free slots, newest first */
    uint32_t span_counts[TN_CLASSES]; /* spans of each class */
    uint32_t roomy[TN_ROOMY_LISTS];   /* blocks by their longest run of free minipages */
    uint32_t roomy_lists;             /* bit n - 1: list n has a block */
    uint32_t small_blocks;            /* list of all blocks of small objects */
    uint32_t small_count;
    uint32_t empty_count; /* of them, blocks without a span */
    uint32_t guard_rate;  /* one of so many refills yields a guarded object; 0: none */
    uint32_t guard_left;
    uint8_t strays[TN_CLASSES]; /* slots of other heaps that wait in caches which are closed */
    uint32_t refills, flushes;  /* of caches, not yet in the space's counters */
    uint64_t random_state;
    struct tn_quarantine *quarantine;
    uint32_t audit_steps;                /* since the last audit; audit builds */
    struct terrane_heap *next_abandoned; /* under the heaps lock */

    /* Any thread. */
    struct tn_lock large_lock;            /* guards `large`, its blocks' links and sizes */
    uint32_t large;                       /* list of all large objects */
    _Atomic uintptr_t owner;              /* mark of the owning thread; 0: abandoned. See heap.c */
    _Alignas(64) _Atomic uint32_t remote; /* newest block with remote frees, plus one; 0: none */

    void *slots[]; /* room of the caches */
};

/* ---- slow paths (cache.c) ---- */

void *tn_heap_alloc_slow(struct terrane_heap *heap, size_t size);
void tn_heap_free_slow(struct terrane_heap *heap, void *pointer);

/* ---- the hot path ---- */

/* The cache that starts `offset` bytes behind the first one. */
static inline struct tn_cache *tn_cache_at(struct terrane_heap *heap, size_t offset)
{
    return (struct tn_cache *)(void *)((char *)heap->caches + offset);
}

/* Pops a slot for `size` from the heap's cache; false: the slow path must serve. */
static inline bool tn_heap_pop(struct terrane_heap *heap, size_t size, void **out)
{
    if (TN_LIKELY(size <= TN_SMALL_MAX)) {
        struct tn_cache *cache = tn_cache_at(heap, tn_cache_offset(size));
        void **top = cache->top;
        if (TN_LIKELY(top != cache->floor)) {
            cache->top = top - 1;
            *out = top[-1];
            return true;
        }
    }
    return false;
}

static inline void *tn_heap_alloc(struct terrane_heap *heap, size_t size)
{
    void *pointer;
    return TN_LIKELY(tn_heap_pop(heap, size, &pointer)) ? pointer : tn_heap_alloc_slow(heap, size);
}

/* The cache of the class of an object in the heap's space; NULL if it lies in none, or elsewhere,
 * or is not the start of a slot: the slow path must tell. */
static inline struct tn_cache *tn_cache_of(struct terrane_heap *heap, const void *pointer)
{
    const size_t offset = (size_t)((uintptr_t)pointer - (uintptr_t)heap->base);
    if (TN_UNLIKELY(offset >= heap->window_bytes))
        return NULL;
    const unsigned code = heap->mini[offset >> 11];
    struct tn_cache *cache = tn_cache_at(heap, code & TN_MINI_CLASS_BITS);
    const uint32_t in = (uint32_t)(offset & 2047) + (code & TN_MINI_DISTANCE_BITS);
    return TN_LIKELY(tn_is_slot_start(in, cache->magic)) ? cache : NULL;
}

/* Pushes an object of any heap of this heap's space into the heap's cache; false: the slow path
 * must serve. */
static inline bool tn_heap_push(struct terrane_heap *heap, void *pointer)
{
    struct tn_cache *cache = tn_cache_of(heap, pointer);
    if (TN_UNLIKELY(cache == NULL || cache->top == cache->ceiling))
        return false;
    *cache->top++ = pointer;
    return true;
}

/* Whether a slot of `slot` bytes stays the place of an object that is resized to `size`: it fits,
 * and not much more than half would be lost. */
static inline bool tn_slot_keeps(size_t slot, size_t size)
{
    return size <= slot && 2 * size + 128 >= slot;
}

/* Resizes a small object to a small size without leaving the caches; false: the slow path must. */
static inline bool tn_heap_resize_small(struct terrane_heap *heap, void *pointer, size_t size,
                                        void **out)
{
    struct tn_cache *cache = tn_cache_of(heap, pointer);
    if (TN_UNLIKELY(cache == NULL || cache->size == 0))
        return false;
    const size_t slot = cache->size;
    if (tn_slot_keeps(slot, size)) {
        *out = pointer;
        return true;
    }
    if (cache->top == cache->ceiling || !tn_heap_pop(heap, size, out))
        return false;
    memcpy(*out, pointer, slot < size ? slot : size);
    *cache->top++ = pointer;
    return true;
}

static inline void tn_heap_free(struct terrane_heap *heap, void *pointer)
{
    if (TN_UNLIKELY(!tn_heap_push(heap, pointer)))
        tn_heap_free_slow(heap, pointer);
}

/* ---- for preload and services ---- */

/* A heap that refuses everything by its slow path: what a thread has before it has one. */
extern struct terrane_heap tn_heap_none;

/* An abandoned heap of the space, now owned by the caller, or a new one. NULL: no memory. */
struct terrane_heap *tn_heap_obtain(struct terrane_space *space, bool hardened);

/* A heap that no thread owns and nobody obtains: whoever asks for it keeps its users apart, over a
 * fork too. NULL: no memory; errno says which limit. */
struct terrane_heap *tn_heap_create_shared(struct terrane_space *space);

/* Leaves the heap to whoever obtains it next; empties its caches. */
void tn_heap_leave(struct terrane_heap *heap);

/* As the public calls, for an object of any size: errno is set on failure. */
void *tn_heap_alloc_zeroed(struct terrane_heap *heap, size_t size);
void *tn_heap_alloc_aligned(struct terrane_heap *heap, size_t align, size_t size);
void *tn_heap_resize(struct terrane_heap *heap, void *pointer, size_t size);

/* Usable bytes; `pointer` must be an object in the space, else it is a crime. */
size_t tn_heap_usable(const struct terrane_space *space, const void *pointer);

/* A shrinking large object gives its tail back if that saves this much, else keeps it. */
#define TN_SHRINK_MIN_BYTES (16 * TN_KIB)

/* Whether an object with `usable` bytes can have been asked for, or resized to, `size`. */
bool tn_size_plausible(size_t usable, size_t size);

/* Aborts with the message for a free with a wrong size or alignment. */
_Noreturn void tn_crime_wrong_size(const void *pointer, size_t size, size_t usable);
_Noreturn void tn_crime_foreign(const void *pointer);

#endif
