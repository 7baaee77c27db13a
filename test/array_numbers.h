/* Arrays whose units count up, so that a slice, a join or a prepend shows in the numbers whether it
 * was right; and statistics of arrays. */
#ifndef TEST_ARRAY_NUMBERS_H
#define TEST_ARRAY_NUMBERS_H

#include "api_test.h"

typedef uint64_t number;

static inline void numbers_write(number *units, number from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        units[i] = from + i;
}

static inline void numbers_append(struct terrane_array **array, number from, size_t count)
{
    void *units = NULL;
    assert_int_equal(terrane_array_extend(array, count, &units), 0);
    numbers_write(units, from, count);
}

static inline void numbers_prepend(struct terrane_array **array, number from, size_t count)
{
    void *units = NULL;
    assert_int_equal(terrane_array_extend_front(array, count, &units), 0);
    numbers_write(units, from, count);
}

static inline struct terrane_array *empty_in(struct terrane_space *space, size_t unit)
{
    struct terrane_array *array = NULL;
    assert_int_equal(terrane_array_create(space, unit, 0, &array), 0);
    assert_non_null(array);
    return array;
}

/* from, from + 1, ... */
static inline struct terrane_array *numbers_in(struct terrane_space *space, number from,
                                               size_t count)
{
    struct terrane_array *array = empty_in(space, sizeof(number));
    numbers_append(&array, from, count);
    return array;
}

/* The place of the first wrong number, or their count. */
static inline size_t numbers_wrong(const struct terrane_array *array, number from)
{
    const number *units = terrane_array_data(array);
    size_t at = 0;
    while (at < terrane_array_length(array) && units[at] == from + at)
        at++;
    return at;
}

static inline bool numbers_are(const struct terrane_array *array, number from, size_t count)
{
    return terrane_array_length(array) == count && numbers_wrong(array, from) == count;
}

static inline void assert_numbers(const struct terrane_array *array, number from, size_t count)
{
    if (!numbers_are(array, from, count))
        fail_msg("array of %zu, not %zu, is wrong from %zu on", terrane_array_length(array), count,
                 numbers_wrong(array, from));
}

static inline struct terrane_array_stats arrays_of(struct terrane_space *space)
{
    struct terrane_array_stats stats;
    memset(&stats, 0xff, sizeof(stats));
    terrane_array_stats(space, &stats);
    return stats;
}

static inline void assert_no_arrays(struct terrane_space *space)
{
    const struct terrane_array_stats stats = arrays_of(space);
    assert_int_equal(stats.arrays, 0);
    assert_int_equal(stats.bodies, 0);
    assert_int_equal(stats.body_bytes, 0);
}

#endif
