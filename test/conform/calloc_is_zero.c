/* calloc's memory is zero, whatever lay there before: recycled small blocks, large ones that were
 * written, shrunk and freed, and blocks that another thread gave back. */
#include "malloc_calls.h"
#include "test_threads.h"

#define BATCH 64

static void *get_zeroed(size_t count, size_t size)
{
    unsigned char *block = hidden(calloc(hidden_size(count), size));
    EXPECT_THAT(block != NULL, "calloc(%zu, %zu)", count, size);
    EXPECT(is_aligned(block, MALLOC_ALIGN));
    EXPECT_ZERO(block, count * size);
    return block;
}

/* Fills all there is of a block, so that recycled memory cannot be zero by luck. */
static void soil(void *block)
{
    memset(block, 0xee, malloc_usable_size(block));
}

static void recycled(size_t size)
{
    static void *blocks[BATCH];
    const size_t batch = size > 1 << 20 ? 2 : BATCH;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < batch; i++) {
            blocks[i] = round == 0 ? hidden(malloc(size)) : get_zeroed(1, size);
            EXPECT(blocks[i] != NULL);
            soil(blocks[i]);
        }
        for (size_t i = 0; i < batch; i++)
            free(blocks[i]);
    }
}

/* The tail that a shrinking realloc gave up must not come back soiled. */
static void after_shrinking(size_t size)
{
    void *block = hidden(malloc(size));
    EXPECT(block != NULL);
    soil(block);
    block = hidden(realloc(block, size / 3 + 1));
    EXPECT(block != NULL);
    void *fresh = get_zeroed(3, size / 3 + 1);
    soil(fresh);
    free(block);
    free(fresh);
    free(get_zeroed(1, size));
}

static void *free_all(void *context)
{
    void **blocks = context;
    for (size_t i = 0; i < BATCH; i++)
        free(blocks[i]);
    return NULL;
}

static void after_remote_free(size_t size)
{
    static void *blocks[BATCH];
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < BATCH; i++) {
            blocks[i] = get_zeroed(size, 1);
            soil(blocks[i]);
        }
        thread_run(free_all, blocks);
    }
}

int main(void)
{
    for (size_t size = 1; size <= (size_t)16 << 20; size += size / 4 + 1)
        recycled(size);
    for (size_t size = 48; size <= (size_t)64 << 20; size *= 2)
        after_shrinking(size);
    for (size_t size = 8; size <= (size_t)256 << 10; size *= 4)
        after_remote_free(size);
    return 0;
}
