/* Arrays call by call: what each refuses, and that it changes nothing then; empty arrays; units of
 * all sizes; adding a part of itself; growing out of the heap; what reserve promises. */
#include "array_numbers.h"

static void test_create(void **state)
{
    (void)state;
    static const size_t bad[] = {0, TERRANE_ARRAY_UNIT_MAX + 1, SIZE_MAX};
    struct terrane_array *array = NULL;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(terrane_array_create(NULL, bad[i], 0, &array), -EINVAL);
    assert_int_equal(terrane_array_create(NULL, 8, 4, &array), -EINVAL);
    assert_int_equal(terrane_array_create(NULL, 8, ~0u, &array), -EINVAL);
    assert_null(array);
    terrane_array_release(NULL);
    assert_int_equal(terrane_array_create(NULL, 8, 3, &array), 0);
    assert_int_equal(terrane_array_length(array), 0);
    assert_int_equal(terrane_array_unit(array), 8);
    assert_int_equal(terrane_array_holders(array), 1);
    terrane_array_release(array);
}

/* ---- refusals ---- */

static void test_outside_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_array *array = numbers_in(space, 0, 1000), *rest = NULL;
    struct terrane_array *const before = array;
    const number one = 1;
    void *units = NULL;
    assert_int_equal(terrane_array_insert(&array, 1001, &one, 1), -EINVAL);
    assert_int_equal(terrane_array_insert(&array, SIZE_MAX, &one, 1), -EINVAL);
    static const size_t bad[][2] = {{1001, 0},     {0, 1001},     {1000, 1},
                                    {1, SIZE_MAX}, {SIZE_MAX, 1}, {SIZE_MAX, SIZE_MAX},
                                    {500, 501}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const size_t first = bad[i][0], count = bad[i][1];
        assert_int_equal(terrane_array_remove(&array, first, count), -EINVAL);
        assert_int_equal(terrane_array_slice(&array, first, count), -EINVAL);
        assert_int_equal(terrane_array_write(&array, first, count, &units), -EINVAL);
    }
    assert_int_equal(terrane_array_split(&array, 1001, &rest), -EINVAL);
    assert_null(rest);
    assert_null(units);
    assert_ptr_equal(array, before);
    assert_numbers(array, 0, 1000);
    terrane_array_release(array);
    assert_no_arrays(space);
}

static void test_outside(void **state)
{
    (void)state;
    on_each_backing(test_outside_in);
}

/* More than can be counted, than there are addresses, and than the space may have. */
static void refuse_size(struct terrane_array **array, size_t count, int error)
{
    const struct terrane_array *const before = *array;
    const char byte = 1;
    void *units = NULL;
    assert_int_equal(terrane_array_append(array, &byte, count), error);
    assert_int_equal(terrane_array_prepend(array, &byte, count), error);
    assert_int_equal(terrane_array_insert(array, 7, &byte, count), error);
    assert_int_equal(terrane_array_extend(array, count, &units), error);
    assert_int_equal(terrane_array_extend_front(array, count, &units), error);
    assert_int_equal(terrane_array_resize(array, count), error);
    assert_int_equal(terrane_array_reserve(array, 0, count), error);
    assert_int_equal(terrane_array_reserve(array, count, 0), error);
    assert_int_equal(terrane_array_reserve(array, count, count), error);
    assert_null(units);
    assert_ptr_equal(*array, before);
}

static void test_sizes_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (unsigned shared = 0; shared < 2; shared++) {
        struct terrane_array *array = numbers_in(space, 5, 20000), *other = NULL;
        if (shared == 1)
            other = terrane_array_reference(array);
        refuse_size(&array, SIZE_MAX, -EOVERFLOW);
        refuse_size(&array, SIZE_MAX / 8 + 1, -EOVERFLOW);
        refuse_size(&array, SIZE_MAX / 2, -EOVERFLOW);
        refuse_size(&array, (size_t)1 << 40, -ENOMEM);
        assert_numbers(array, 5, 20000);
        terrane_array_release(array);
        terrane_array_release(other);
    }
    assert_no_arrays(space);
}

static void test_sizes(void **state)
{
    (void)state;
    on_each_backing(test_sizes_in);
}

