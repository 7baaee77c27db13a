/* The malloc family as the tests of the drop-in see it: what <stdlib.h> and <malloc.h> declare, and
 * the calls of C23 that older C libraries do not have. */
#ifndef TEST_MALLOC_CALLS_H
#define TEST_MALLOC_CALLS_H

#include "contents.h"
#include "expect.h"

#include <malloc.h>
#include <stdlib.h>

#define MALLOC_ALIGN ((size_t)16)

/* Weak: these programs are also linked against the C library alone and then run with LD_PRELOAD. */
extern void free_sized(void *pointer, size_t size) __attribute__((weak));
extern void free_aligned_sized(void *pointer, size_t align, size_t size) __attribute__((weak));

static inline bool is_aligned(const void *pointer, size_t align)
{
    return ((uintptr_t)pointer & (align - 1)) == 0;
}

/* malloc that must succeed, be aligned and be as large as asked for; filled with contents. */
static inline void *get_block(size_t size, uint64_t seed)
{
    void *block = hidden(malloc(hidden_size(size)));
    EXPECT_THAT(block != NULL, "malloc(%zu)", size);
    EXPECT_THAT(is_aligned(block, MALLOC_ALIGN), "malloc(%zu) gave %p", size, block);
    EXPECT_THAT(malloc_usable_size(block) >= size, "%zu for malloc(%zu)", malloc_usable_size(block),
                size);
    contents_write(block, size, seed);
    return block;
}

/* free after a look at the contents. */
static inline void put_block(void *block, size_t size, uint64_t seed)
{
    EXPECT_INTACT(block, size, seed);
    free(hidden(block));
}

#endif
