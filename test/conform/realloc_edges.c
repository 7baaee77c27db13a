/* realloc at its edges. NULL allocates. Size 0 gives a new minimal block, so that NULL always means
 * failure with the old block alive; TERRANE_OPTIONS="realloc_zero_frees=1" gives the C library's
 * older way, which frees and returns NULL with errno kept. A block may be resized by another thread
 * than the one that allocated it, and an aligned block may be resized (the alignment need not
 * stay). */
#include "malloc_calls.h"
#include "process.h"
#include "test_threads.h"

static void null_allocates(void)
{
    for (size_t size = 1; size <= (size_t)4 << 20; size *= 3) {
        void *block = hidden(realloc(NULL, size));
        EXPECT(block != NULL);
        contents_write(block, size, size);
        put_block(block, size, size);
        block = hidden(reallocarray(NULL, size, 3));
        EXPECT(block != NULL && malloc_usable_size(block) >= 3 * size);
        free(block);
    }
}

static void zero_gives_minimal_block(void)
{
    for (size_t size = 1; size <= (size_t)4 << 20; size *= 3) {
        void *block = hidden(realloc(get_block(size, 1), hidden_size(0)));
        EXPECT_THAT(block != NULL, "realloc(block of %zu, 0)", size);
        EXPECT_THAT(malloc_usable_size(block) <= 128, "%zu stay", malloc_usable_size(block));
        block = hidden(reallocarray(block, hidden_size(0), 5));
        EXPECT(block != NULL);
        free(block);
    }
}

static void zero_frees(void)
{
    for (size_t size = 1; size <= (size_t)4 << 20; size *= 3) {
        errno = 77;
        EXPECT(hidden(realloc(get_block(size, 1), hidden_size(0))) == NULL);
        EXPECT(errno == 77);
    }
    void *block = hidden(realloc(NULL, hidden_size(0)));
    EXPECT(block != NULL);
    free(block);
}

static void *grow_there(void *context)
{
    void *grown = hidden(realloc(context, 300000));
    EXPECT(grown != NULL);
    EXPECT_INTACT(grown, 40, 9);
    contents_write(grown, 300000, 9);
    return grown;
}

static void in_another_thread(void)
{
    for (int round = 0; round < 50; round++) {
        void *block = thread_run(grow_there, get_block(40, 9));
        block = hidden(realloc(block, 50));
        EXPECT(block != NULL);
        put_block(block, 50, 9);
    }
}

static void of_aligned_blocks(void)
{
    for (size_t align = 32; align <= (size_t)4 << 20; align *= 2) {
        void *block = NULL;
        EXPECT(posix_memalign(&block, align, 500) == 0);
        contents_write(block, 500, align);
        for (size_t size = 500; size < 3000000; size *= 2) {
            block = hidden(realloc(block, size));
            EXPECT(block != NULL);
            EXPECT_INTACT(block, 500, align);
        }
        block = hidden(realloc(block, 400));
        EXPECT(block != NULL);
        put_block(block, 400, align);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        zero_frees();
        return 0;
    }
    null_allocates();
    zero_gives_minimal_block();
    in_another_thread();
    of_aligned_blocks();
    run_again_with((char *[]){argv[0], (char[]){"zero-frees"}, NULL}, "TERRANE_OPTIONS",
                   "realloc_zero_frees=1");
}
