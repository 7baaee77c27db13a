/* Bits, powers of two and sizes. */
#ifndef TN_BITS_H
#define TN_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TN_KIB ((size_t)1 << 10)
#define TN_MIB ((size_t)1 << 20)
#define TN_GIB ((size_t)1 << 30)

#define TN_LIKELY(x)   __builtin_expect(!!(x), 1)
#define TN_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define TN_ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Index of the lowest set bit; `bits` must not be 0. */
static inline unsigned tn_lowest_bit(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits);
}

/* Index of the highest set bit; `bits` must not be 0. */
static inline unsigned tn_highest_bit(uint64_t bits)
{
    return 63u - (unsigned)__builtin_clzll(bits);
}

static inline bool tn_is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* Smallest k with 2^k >= n; n must be at least 1 and at most 2^63. */
static inline unsigned tn_order_up(size_t n)
{
    return n <= 1 ? 0 : tn_highest_bit(n - 1) + 1;
}

/* `n` rounded to a multiple of `align`, a power of two. The caller rules out overflow. */
static inline size_t tn_round_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

static inline size_t tn_round_down(size_t n, size_t align)
{
    return n & ~(align - 1);
}

static inline size_t tn_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t tn_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The lowest `count` bits set; count 0 to 32. */
static inline uint32_t tn_mask32(unsigned count)
{
    return (uint32_t)(((uint64_t)1 << count) - 1);
}

/* The lowest `count` bits set; count 0 to 64. */
static inline uint64_t tn_mask64(unsigned count)
{
    return count >= 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
}

/* Length of the longest run of set bits: each round shortens every run by one. */
static inline unsigned tn_longest_run32(uint32_t bits)
{
    unsigned length = 0;
    for (; bits != 0; bits &= bits << 1)
        length++;
    return length;
}

/* Bit set for each position from which `length` neighbouring bits are set; length 1 to 32. */
static inline uint32_t tn_run_starts32(uint32_t bits, unsigned length)
{
    unsigned have = 1;
    while (have < length) {
        const unsigned shift = have < length - have ? have : length - have;
        bits &= bits >> shift;
        have += shift;
    }
    return bits;
}

#endif
