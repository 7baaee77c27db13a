/* free keeps errno whatever it has to do: small blocks, large ones that go back to the kernel,
 * whole heaps' worth at once, blocks of other threads. free(NULL) does nothing. */
#include "malloc_calls.h"
#include "test_threads.h"

#define BATCH 3000

static void *blocks[BATCH];

static void free_watched(void *block)
{
    errno = 77;
    free(hidden(block));
    EXPECT(errno == 77);
}

static void *free_there(void *context)
{
    (void)context;
    for (size_t i = 0; i < BATCH; i++)
        free_watched(blocks[i]);
    return NULL;
}

static void get_batch(size_t size)
{
    for (size_t i = 0; i < BATCH; i++)
        blocks[i] = get_block(size, i);
}

int main(void)
{
    for (int i = 0; i < 1000; i++)
        free_watched(NULL);
    for (size_t size = 1; size <= (size_t)256 << 20; size *= 2) {
        void *block = hidden(malloc(size));
        EXPECT(block != NULL);
        memset(block, 1, size < 1000000 ? size : 1000000);
        free_watched(block);
    }
    for (size_t size = 16; size <= 40000; size *= 3) {
        get_batch(size);
        free_there(NULL);
        get_batch(size);
        thread_run(free_there, NULL);
    }
    return 0;
}