static void test_strangers(void **state)
{
    (void)state;
    struct terrane_space *spaces[2] = {space_of_backing(TERRANE_BACKING_MEMFD),
                                       space_of_backing(TERRANE_BACKING_MEMFD)};
    struct terrane_array *array = numbers_in(spaces[0], 0, 30000);
    struct terrane_array *other = numbers_in(spaces[1], 0, 10);
    struct terrane_array *third = empty_in(spaces[0], 7);
    struct terrane_array *const before = array;
    assert_int_equal(terrane_array_concatenate(&array, other), -EXDEV);
    assert_int_equal(terrane_array_concatenate(&array, third), -EINVAL);
    assert_int_equal(terrane_array_concatenate(&third, array), -EINVAL);
    assert_ptr_equal(array, before);
    assert_int_equal(terrane_array_holders(array), 1);
    assert_numbers(array, 0, 30000);
    assert_numbers(other, 0, 10);
    terrane_array_release(array);
    terrane_array_release(other);
    terrane_array_release(third);
    for (unsigned i = 0; i < 2; i++) {
        assert_no_arrays(spaces[i]);
        assert_int_equal(terrane_space_destroy(spaces[i]), 0);
    }
}

/* ---- nothing ---- */

/* Each call on an array without units, and with no units to add. */
static void test_nothing_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_array *array = empty_in(space, 24), *rest = NULL;
    void *units = NULL;
    const char none = 0;
    assert_int_equal(terrane_array_append(&array, &none, 0), 0);
    assert_int_equal(terrane_array_prepend(&array, &none, 0), 0);
    assert_int_equal(terrane_array_insert(&array, 0, &none, 0), 0);
    assert_int_equal(terrane_array_insert(&array, 1, &none, 0), -EINVAL);
    assert_int_equal(terrane_array_remove(&array, 0, 0), 0);
    assert_int_equal(terrane_array_remove(&array, 0, 1), -EINVAL);
    assert_int_equal(terrane_array_extend(&array, 0, &units), 0);
    assert_int_equal(terrane_array_extend_front(&array, 0, &units), 0);
    assert_int_equal(terrane_array_resize(&array, 0), 0);
    assert_int_equal(terrane_array_reserve(&array, 0, 0), 0);
    assert_int_equal(terrane_array_slice(&array, 0, 0), 0);
    assert_int_equal(terrane_array_write(&array, 0, 0, &units), 0);
    assert_int_equal(terrane_array_split(&array, 0, &rest), 0);
    assert_int_equal(terrane_array_length(rest), 0);
    assert_int_equal(terrane_array_concatenate(&array, rest), 0);
    assert_int_equal(terrane_array_concatenate(&array, terrane_array_reference(array)), 0);
    assert_int_equal(terrane_array_seal(&array), 0);
    assert_int_equal(terrane_array_move(&array, space), 0);
    assert_int_equal(terrane_array_move(&array, NULL), 0);
    assert_int_equal(terrane_array_length(array), 0);
    assert_int_equal(terrane_array_unit(array), 24);
    assert_int_equal(terrane_array_holders(array), 1);
    terrane_array_release(array);
    assert_no_arrays(space);
}

static void test_nothing(void **state)
{
    (void)state;
    on_each_backing(test_nothing_in);
}

/* What has become empty can grow again, from both ends. */
static void test_emptied_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (size_t count = 10; count <= 100000; count *= 100) {
        struct terrane_array *array = numbers_in(space, 0, count);
        struct terrane_array *other = terrane_array_reference(array);
        assert_int_equal(terrane_array_slice(&array, count / 2, 0), 0);
        numbers_append(&array, 70, 30);
        numbers_prepend(&array, 40, 30);
        assert_numbers(array, 40, 60);
        assert_int_equal(terrane_array_remove(&array, 0, 60), 0);
        numbers_prepend(&array, 9, 3);
        assert_numbers(array, 9, 3);
        assert_numbers(other, 0, count);
        assert_int_equal(terrane_array_resize(&other, 0), 0);
        numbers_append(&other, 1, 5);
        assert_numbers(other, 1, 5);
        terrane_array_release(other);
        terrane_array_release(array);
    }
    assert_no_arrays(space);
}

static void test_emptied(void **state)
{
    (void)state;
    on_each_backing(test_emptied_in);
}

/* ---- units ---- */

