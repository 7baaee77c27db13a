/* Operations on objects of any size, and the public calls on them; see terrane/heap.h. */
#include "heap/layout.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>
#include <terrane/version.h>

#define TEXT(x)          #x
#define VERSION(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *terrane_version(void)
{
    return VERSION(TERRANE_VERSION_MAJOR, TERRANE_VERSION_MINOR, TERRANE_VERSION_PATCH);
}

/* ---- usable size ---- */

static unsigned class_at(const struct terrane_space *space, const void *pointer)
{
    return TN_MINI_CLASS(tn_mini(space)[tn_offset_of(space, pointer) >> TN_MINIPAGE_SHIFT]);
}

static struct terrane_heap *heap_of_block(const struct terrane_space *space,
                                          const struct tn_block *descriptor)
{
    /* relaxed: constant while the object lives */
    return tn_heap_by_id(space, atomic_load_explicit(&descriptor->heap, memory_order_relaxed));
}

/* Slots of hardened heaps end in a canary. */
static size_t canary_bytes(const struct terrane_heap *heap)
{
    return heap->hardened ? TN_CANARY_BYTES : 0;
}

size_t tn_heap_usable(const struct terrane_space *space, const void *pointer)
{
    const unsigned class = class_at(space, pointer);
    if (class == TN_CLASS_NONE) {
        const struct tn_block *descriptor = tn_large_at(space, pointer);
        if (descriptor != NULL)
            return tn_large_usable(descriptor);
        tn_crime_invalid(space, pointer);
    }
    const struct tn_slot at = tn_slot_at(space, pointer);
    if (!at.exact)
        tn_crime_invalid(space, pointer);
    return tn_classes[class].size - canary_bytes(heap_of_block(space, at.descriptor));
}

bool tn_size_plausible(size_t usable, size_t size)
{
    if (size > usable)
        return false;
    return usable > TN_SMALL_MAX ? size + TN_SHRINK_MIN_BYTES + tn_os_page_bytes() > usable
                                 : tn_slot_keeps(usable, size);
}

static struct terrane_space *space_or_crime(const void *pointer)
{
    struct terrane_space *space = tn_space_of(pointer);
    if (space == NULL)
        tn_crime_foreign(pointer);
    return space;
}

size_t terrane_usable_size(const void *object)
{
    return object == NULL ? 0 : tn_heap_usable(space_or_crime(object), object);
}

struct terrane_heap *terrane_heap_of(const void *pointer)
{
    const struct terrane_space *space = tn_space_of(pointer);
    if (space == NULL)
        return NULL;
    if (class_at(space, pointer) != TN_CLASS_NONE) {
        const struct tn_slot at = tn_slot_at(space, pointer);
        return at.exact ? heap_of_block(space, at.descriptor) : NULL;
    }
    const struct tn_block *descriptor = tn_large_at(space, pointer);
    return descriptor != NULL ? heap_of_block(space, descriptor) : NULL;
}

/* ---- allocation ---- */

void *terrane_heap_alloc(struct terrane_heap *heap, size_t size)
{
    return tn_heap_alloc(heap, size);
}

void *tn_heap_alloc_zeroed(struct terrane_heap *heap, size_t size)
{
    if (size > TN_SMALL_MAX && !tn_heap_refuses(heap)) {
        void *large = heap->hardened ? tn_hardened_alloc_large(heap, size, TN_OBJECT_ALIGN, true)
                                     : tn_large_alloc(heap, size, TN_OBJECT_ALIGN, true);
        if (large == NULL)
            errno = tn_refusal(heap);
        return large;
    }
    void *pointer = tn_heap_alloc(heap, size);
    if (pointer != NULL)
        memset(pointer, 0, size);
    return pointer;
}

void *terrane_heap_alloc_zeroed(struct terrane_heap *heap, size_t size)
{
    return tn_heap_alloc_zeroed(heap, size);
}

/* Slots are aligned to the lowest set bit of their size, up to their span's alignment: a power of
 * two up to a minipage, and powers of two above it, whose spans are placed so. */
unsigned tn_class_aligned(size_t align, size_t size)
{
    size_t rounded;
    if (!tn_size_round_up(tn_max(size, 1), align, &rounded) || rounded > TN_SMALL_MAX)
        return TN_CLASS_NONE;
    if (align > TN_MINIPAGE_BYTES)
        return tn_class_of((size_t)1 << tn_order_up(rounded));
    unsigned class = tn_class_of(rounded);
    while (class < TN_CLASSES && tn_classes[class].size % align != 0)
        class ++;
    return class < TN_CLASSES ? class : TN_CLASS_NONE;
}

static void *alloc_aligned(struct terrane_heap *heap, size_t align, size_t size)
{
    if (TN_UNLIKELY(tn_heap_refuses(heap)))
        return NULL;
    if (heap->hardened)
        return tn_hardened_alloc(heap, size, align);
    const unsigned class = tn_class_aligned(align, size);
    if (class != TN_CLASS_NONE)
        return tn_heap_alloc(heap, tn_classes[class].size);
    return tn_large_alloc(heap, size, align, false);
}

