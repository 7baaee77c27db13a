/* What versions of arrays cost in memory, by the kernel's own count of a memfd's blocks: appends to
 * what others hold, and forks, cost their ends and what is new; a unit that is written costs one
 * block; and what no array shows any more goes back, be it the end of a released version or all
 * around a small slice. */
#include "array_numbers.h"

#define NUMBERS(bytes) ((bytes) / sizeof(number))
#define BLOCK          (64 * KIB)
#define BYTES          (64 * MIB)

/* Pages are brought in so many at a time. */
#define AHEAD (2 * MIB)

/* For headers, and blocks of them. */
#define SLACK BLOCK

static uint64_t file_bytes(struct terrane_space *space)
{
    struct terrane_pool_stats stats;
    (void)terrane_pool_purge(space);
    terrane_pool_stats(space, &stats);
    return stats.file_bytes;
}

static void assert_costs(struct terrane_space *space, uint64_t before, uint64_t most)
{
    const uint64_t now = file_bytes(space);
    if (now > before + most)
        fail_msg("%llu bytes, %llu more than before, not %llu", (unsigned long long)now,
                 (unsigned long long)(now - before), (unsigned long long)most);
}

/* Each version that is appended to costs what is new. */
static void test_append(void **state)
{
    (void)state;
    enum { VERSIONS = 16, STEP = 1000 };
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_MEMFD);
    struct terrane_array *versions[VERSIONS + 1];
    versions[0] = numbers_in(space, 0, NUMBERS(BYTES));
    const uint64_t before = file_bytes(space);
    const struct terrane_array_stats stats = arrays_of(space);
    for (size_t i = 0; i < VERSIONS; i++) {
        versions[i + 1] = terrane_array_reference(versions[i]);
        numbers_append(&versions[i + 1], NUMBERS(BYTES) + i * STEP, STEP);
    }
    assert_costs(space, before, VERSIONS * STEP * sizeof(number) + SLACK);
    assert_int_equal(arrays_of(space).copied_bytes, stats.copied_bytes);
    assert_int_equal(arrays_of(space).bodies, stats.bodies);
    for (size_t i = 0; i <= VERSIONS; i++) {
        assert_numbers(versions[i], 0, NUMBERS(BYTES) + i * STEP);
        terrane_array_release(versions[i]);
    }
    assert_no_arrays(space);
    assert_costs(space, 0, SLACK);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Versions that go on from where another one did: their ends, what is new, and the pages ahead of
 * it that were brought in with it. */
static void test_fork(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_MEMFD);
    struct terrane_array *trunk = numbers_in(space, 0, NUMBERS(BYTES));
    struct terrane_array *first = terrane_array_reference(trunk);
    struct terrane_array *second = terrane_array_reference(trunk);
    struct terrane_array *third = terrane_array_reference(trunk);
    numbers_append(&first, NUMBERS(BYTES), 1000);
    const uint64_t before = file_bytes(space);
    numbers_append(&second, 7, 1000);
    numbers_prepend(&third, 9, 1000);
    assert_costs(space, before, 2 * (2 * BLOCK + 1000 * sizeof(number)) + AHEAD + SLACK);
    assert_numbers(first, 0, NUMBERS(BYTES) + 1000);
    terrane_array_release(first);
    terrane_array_release(trunk);
    assert_int_equal(terrane_array_slice(&second, 0, NUMBERS(BYTES)), 0);
    assert_numbers(second, 0, NUMBERS(BYTES));
    terrane_array_release(second);
    assert_int_equal(terrane_array_slice(&third, 1000, NUMBERS(BYTES)), 0);
    assert_numbers(third, 0, NUMBERS(BYTES));
    terrane_array_release(third);
    assert_no_arrays(space);
    assert_costs(space, 0, SLACK);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Each of some units that are far from each other is written in a version that others hold. */
static void test_write(void **state)
{
    (void)state;
    enum { WRITES = 8 };
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_MEMFD);
    struct terrane_array *old = numbers_in(space, 0, NUMBERS(BYTES));
    struct terrane_array *array = terrane_array_reference(old);
    uint64_t before = file_bytes(space);
    for (size_t i = 0; i < WRITES; i++) {
        void *units = NULL;
        const size_t at = (i * 2 + 1) * NUMBERS(BYTES) / (2 * WRITES);
        assert_int_equal(terrane_array_write(&array, at, 1, &units), 0);
        *(number *)units = 1;
        assert_costs(space, before, BLOCK + (i == 0 ? SLACK : 0));
        before = file_bytes(space);
    }
    assert_numbers(old, 0, NUMBERS(BYTES));
    terrane_array_release(old);
    const number *units = terrane_array_data(array);
    for (size_t i = 0; i < NUMBERS(BYTES); i++)
        assert_int_equal(units[i],
                         i % (NUMBERS(BYTES) / WRITES) == NUMBERS(BYTES) / (2 * WRITES) ? 1 : i);
    terrane_array_release(array);
    assert_no_arrays(space);
    assert_costs(space, 0, SLACK);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* The end of a released version goes back while the older one stays. */
static void test_release(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_MEMFD);
    for (unsigned front = 0; front < 2; front++) {
        struct terrane_array *old = numbers_in(space, 0, NUMBERS(MIB));
        const uint64_t before = file_bytes(space);
        struct terrane_array *array = terrane_array_reference(old);
        if (front)
            numbers_prepend(&array, 1, NUMBERS(BYTES));
        else
            numbers_append(&array, 1, NUMBERS(BYTES));
        terrane_array_release(array);
        assert_costs(space, before, MIB + SLACK); /* as much as is shown may stay */
        assert_numbers(old, 0, NUMBERS(MIB));
        terrane_array_release(old);
    }
    assert_no_arrays(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Little of a large array: all else goes back, at once or when the large one is released. */
static void test_slice(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_MEMFD);
    for (unsigned where = 0; where < 3; where++) {
        for (unsigned shared = 0; shared < 2; shared++) {
            const size_t first = where * (NUMBERS(BYTES) - 100) / 2;
            struct terrane_array *array = numbers_in(space, 0, NUMBERS(BYTES));
            struct terrane_array *large = shared ? terrane_array_reference(array) : NULL;
            assert_int_equal(terrane_array_slice(&array, first, 100), 0);
            terrane_array_release(large);
            assert_costs(space, 0, 2 * BLOCK + SLACK);
            assert_numbers(array, first, 100);
            terrane_array_release(array);
        }
    }
    assert_no_arrays(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* The same in anonymous memory, by what is resident. */
static void test_private(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_array *old = numbers_in(space, 0, NUMBERS(MIB));
    const size_t before = resident_bytes();
    struct terrane_array *array = terrane_array_reference(old);
    numbers_append(&array, NUMBERS(MIB), NUMBERS(BYTES));
    assert_true(resident_bytes() > before + BYTES / 2);
    terrane_array_release(array);
    (void)terrane_pool_purge(space);
    assert_true(resident_bytes() < before + BYTES / 4);
    numbers_append(&old, NUMBERS(MIB), NUMBERS(BYTES));
    assert_int_equal(terrane_array_slice(&old, NUMBERS(BYTES) / 2, 100), 0);
    (void)terrane_pool_purge(space);
    assert_true(resident_bytes() < before + BYTES / 4);
    assert_numbers(old, NUMBERS(BYTES) / 2, 100);
    terrane_array_release(old);
    assert_no_arrays(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append), cmocka_unit_test(test_fork),
        cmocka_unit_test(test_write),  cmocka_unit_test(test_release),
        cmocka_unit_test(test_slice),  cmocka_unit_test(test_private),
    };
    return RUN_TESTS(tests);
}