/* Appends and prepends in steps, out of the heap's sizes. */
static void grow_units(struct terrane_space *space, size_t unit)
{
    enum { STEPS = 24 };
    const size_t step = 1 + 100 * KIB / unit / STEPS;
    const size_t half = step * STEPS;
    struct terrane_array *array = empty_in(space, unit);
    unsigned char *plain = malloc(2 * half * unit);
    assert_non_null(plain);
    contents_write(plain, 2 * half * unit, unit);
    for (size_t i = 1; i <= STEPS; i++) {
        const size_t at = (half - i * step) * unit;
        assert_int_equal(terrane_array_prepend(&array, plain + at, step), 0);
        const size_t end = (half + (i - 1) * step) * unit;
        assert_int_equal(terrane_array_append(&array, plain + end, step), 0);
        assert_int_equal(terrane_array_length(array), 2 * i * step);
        assert_memory_equal(terrane_array_data(array), plain + at, 2 * i * step * unit);
    }
    assert_int_equal(terrane_array_slice(&array, 1, 2 * half - 2), 0);
    assert_memory_equal(terrane_array_data(array), plain + unit, (2 * half - 2) * unit);
    free(plain);
    terrane_array_release(array);
}

static void test_units_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    static const size_t units[] = {1, 2, 3, 5, 7, 8, 12, 17, 24, 100, 1000, 1023, 3000, 4095, 4096};
    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        grow_units(space, units[i]);
    assert_no_arrays(space);
}

static void test_units(void **state)
{
    (void)state;
    on_each_backing(test_units_in);
}

/* Every size there is, a few units of it. */
static void test_all_units(void **state)
{
    (void)state;
    static unsigned char plain[6 * TERRANE_ARRAY_UNIT_MAX];
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    contents_write(plain, sizeof(plain), 1);
    for (size_t unit = 1; unit <= TERRANE_ARRAY_UNIT_MAX; unit++) {
        struct terrane_array *array = empty_in(space, unit);
        assert_int_equal(terrane_array_push(&array, plain + 2 * unit, unit), 0);
        assert_int_equal(terrane_array_push_front(&array, plain + unit, unit), 0);
        assert_int_equal(terrane_array_append(&array, plain + 3 * unit, 3), 0);
        assert_int_equal(terrane_array_prepend(&array, plain, 1), 0);
        assert_memory_equal(terrane_array_data(array), plain, 6 * unit);
        assert_int_equal(terrane_array_remove(&array, 1, 2), 0);
        assert_memory_equal(terrane_array_data(array), plain, unit);
        assert_memory_equal((const char *)terrane_array_data(array) + unit, plain + 3 * unit,
                            3 * unit);
        terrane_array_release(array);
    }
    assert_no_arrays(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* ---- itself ---- */

static void check_doubled(const struct terrane_array *array, size_t count)
{
    const number *units = terrane_array_data(array);
    assert_int_equal(terrane_array_length(array), 2 * count);
    for (size_t i = 0; i < 2 * count; i++)
        assert_int_equal(units[i], i % count);
}

/* All of an array is added to it at either end, and as its own second; held by another or not. */
static void double_it(struct terrane_space *space, size_t count, unsigned how, bool shared)
{
    struct terrane_array *array = numbers_in(space, 0, count);
    struct terrane_array *other = shared ? terrane_array_reference(array) : NULL;
    if (how == 0)
        assert_int_equal(terrane_array_append(&array, terrane_array_data(array), count), 0);
    else if (how == 1)
        assert_int_equal(terrane_array_prepend(&array, terrane_array_data(array), count), 0);
    else
        assert_int_equal(terrane_array_concatenate(&array, terrane_array_reference(array)), 0);
    check_doubled(array, count);
    if (shared)
        assert_numbers(other, 0, count);
    terrane_array_release(array);
    terrane_array_release(other);
}

static void test_itself_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    static const size_t counts[] = {1, 500, 3000, 8192, 9000, 50000, 300000};
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        for (unsigned how = 0; how < 6; how++)
            double_it(space, counts[i], how % 3, how >= 3);
    assert_no_arrays(space);
}

static void test_itself(void **state)
{
    (void)state;
    on_each_backing(test_itself_in);
}

/* ---- room ---- */

/* Data of a page and more starts on one. */
static void test_page_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (size_t bytes = 4 * KIB; bytes <= 16 * MIB; bytes *= 2) {
        struct terrane_array *array = numbers_in(space, 0, bytes / sizeof(number));
        assert_int_equal((uintptr_t)terrane_array_data(array) % 4096, 0);
        terrane_array_release(array);
    }
}