void *tn_heap_alloc_aligned(struct terrane_heap *heap, size_t align, size_t size)
{
    if (align <= TN_OBJECT_ALIGN)
        return tn_heap_alloc(heap, size);
    void *pointer = alloc_aligned(heap, align, size);
    if (pointer == NULL)
        errno = tn_refusal(heap);
    return pointer;
}

void *terrane_heap_alloc_aligned(struct terrane_heap *heap, size_t align, size_t size)
{
    if (!tn_is_power_of_two(align) || align > TN_GIB) {
        errno = EINVAL;
        return NULL;
    }
    return tn_heap_alloc_aligned(heap, align, size);
}

/* ---- free ---- */

static bool owned_by_me(const struct terrane_heap *heap)
{
    /* relaxed: only we can have stored our mark */
    return atomic_load_explicit(&heap->owner, memory_order_relaxed) == tn_thread_mark();
}

void terrane_free(void *object)
{
    if (object == NULL)
        return;
    const int saved_errno = errno;
    struct terrane_space *space = space_or_crime(object);
    if (TN_UNLIKELY(space->foreign))
        return; /* the parent's object lives on */
    if (class_at(space, object) == TN_CLASS_NONE) {
        tn_large_free(space, object);
    } else {
        const struct tn_slot at = tn_slot_at(space, object);
        if (!at.exact)
            tn_crime_invalid(space, object);
        struct terrane_heap *heap = heap_of_block(space, at.descriptor);
        if (owned_by_me(heap))
            tn_heap_free(heap, object);
        else if (heap->hardened)
            tn_hardened_free_remote(space, &at, object);
        else
            tn_remote_give(space, &object, 1);
    }
    errno = saved_errno;
}

/* ---- resize ---- */

/* Through a new object and a copy; the caller frees. */
static void *resize_by_copy(struct terrane_heap *heap, void *pointer, size_t old, size_t size)
{
    void *target = tn_heap_alloc(heap, size);
    if (target == NULL)
        return NULL;
    memcpy(target, pointer, tn_min(old, size));
    if (old > TN_SMALL_MAX || size > TN_SMALL_MAX) {
        tn_count(heap->space, TN_COUNT_COPIES, 1);
        tn_count(heap->space, TN_COUNT_COPY_BYTES, tn_min(old, size));
    }
    return target;
}

/* The new address, or NULL; *stays tells that `pointer` needs no free: it is the result, or is
 * gone, or nothing changed. */
static void *resize(struct terrane_heap *heap, void *pointer, size_t size, bool *stays)
{
    const struct terrane_space *space = tn_space_of(pointer);
    const unsigned class = class_at(space, pointer);
    const size_t old = tn_heap_usable(space, pointer); /* also finds crimes */
    *stays = true;
    if (class != TN_CLASS_NONE) {
        if (tn_slot_keeps(old, size))
            return pointer;
    } else if (size > TN_SMALL_MAX && !heap->hardened) {
        return tn_large_resize(heap, pointer, size);
    } else if (size > TN_SMALL_MAX && tn_size_plausible(old, size)) {
        return pointer; /* large, behind guards: it cannot change its size */
    }
    *stays = false;
    return resize_by_copy(heap, pointer, old, size);
}

void *tn_heap_resize(struct terrane_heap *heap, void *pointer, size_t size)
{
    bool stays;
    void *target = resize(heap, pointer, size, &stays);
    if (target == NULL)
        errno = tn_refusal(heap);
    else if (!stays)
        tn_heap_free(heap, pointer);
    return target;
}

void *terrane_heap_resize(struct terrane_heap *heap, void *object, size_t size)
{
    if (object == NULL)
        return tn_heap_alloc(heap, size);
    (void)space_or_crime(object);
    bool stays;
    void *target = resize(heap, object, size, &stays);
    if (target == NULL)
        errno = tn_refusal(heap);
    else if (!stays)
        terrane_free(object);
    return target;
}

int terrane_resize_in_place(void *object, size_t size)
{
    struct terrane_space *space = space_or_crime(object);
    if (class_at(space, object) == TN_CLASS_NONE) {
        if (tn_large_at(space, object) == NULL)
            tn_crime_invalid(space, object);
        return tn_large_resize_in_place(space, object, size);
    }
    return size <= tn_heap_usable(space, object) ? 0 : -ENOMEM;
}

/* ---- move ---- */

int terrane_heap_move(struct terrane_heap *heap, void **object)
{
    struct terrane_space *space = space_or_crime(*object);
    const size_t bytes = tn_heap_usable(space, *object); /* no crime: an object starts here */
    const struct tn_block *descriptor = tn_block_at(space, tn_block_of(space, *object));
    if (heap_of_block(space, descriptor) == heap)
        return 0;
    if (descriptor->use == TN_USE_LARGE && !heap->hardened)
        return tn_large_move(heap, object);
    if (descriptor->kind == TERRANE_KIND_PINNED)
        return -EPERM;
    const int saved_errno = errno;
    void *target = tn_heap_alloc(heap, bytes);
    errno = saved_errno;
    if (target == NULL)
        return -tn_refusal(heap);
    memcpy(target, *object, bytes);
    terrane_free(*object);
    *object = target;
    return 0;
}
