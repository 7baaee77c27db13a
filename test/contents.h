/* Contents that name their owner: every byte of a block follows from a seed and its offset, so that
 * a byte which was written through another block, lost in a move or zeroed too much is found. */
#ifndef TEST_CONTENTS_H
#define TEST_CONTENTS_H

#include "expect.h"

/* splitmix64's finisher */
static inline uint64_t contents_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The eight bytes at offset 8 * word. */
static inline uint64_t contents_word(uint64_t seed, size_t word)
{
    return contents_mix(seed) + (uint64_t)word * 0x9e3779b97f4a7c15u;
}

/* Writes the bytes [from, to) of a block's contents. */
static inline void contents_write_range(void *block, size_t from, size_t to, uint64_t seed)
{
    unsigned char *bytes = block;
    size_t at = from;
    for (; at < to && at % 8 != 0; at++)
        bytes[at] = (unsigned char)(contents_word(seed, at / 8) >> (at % 8 * 8));
    for (; at + 8 <= to; at += 8) {
        const uint64_t word = contents_word(seed, at / 8);
        memcpy(bytes + at, &word, 8);
    }
    for (; at < to; at++)
        bytes[at] = (unsigned char)(contents_word(seed, at / 8) >> (at % 8 * 8));
}

static inline void contents_write(void *block, size_t size, uint64_t seed)
{
    contents_write_range(block, 0, size, seed);
}

/* Offset of the first wrong byte of the first `size`, or `size`. */
static inline size_t contents_wrong(const void *block, size_t size, uint64_t seed)
{
    const unsigned char *bytes = block;
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, 8);
        if (word != contents_word(seed, at / 8))
            break;
    }
    while (at < size && bytes[at] == (unsigned char)(contents_word(seed, at / 8) >> (at % 8 * 8)))
        at++;
    return at;
}

static inline bool contents_intact(const void *block, size_t size, uint64_t seed)
{
    return contents_wrong(block, size, seed) == size;
}

#define EXPECT_INTACT(block, size, seed)                                                           \
    EXPECT_THAT(contents_intact(block, size, seed), "block %p of %zu bytes, wrong from %zu on",    \
                (const void *)(block), (size_t)(size), contents_wrong(block, size, seed))

/* Offset of the first byte that is not zero, or `size`. */
static inline size_t contents_nonzero(const void *block, size_t size)
{
    const unsigned char *bytes = block;
    size_t at = 0;
    for (uint64_t word; at + 8 <= size; at += 8) {
        memcpy(&word, bytes + at, 8);
        if (word != 0)
            break;
    }
    while (at < size && bytes[at] == 0)
        at++;
    return at;
}

#define EXPECT_ZERO(block, size)                                                                   \
    EXPECT_THAT(contents_nonzero(block, size) == (size), "block %p of %zu bytes, not zero at %zu", \
                (const void *)(block), (size_t)(size), contents_nonzero(block, size))

#endif
