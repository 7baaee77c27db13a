/* Writes into a block that was freed: found when it leaves quarantine, at the latest some hundred
 * frees later. Hardened mode. */
#include "malloc_calls.h"
#include "misuse.h"

/* Frees enough others to push everything older out of quarantine. */
static void push_out(size_t size)
{
    for (int i = 0; i < 5000; i++)
        free(hidden(malloc(hidden_size(size))));
}

static void first_byte(size_t size)
{
    char *block = accused(get_block(size, 1));
    free(hidden(block));
    ((char *)hidden(block))[0] ^= 1;
    push_out(size);
}

static void middle(size_t size)
{
    char *block = accused(get_block(size, 1));
    free(hidden(block));
    ((char *)hidden(block))[size / 2] ^= 1;
    push_out(size);
}

static void last_byte(size_t size)
{
    char *block = accused(get_block(size, 1));
    free(hidden(block));
    ((char *)hidden(block))[size - 1] ^= 1;
    push_out(size);
}

/* The block is pushed out by blocks of other sizes just as well. */
static void other_sizes(size_t size)
{
    char *block = accused(get_block(size, 1));
    free(hidden(block));
    ((char *)hidden(block))[0] ^= 1;
    push_out(size * 3);
}

static const struct misuse_case cases[] = {
    {"first-byte-tiny", MESSAGE_AFTER_FREE, first_byte, TINY, true},
    {"first-byte-small", MESSAGE_AFTER_FREE, first_byte, SMALL, true},
    {"first-byte-medium", MESSAGE_AFTER_FREE, first_byte, MEDIUM, true},
    {"middle-small", MESSAGE_AFTER_FREE, middle, SMALL, true},
    {"middle-medium", MESSAGE_AFTER_FREE, middle, MEDIUM, true},
    {"middle-edge", MESSAGE_AFTER_FREE, middle, EDGE, true},
    {"last-byte-small", MESSAGE_AFTER_FREE, last_byte, SMALL, true},
    {"last-byte-medium", MESSAGE_AFTER_FREE, last_byte, MEDIUM, true},
    {"other-sizes-small", MESSAGE_AFTER_FREE, other_sizes, SMALL, true},
};

MISUSE_MAIN(cases)
