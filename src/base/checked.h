/* Size arithmetic that cannot wrap unseen. Each returns false, and leaves *out alone, on overflow.
 */
#ifndef TN_CHECKED_H
#define TN_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool tn_size_add(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

static inline bool tn_size_mul(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

/* `n` rounded up to a multiple of `align`, a power of two. */
static inline bool tn_size_round_up(size_t n, size_t align, size_t *out)
{
    size_t sum;
    if (!tn_size_add(n, align - 1, &sum))
        return false;
    *out = sum & ~(align - 1);
    return true;
}

#endif
