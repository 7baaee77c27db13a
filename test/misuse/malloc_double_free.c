/* A block that was freed is freed, resized, or asked for its size again. Large ones are always
 * caught; small ones in hardened mode, where each slot has a bit that says so. */
#include "malloc_calls.h"
#include "misuse.h"
#include "test_threads.h"

static void *gone(size_t size)
{
    void *block = accused(get_block(size, 1));
    free(hidden(block));
    return hidden(block);
}

static void by_free(size_t size)
{
    free(gone(size));
}

static void by_realloc(size_t size)
{
    free(hidden(realloc(gone(size), 2 * size)));
}

static void by_realloc_to_less(size_t size)
{
    free(hidden(realloc(gone(size), size / 2)));
}

static void by_free_sized(size_t size)
{
    free_sized(gone(size), size);
}

static void by_usable_size(size_t size)
{
    printf("%zu\n", malloc_usable_size(gone(size)));
}

static void of_aligned(size_t size)
{
    void *block = accused(hidden(aligned_alloc(4096, size)));
    free(hidden(block));
    free(hidden(block));
}

/* With others freed in between, as in real programs. */
static void after_others(size_t size)
{
    void *others[100];
    for (size_t i = 0; i < 100; i++)
        others[i] = get_block(size, i);
    void *block = gone(size);
    for (size_t i = 0; i < 100; i++)
        free(others[i]);
    free(block);
}

static void *free_it(void *context)
{
    free(hidden(context));
    return NULL;
}

static void once_in_another_thread(size_t size)
{
    void *block = accused(get_block(size, 1));
    thread_run(free_it, block);
    free(hidden(block));
}

static void twice_in_another_thread(size_t size)
{
    void *block = accused(get_block(size, 1));
    thread_run(free_it, block);
    thread_run(free_it, block);
}

static void old_address_of_a_moved_block(size_t size)
{
    void *block = accused(get_block(size, 1));
    void *behind = get_block(size, 2);
    void *moved = hidden(realloc(hidden(block), 64 * size));
    EXPECT(moved != NULL && moved != block);
    free(behind);
    free(hidden(block));
}

static const struct misuse_case cases[] = {
    {"free-tiny", MESSAGE_DOUBLE, by_free, TINY, true},
    {"free-small", MESSAGE_DOUBLE, by_free, SMALL, true},
    {"free-medium", MESSAGE_DOUBLE, by_free, MEDIUM, true},
    {"free-edge", MESSAGE_DOUBLE, by_free, EDGE, true},
    {"free-large", MESSAGE_DOUBLE, by_free, LARGE, false},
    {"free-huge", MESSAGE_DOUBLE, by_free, HUGE_, false},
    {"free-large-hardened", MESSAGE_DOUBLE, by_free, LARGE, true},
    {"realloc-small", MESSAGE_DOUBLE, by_realloc, SMALL, true},
    {"realloc-medium", MESSAGE_DOUBLE, by_realloc, MEDIUM, true},
    {"realloc-large", MESSAGE_DOUBLE, by_realloc, LARGE, false},
    {"realloc-huge", MESSAGE_DOUBLE, by_realloc, HUGE_, false},
    {"realloc-to-less-large", MESSAGE_DOUBLE, by_realloc_to_less, LARGE, false},
    {"free-sized-small", MESSAGE_DOUBLE, by_free_sized, SMALL, true},
    {"free-sized-large", MESSAGE_DOUBLE, by_free_sized, LARGE, false},
    {"usable-size-large", MESSAGE_DOUBLE, by_usable_size, LARGE, false},
    {"aligned-small", MESSAGE_DOUBLE, of_aligned, SMALL, true},
    {"aligned-large", MESSAGE_DOUBLE, of_aligned, LARGE, false},
    {"after-others-small", MESSAGE_DOUBLE, after_others, SMALL, true},
    {"after-others-large", MESSAGE_DOUBLE, after_others, LARGE, false},
    {"once-in-thread-large", MESSAGE_DOUBLE, once_in_another_thread, LARGE, false},
    {"twice-in-thread-small", MESSAGE_DOUBLE, twice_in_another_thread, SMALL, true},
    {"twice-in-thread-large", MESSAGE_DOUBLE, twice_in_another_thread, LARGE, false},
    {"moved-large", MESSAGE_DOUBLE, old_address_of_a_moved_block, LARGE, false},
};

MISUSE_MAIN(cases)
