/* The malloc family on terrane's heaps. docs/compatibility.md has a row for every rule kept here.
 *
 * malloc and free are the heap floor's hot path on the calling thread's heap; a thread that has
 * none yet has tn_heap_none, on which both fail and fall through to the slow functions below. All
 * other calls are made of those and of the heap floor's resize and aligned allocation. */
#include "base/base.h"
#include "counted.h"
#include "heap/heap.h"
#include "malloc_family.h"
#include "os/os.h"
#include "pool/pool.h"
#include "thread_heap.h"

#include <errno.h>
#include <string.h>

#define EXPORT TERRANE_API

/* ---- slow halves ---- */

void *tn_plain_alloc(struct terrane_heap *heap, const struct tn_request *request)
{
    if (request->align > TN_OBJECT_ALIGN)
        return tn_heap_alloc_aligned(heap, request->align, request->size);
    if (request->zeroed)
        return tn_heap_alloc_zeroed(heap, request->size);
    return tn_heap_alloc(heap, request->size);
}

/* Any allocation by whatever heap the thread has or gets. */
static __attribute__((noinline)) void *allocate(const struct tn_request *request)
{
    bool shared;
    struct terrane_heap *heap = tn_thread_heap_get(&shared);
    if (TN_UNLIKELY(heap == NULL))
        return NULL;
    void *pointer =
        tn_preload_counted ? tn_counted_alloc(heap, request) : tn_plain_alloc(heap, request);
    tn_thread_heap_release(shared);
    return pointer;
}

static __attribute__((noinline)) void *malloc_slow(size_t size)
{
    return allocate(&(const struct tn_request){.size = size});
}

static __attribute__((noinline)) void free_slow(void *pointer)
{
    if (pointer == NULL)
        return;
    const int saved_errno = errno;
    bool shared;
    struct terrane_heap *heap = tn_thread_heap_get(&shared);
    if (TN_UNLIKELY(heap == NULL))
        tn_crime_foreign(pointer); /* without memory for a first heap nothing was ever allocated */
    if (tn_preload_counted)
        tn_counted_free(heap, pointer);
    else
        tn_heap_free_slow(heap, pointer);
    tn_thread_heap_release(shared);
    errno = saved_errno;
}

/* ---- C ---- */

EXPORT void *malloc(size_t size)
{
    void *pointer;
    if (TN_LIKELY(tn_heap_pop(tn_thread_heap, size, &pointer)))
        return pointer;
    return malloc_slow(size);
}

EXPORT void free(void *pointer)
{
    if (TN_UNLIKELY(!tn_heap_push(tn_thread_heap, pointer)))
        free_slow(pointer);
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (TN_UNLIKELY(!tn_size_mul(count, size, &bytes))) {
        errno = ENOMEM;
        return NULL;
    }
    void *pointer;
    if (TN_LIKELY(tn_heap_pop(tn_thread_heap, bytes, &pointer)))
        return memset(pointer, 0, bytes);
    return allocate(&(const struct tn_request){.size = bytes, .zeroed = true});
}

/* The space that `pointer`, to be resized or measured, lies in; a foreign pointer is a crime. */
static struct terrane_space *space_of(const void *pointer)
{
    struct terrane_space *space = tn_space_of(pointer);
    if (TN_UNLIKELY(space == NULL))
        tn_crime_foreign(pointer);
    return space;
}

static __attribute__((noinline)) void *realloc_slow(void *pointer, size_t size)
{
    if (pointer == NULL)
        return malloc(size);
    if (TN_UNLIKELY(size == 0 && tn_preload_options.realloc_zero_frees)) {
        free(pointer);
        return NULL;
    }
    (void)space_of(pointer);
    bool shared;
    struct terrane_heap *heap = tn_thread_heap_get(&shared);
    if (TN_UNLIKELY(heap == NULL))
        return NULL;
    void *target = tn_preload_counted ? tn_counted_resize(heap, pointer, size)
                                      : tn_heap_resize(heap, pointer, size);
    tn_thread_heap_release(shared);
    return target;
}

EXPORT void *realloc(void *pointer, size_t size)
{
    void *target;
    if (TN_LIKELY(size != 0 && tn_heap_resize_small(tn_thread_heap, pointer, size, &target)))
        return target;
    return realloc_slow(pointer, size);
}

EXPORT void *reallocarray(void *pointer, size_t count, size_t size)
{
    size_t bytes;
    if (!tn_size_mul(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(pointer, bytes);
}

/* C23: the caller promises the size; a promise that cannot be true is a crime. */
EXPORT void free_sized(void *pointer, size_t size)
{
    if (pointer != NULL) {
        const size_t usable = tn_heap_usable(space_of(pointer), pointer);
        if (!tn_size_plausible(usable, size))
            tn_crime_wrong_size(pointer, size, usable);
    }
    free(pointer);
}

EXPORT void free_aligned_sized(void *pointer, size_t align, size_t size)
{
    if (pointer != NULL) {
        const size_t usable = tn_heap_usable(space_of(pointer), pointer);
        if (size > usable || (align != 0 && (uintptr_t)pointer % align != 0))
            tn_crime_wrong_size(pointer, size, usable);
    }
    free(pointer);
}

/* ---- aligned ---- */

static void *allocate_aligned(size_t align, size_t size)
{
    if (align > TN_GIB) { /* more than a window can promise */
        errno = ENOMEM;
        return NULL;
    }
    if (align <= TN_OBJECT_ALIGN)
        return malloc(size);
    return allocate(&(const struct tn_request){.align = align, .size = size});
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
    if (!tn_is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return allocate_aligned(align, size);
}

/* As glibc: an alignment that is no power of two is rounded up to one. */
EXPORT void *memalign(size_t align, size_t size)
{
    if (align > (SIZE_MAX >> 1) + 1) {
        errno = EINVAL;
        return NULL;
    }
    return allocate_aligned((size_t)1 << tn_order_up(align), size);
}

EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
    if (!tn_is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    const int saved_errno = errno;
    void *pointer = allocate_aligned(align, size);
    errno = saved_errno;
    if (pointer == NULL)
        return ENOMEM;
    *out = pointer;
    return 0;
}

EXPORT void *valloc(size_t size)
{
    return allocate_aligned(tn_os_page_bytes(), size);
}

EXPORT void *pvalloc(size_t size)
{
    size_t bytes;
    const size_t page = tn_os_page_bytes();
    if (!tn_size_round_up(tn_max(size, 1), page, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return allocate_aligned(page, bytes);
}

/* ---- questions and wishes ---- */

EXPORT size_t malloc_usable_size(void *pointer)
{
    return pointer == NULL ? 0 : tn_heap_usable(space_of(pointer), pointer);
}

EXPORT int malloc_trim(size_t pad)
{
    (void)pad; /* what stays resident is decided by the pool */
    struct terrane_space *space = tn_space_default_if_any();
    if (space == NULL)
        return 0;
    bool shared;
    struct terrane_heap *heap = tn_thread_heap_get(&shared);
    if (heap != NULL)
        terrane_heap_trim(heap);
    tn_thread_heap_release(shared);
    return tn_pool_trim(space) > 0;
}
