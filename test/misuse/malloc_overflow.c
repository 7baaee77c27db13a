/* Writes past the end of a block, by one byte and by many, also of a block of size 0, and writes
 * before its start (which is the end of its neighbour): found when the block is freed or resized.
 * Hardened mode. Behind large blocks lies a page that cannot be written: test/conform shows that.
 */
#include "malloc_calls.h"
#include "misuse.h"

static char *victim(size_t size)
{
    return accused(get_block(size, 1));
}

static void by_one(size_t size)
{
    char *block = victim(size);
    block[malloc_usable_size(block)] ^= 1;
    free(hidden(block));
}

static void by_eight(size_t size)
{
    char *block = victim(size);
    memset(block + malloc_usable_size(block), 'x', 8);
    free(hidden(block));
}

/* As a string that is as long as its block and is ended behind it. */
static void by_zeros(size_t size)
{
    char *block = victim(size);
    memset(block + malloc_usable_size(block), '\0', 8);
    free(hidden(block));
}

static void found_by_realloc(size_t size)
{
    char *block = victim(size);
    memset(block + malloc_usable_size(block), 'x', 8);
    free(hidden(realloc(hidden(block), 8 * size)));
}

static void found_by_free_sized(size_t size)
{
    char *block = victim(size);
    memset(block + malloc_usable_size(block), 'x', 8);
    free_sized(hidden(block), size);
}

/* Of a hundred blocks in a row, one has a neighbour directly before it. */
static void before_the_start(size_t size)
{
    char *blocks[100];
    for (size_t i = 0; i < 100; i++)
        blocks[i] = get_block(size, i);
    for (size_t i = 0; i < 100; i++) {
        for (size_t j = 0; j < 100; j++) {
            if (blocks[j] + malloc_usable_size(blocks[j]) + 8 != blocks[i])
                continue;
            blocks[i][-1] ^= 1;
            free(accused(blocks[j]));
            return;
        }
    }
    expect_failed(__FILE__, __LINE__, "two neighbours among 100 blocks of %zu", size);
}

static const struct misuse_case cases[] = {
    {"by-one-empty", MESSAGE_PAST_END("8"), by_one, 0, true},
    {"by-one-tiny", MESSAGE_PAST_END("8"), by_one, 1, true},
    {"by-one-small", MESSAGE_PAST_END("40"), by_one, 40, true},
    {"by-one-medium", MESSAGE_PAST_END("3064"), by_one, 3000, true},
    {"by-one-edge", MESSAGE_PAST_END("32760"), by_one, 32000, true},
    {"by-eight-small", MESSAGE_PAST_END("40"), by_eight, 40, true},
    {"by-eight-medium", MESSAGE_PAST_END("3064"), by_eight, 3000, true},
    {"by-zeros-small", MESSAGE_PAST_END("24"), by_zeros, 24, true},
    {"found-by-realloc-small", MESSAGE_PAST_END("40"), found_by_realloc, 40, true},
    {"found-by-realloc-medium", MESSAGE_PAST_END("3064"), found_by_realloc, 3000, true},
    {"found-by-free-sized-small", MESSAGE_PAST_END("40"), found_by_free_sized, 40, true},
    {"before-the-start-small", MESSAGE_PAST_END("40"), before_the_start, 40, true},
    {"before-the-start-medium", MESSAGE_PAST_END("1528"), before_the_start, 1500, true},
};

MISUSE_MAIN(cases)
