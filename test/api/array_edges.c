/* Edges of arrays: what happens at the borders between versions that share a body. Each case is one
 * history, small enough to be followed by hand; test/model has the long random ones. */
#include "api_test.h"

#include <terrane/array.h>

/* An array of 8-byte numbers from `first` on. */
static struct terrane_array *count_up(struct terrane_space *space, unsigned flags, uint64_t first,
                                      size_t count)
{
    struct terrane_array *array;
    void *units;
    assert_int_equal(terrane_array_create(space, sizeof(uint64_t), flags, &array), 0);
    assert_int_equal(terrane_array_extend(&array, count, &units), 0);
    for (size_t i = 0; i < count; i++)
        ((uint64_t *)units)[i] = first + i;
    return array;
}

/* `count` units from `at` on go up from `first`. */
static void expect_up(const struct terrane_array *array, size_t at, uint64_t first, size_t count)
{
    const uint64_t *units = terrane_array_data(array);
    assert_true(at + count <= terrane_array_length(array));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(units[at + i], first + i);
}

static struct terrane_array *slice_of(struct terrane_array *array, size_t first, size_t count)
{
    struct terrane_array *slice = terrane_array_reference(array);
    assert_int_equal(terrane_array_slice(&slice, first, count), 0);
    return slice;
}

static void expect_nothing_left(struct terrane_space *space)
{
    struct terrane_array_stats stats;
    terrane_array_stats(space, &stats);
    assert_int_equal(stats.arrays, 0);
    assert_int_equal(stats.bodies, 0);
    assert_int_equal(stats.body_bytes, 0);
}

/* What is added starts where the array does, but is a longer version's. */
static void add_longer_version(unsigned flags, bool in_front)
{
    struct terrane_array *all = count_up(NULL, flags, 0, 163);
    struct terrane_array *newer = terrane_array_reference(all);
    const uint64_t more = 163;
    assert_int_equal(terrane_array_append(&newer, &more, 1), 0);
    assert_int_equal(terrane_array_prepend(&newer, &more, 1), 0); /* it has both ends */
    struct terrane_array *part = slice_of(all, 0, 125);
    if (in_front)
        assert_int_equal(terrane_array_prepend(&part, terrane_array_data(all), 163), 0);
    else
        assert_int_equal(terrane_array_append(&part, terrane_array_data(all), 163), 0);
    expect_up(part, in_front ? 163 : 0, 0, 125);
    expect_up(part, in_front ? 0 : 125, 0, 163);
    expect_up(all, 0, 0, 163);
    terrane_array_release(part);
    terrane_array_release(newer);
    terrane_array_release(all);
}

static void longer_versions_are_added(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= TERRANE_ARRAY_ATOMIC; flags++) {
        add_longer_version(flags, false);
        add_longer_version(flags, true);
    }
    expect_nothing_left(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longer_versions_are_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