static void test_page(void **state)
{
    (void)state;
    on_each_backing(test_page_in);
}

static void reserve_and_add(struct terrane_space *space, size_t count, size_t front, size_t behind,
                            bool shared)
{
    struct terrane_array *array = numbers_in(space, front, count), *other = NULL;
    if (shared)
        other = terrane_array_reference(array);
    assert_int_equal(terrane_array_reserve(&array, front, behind), 0);
    const number *first = terrane_array_data(array);
    for (size_t i = 0; i < behind; i++) {
        const number next = front + count + i;
        assert_int_equal(terrane_array_push(&array, &next, sizeof(next)), 0);
        assert_ptr_equal(terrane_array_data(array), first);
    }
    for (size_t i = 1; i <= front; i++) {
        const number before = front - i;
        assert_int_equal(terrane_array_push_front(&array, &before, sizeof(before)), 0);
        assert_ptr_equal(terrane_array_data(array), first - i);
    }
    assert_numbers(array, 0, front + count + behind);
    if (shared)
        assert_numbers(other, front, count);
    terrane_array_release(array);
    terrane_array_release(other);
}

static void test_reserve_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    static const size_t counts[] = {0, 1, 600, 20000}, rooms[] = {0, 1, 500, 5000, 40000};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned front = 0; front < 5; front++)
            for (unsigned behind = 0; behind < 5; behind++)
                reserve_and_add(space, counts[i], rooms[front], rooms[behind],
                                (i + front + behind) % 2 == 0);
    assert_no_arrays(space);
}

static void test_reserve(void **state)
{
    (void)state;
    on_each_backing(test_reserve_in);
}

/* What resize adds is zero, also where other units or room were before. */
static void test_zero_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (size_t count = 30; count < 1000000; count *= 10) {
        struct terrane_array *array = numbers_in(space, 1, 2 * count);
        assert_int_equal(terrane_array_resize(&array, count), 0);
        assert_int_equal(terrane_array_resize(&array, 3 * count), 0);
        const number *units = terrane_array_data(array);
        assert_int_equal(contents_nonzero(units + count, 2 * count * sizeof(number)),
                         2 * count * sizeof(number));
        assert_int_equal(terrane_array_resize(&array, count), 0);
        assert_numbers(array, 1, count);
        terrane_array_release(array);
    }
    assert_no_arrays(space);
}

static void test_zero(void **state)
{
    (void)state;
    on_each_backing(test_zero_in);
}

/* One unit at a time from nothing to megabytes: what it costs to move on the way stays a small
 * multiple of what there is in the end. */
static void push_far(struct terrane_space *space, bool front)
{
    enum { COUNT = 1 << 20 };
    struct terrane_array *array = empty_in(space, sizeof(number));
    const uint64_t before = arrays_of(space).copied_bytes;
    for (size_t i = 0; i < COUNT; i++) {
        const number next = front ? COUNT - i : i;
        assert_int_equal(front ? terrane_array_push_front(&array, &next, sizeof(next))
                               : terrane_array_push(&array, &next, sizeof(next)),
                         0);
    }
    assert_numbers(array, front, COUNT);
    assert_true(arrays_of(space).copied_bytes - before <= 4 * COUNT * sizeof(number));
    terrane_array_release(array);
}

static void test_push_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    push_far(space, false);
    push_far(space, true);
    assert_no_arrays(space);
}

static void test_push(void **state)
{
    (void)state;
    on_each_backing(test_push_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),  cmocka_unit_test(test_outside),
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_nothing), cmocka_unit_test(test_emptied),
        cmocka_unit_test(test_units),   cmocka_unit_test(test_all_units),
        cmocka_unit_test(test_itself),  cmocka_unit_test(test_page),
        cmocka_unit_test(test_reserve), cmocka_unit_test(test_zero),
        cmocka_unit_test(test_push),
    };
    return RUN_TESTS(tests);
}
