/* free_sized and free_aligned_sized with the sizes that the blocks were asked for. (That wrong ones
 * are crimes is for test/misuse.) */
#include "malloc_calls.h"

static void unaligned(size_t size)
{
    void *block = get_block(size, size);
    EXPECT_INTACT(block, size, size);
    free_sized(hidden(block), size);
    block = hidden(calloc(1, size));
    EXPECT(block != NULL);
    free_sized(block, size);
}

/* A block may have been longer or shorter once; what counts is its last size. */
static void resized(size_t before, size_t size)
{
    void *block = hidden(realloc(get_block(before, 1), size));
    EXPECT(block != NULL);
    free_sized(block, size);
    block = hidden(aligned_alloc(256, before));
    EXPECT(block != NULL);
    block = hidden(realloc(block, size));
    EXPECT(block != NULL);
    free_sized(block, size);
}

static void aligned(size_t align, size_t size)
{
    void *block = hidden(aligned_alloc(align, size));
    EXPECT(block != NULL);
    contents_write(block, size, align);
    EXPECT_INTACT(block, size, align);
    free_aligned_sized(block, align, size);
}

int main(void)
{
    EXPECT(free_sized != NULL);
    EXPECT(free_aligned_sized != NULL);
    free_sized(NULL, 0);
    free_sized(NULL, 100);
    free_aligned_sized(NULL, 64, 100);
    errno = 77;
    for (size_t size = 0; size <= (size_t)8 << 20; size += size / 32 + 1) {
        unaligned(size);
        resized(size / 2 + 1, size);
        resized(size + size / 8 + 1, size);
        resized(size * 2 + 1, size);
        resized(size * 20 + 1, size);
        for (size_t align = 16; align <= 65536; align *= 8)
            aligned(align, size);
    }
    EXPECT(errno == 77);
    return 0;
}
