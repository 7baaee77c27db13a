/* free_sized and free_aligned_sized with a size or an alignment that the block cannot have had. The
 * malloc keeps the class of a block, not the size asked for, so a size of the same class passes. */
#include "malloc_calls.h"
#include "misuse.h"

static void ten_times(size_t size)
{
    free_sized(accused(get_block(size, 1)), 10 * size);
}

static void a_tenth(size_t size)
{
    free_sized(accused(get_block(size, 1)), size / 10);
}

static void next_class(size_t size)
{
    void *block = accused(get_block(size, 1));
    free_sized(block, malloc_usable_size(block) + 1);
}

static void nothing(size_t size)
{
    free_sized(accused(get_block(size, 1)), hidden_size(0));
}

static void endless(size_t size)
{
    free_sized(accused(get_block(size, 1)), hidden_size(SIZE_MAX));
}

static void aligned_ten_times(size_t size)
{
    free_aligned_sized(accused(hidden(aligned_alloc(64, size))), 64, 10 * size);
}

/* The block is not aligned to what it is freed with. */
static void wrong_alignment(size_t size)
{
    char *blocks[3];
    for (size_t i = 0; i < 3; i++)
        blocks[i] = get_block(size, i);
    for (size_t i = 0; i < 3; i++) {
        if ((uintptr_t)blocks[i] % ((size_t)1 << 30) != 0)
            free_aligned_sized(accused(blocks[i]), (size_t)1 << 30, size);
    }
}

static const struct misuse_case cases[] = {
    {"ten-times-small", MESSAGE_WRONG_SIZE("400", "48"), ten_times, 40, false},
    {"ten-times-medium", MESSAGE_WRONG_SIZE("30000", "3072"), ten_times, 3000, false},
    {"ten-times-large", MESSAGE_WRONG_SIZE("2000000", "200704"), ten_times, 200000, false},
    {"ten-times-hardened", MESSAGE_WRONG_SIZE("400", "40"), ten_times, 40, true},
    {"a-tenth-medium", MESSAGE_WRONG_SIZE("300", "3072"), a_tenth, 3000, false},
    {"a-tenth-large", MESSAGE_WRONG_SIZE("20000", "200704"), a_tenth, 200000, false},
    {"a-tenth-huge", MESSAGE_WRONG_SIZE("524288", "5242880"), a_tenth, (size_t)5 << 20, false},
    {"next-class-tiny", MESSAGE_WRONG_SIZE("17", "16"), next_class, 1, false},
    {"next-class-small", MESSAGE_WRONG_SIZE("49", "48"), next_class, 40, false},
    {"next-class-large", MESSAGE_WRONG_SIZE("200705", "200704"), next_class, 200000, false},
    {"nothing-medium", MESSAGE_WRONG_SIZE("0", "3072"), nothing, 3000, false},
    {"nothing-large", MESSAGE_WRONG_SIZE("0", "200704"), nothing, 200000, false},
    {"endless-small", MESSAGE_WRONG_SIZE("18446744073709551615", "48"), endless, 40, false},
    {"endless-large", MESSAGE_WRONG_SIZE("18446744073709551615", "200704"), endless, 200000, false},
    {"aligned-small", MESSAGE_WRONG_SIZE("400", "64"), aligned_ten_times, 40, false},
    {"aligned-large", MESSAGE_WRONG_SIZE("2000000", "200704"), aligned_ten_times, 200000, false},
    {"alignment-small", MESSAGE_WRONG_SIZE("40", "48"), wrong_alignment, 40, false},
    {"alignment-large", MESSAGE_WRONG_SIZE("200000", "200704"), wrong_alignment, 200000, false},
};

MISUSE_MAIN(cases)
