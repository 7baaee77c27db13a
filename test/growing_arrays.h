/* Arrays that grow in turn, so that each is in the others' way; every byte is written and checked.
 */
#ifndef TEST_GROWING_ARRAYS_H
#define TEST_GROWING_ARRAYS_H

#include "contents.h"

#include <terrane/terrane.h>

static inline void arrays_alloc(struct terrane_heap *heap, void **arrays, unsigned count,
                                size_t size)
{
    for (unsigned i = 0; i < count; i++) {
        arrays[i] = terrane_heap_alloc(heap, size);
        EXPECT(arrays[i] != NULL);
        contents_write(arrays[i], size, i);
    }
}

/* Each from `size` to `next` bytes. */
static inline void arrays_grow(struct terrane_heap *heap, void **arrays, unsigned count,
                               size_t size, size_t next)
{
    for (unsigned i = 0; i < count; i++) {
        arrays[i] = terrane_heap_resize(heap, arrays[i], next);
        EXPECT(arrays[i] != NULL);
        EXPECT_INTACT(arrays[i], size, i);
        contents_write_range(arrays[i], size, next, i);
    }
}

static inline void arrays_check(void *const *arrays, unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++)
        EXPECT_INTACT(arrays[i], size, i);
}

#endif
