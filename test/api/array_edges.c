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

#define MUCH   (32 * MIB / sizeof(uint64_t))
#define LITTLE 100

/* Runs and, once free memory has gone, the file of a space hold a few blocks only. */
static void expect_small(struct terrane_space *space)
{
    struct terrane_array_stats arrays;
    struct terrane_pool_stats pool;
    terrane_array_stats(space, &arrays);
    assert_true(arrays.body_bytes < MIB);
    (void)terrane_pool_purge(space);
    terrane_pool_stats(space, &pool);
    assert_true(pool.file_bytes < MIB);
}

static void expect_little_file(struct terrane_space *space)
{
    struct terrane_pool_stats pool;
    (void)terrane_pool_purge(space);
    terrane_pool_stats(space, &pool);
    assert_true(pool.file_bytes < 8 * MIB);
}

/* The view that kept most of a body never had one of its ends. */
static void slices_keep_what_they_show(void **state)
{
    (void)state;
    for (int backing = TERRANE_BACKING_PRIVATE; backing <= TERRANE_BACKING_MEMFD; backing++) {
        struct terrane_space *space = space_of_backing((enum terrane_backing)backing);
        struct terrane_array *all = count_up(space, 0, 0, MUCH);
        struct terrane_array *last = slice_of(all, MUCH - LITTLE, LITTLE);
        struct terrane_array *first = slice_of(all, 0, LITTLE);
        terrane_array_release(all);
        terrane_array_release(last);
        expect_small(space);
        expect_up(first, 0, 0, LITTLE);
        terrane_array_release(first);
        expect_nothing_left(space);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

#define SLICES 300

/* There are too many slices at first to look where they end. */
static void many_slices_keep_what_they_show(void **state)
{
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_MEMFD);
    struct terrane_array *slices[SLICES], *all = count_up(space, 0, 0, MUCH);
    (void)state;
    for (size_t i = 0; i < SLICES; i++)
        slices[i] = slice_of(all, i * LITTLE * LITTLE, LITTLE);
    terrane_array_release(all);
    for (size_t i = SLICES - 1; i > 0; i--)
        terrane_array_release(slices[i]);
    expect_small(space);
    expect_up(slices[0], 0, 0, LITTLE);
    terrane_array_release(slices[0]);
    expect_nothing_left(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Blocks that another body shows do not keep the others. */
static void forked_bodies_give_back(void **state)
{
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_MEMFD);
    struct terrane_array *newest = count_up(space, 0, 0, MIB / sizeof(uint64_t));
    struct terrane_array *old, *fork;
    struct terrane_array_stats stats;
    void *units;
    (void)state;
    assert_int_equal(terrane_array_reserve(&newest, 0, MUCH), 0);
    old = terrane_array_reference(newest);
    fork = terrane_array_reference(newest);
    assert_int_equal(terrane_array_extend(&newest, MUCH, &units), 0);
    memset(units, 1, MUCH * sizeof(uint64_t));
    assert_int_equal(terrane_array_append(&fork, units, 1), 0);
    terrane_array_stats(space, &stats);
    assert_int_equal(stats.bodies, 2);
    assert_true(stats.aliased_bytes > 0);
    terrane_array_release(newest);
    expect_little_file(space);
    expect_up(old, 0, 0, MIB / sizeof(uint64_t));
    expect_up(fork, 0, 0, MIB / sizeof(uint64_t));
    terrane_array_release(old);
    terrane_array_release(fork);
    expect_nothing_left(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* A queue: what went at its front does not go on counting. */
static void queues_stay_in_a_limit(void **state)
{
    (void)state;
    for (int backing = TERRANE_BACKING_PRIVATE; backing <= TERRANE_BACKING_SCRATCH; backing++) {
        struct terrane_space *space = space_of_backing((enum terrane_backing)backing);
        const size_t piece = 256 * KIB / sizeof(uint64_t);
        struct terrane_array *queue = count_up(space, 0, 0, piece);
        void *units;
        terrane_pool_set_limit(space, 16 * MIB);
        for (size_t round = 1; round < 200; round++) {
            assert_int_equal(terrane_array_extend(&queue, piece, &units), 0);
            for (size_t i = 0; i < piece; i++)
                ((uint64_t *)units)[i] = round * piece + i;
            if (round < 4)
                continue;
            assert_int_equal(terrane_array_slice(&queue, piece, 4 * piece), 0);
            expect_up(queue, 0, (round - 3) * piece, 4 * piece);
        }
        terrane_array_release(queue);
        expect_nothing_left(space);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

/* What is there already costs nothing, though others have the ends of the body. */
static void nothing_is_done_for_nothing(void **state)
{
    struct terrane_array *older = count_up(NULL, 0, 0, 20000), *newer;
    const uint64_t more = 20000;
    void *units;
    (void)state;
    newer = terrane_array_reference(older);
    assert_int_equal(terrane_array_append(&newer, &more, 1), 0);
    assert_int_equal(terrane_array_prepend(&newer, &more, 1), 0);
    const struct terrane_array *const same = older;
    const void *const data = terrane_array_data(older);
    assert_int_equal(terrane_array_reserve(&older, 0, 0), 0);
    assert_int_equal(terrane_array_extend(&older, 0, &units), 0);
    assert_ptr_equal(units, (const uint64_t *)data + 20000);
    assert_int_equal(terrane_array_extend_front(&older, 0, &units), 0);
    assert_ptr_equal(units, data);
    assert_ptr_equal(older, same);
    assert_ptr_equal(terrane_array_data(older), data);
    terrane_array_release(newer);

    assert_int_equal(terrane_array_seal(&older), 0);
    const struct terrane_array *const sealed = older;
    struct terrane_array *again = terrane_array_reference(older);
    assert_int_equal(terrane_array_seal(&again), 0);
    assert_ptr_equal(again, sealed);
    terrane_array_release(again);
    terrane_array_release(older);
    expect_nothing_left(NULL);
}

/* More bytes than any run has, and more than can be counted. */
static void sizes_beyond_all_are_refused(void **state)
{
    struct terrane_array *array;
    void *units;
    (void)state;
    assert_int_equal(terrane_array_create(NULL, TERRANE_ARRAY_UNIT_MAX, 0, &array), 0);
    assert_int_equal(terrane_array_resize(&array, LITTLE), 0);
    for (unsigned shift = 34; shift < 64; shift++) {
        const size_t count = (size_t)1 << shift;
        const int error = terrane_array_resize(&array, count);
        assert_true(error == -ENOMEM || error == -EOVERFLOW);
        assert_int_equal(terrane_array_extend(&array, count, &units), error);
        assert_int_equal(terrane_array_extend_front(&array, count, &units), error);
        assert_int_equal(terrane_array_reserve(&array, count, count), error);
        assert_int_equal(terrane_array_length(array), LITTLE);
    }
    terrane_array_release(array);
    expect_nothing_left(NULL);
}

/* ---- children of fork ---- */

static void expect_refused(struct terrane_array *array)
{
    struct terrane_array *other = NULL;
    const uint64_t more[2] = {1, 2};
    void *units;
    EXPECT(terrane_array_append(&array, more, 1) == -EPERM);
    EXPECT(terrane_array_prepend(&array, more, 1) == -EPERM);
    EXPECT(terrane_array_push(&array, more, sizeof(*more)) == -EPERM);
    EXPECT(terrane_array_push_front(&array, more, sizeof(*more)) == -EPERM);
    EXPECT(terrane_array_insert(&array, 1, more, 2) == -EPERM);
    EXPECT(terrane_array_remove(&array, 1, 1) == -EPERM);
    EXPECT(terrane_array_slice(&array, 1, 1) == -EPERM);
    EXPECT(terrane_array_split(&array, 1, &other) == -EPERM);
    EXPECT(terrane_array_resize(&array, 2) == -EPERM);
    EXPECT(terrane_array_reserve(&array, 10, 10) == -EPERM);
    EXPECT(terrane_array_write(&array, 0, 1, &units) == -EPERM);
    EXPECT(terrane_array_seal(&array) == -EPERM);
    EXPECT(terrane_array_concatenate(&array, terrane_array_reference(array)) == -EPERM);
    EXPECT(terrane_array_writable(array) == NULL);
    EXPECT(terrane_array_length(array) == LITTLE);
}

static void in_child_of_fork(void *context)
{
    struct terrane_array *array = context;
    expect_refused(array);
    terrane_array_release(array);
    terrane_array_release(array); /* these are not its references: nothing happens */
}

/* Room that the parent's array has is not the child's, though they see the same pages. */
static void children_cannot_build(void **state)
{
    (void)state;
    for (int backing = TERRANE_BACKING_MEMFD; backing <= TERRANE_BACKING_SCRATCH; backing++) {
        struct terrane_space *space = space_of_backing((enum terrane_backing)backing);
        struct terrane_array *array = count_up(space, 0, 7, LITTLE);
        assert_int_equal(terrane_array_reserve(&array, 1000, 1000), 0);
        assert_int_equal(child_run(in_child_of_fork, array), 0);
        expect_up(array, 0, 7, LITTLE);
        assert_int_equal(terrane_array_length(array), LITTLE);
        terrane_array_release(array);
        expect_nothing_left(space);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

/* The parent gives its array back, and the child afterwards what it thinks is its reference. */
static void parents_release_first(void **state)
{
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_MEMFD);
    struct terrane_array *array = count_up(space, 0, 0, LITTLE), *next;
    int gone[2];
    char byte;
    (void)state;
    assert_int_equal(pipe(gone), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        close(gone[1]);
        EXPECT(read(gone[0], &byte, 1) == 0);
        expect_refused(array);
        terrane_array_release(array);
        _Exit(0);
    }
    close(gone[0]);
    terrane_array_release(array);
    next = count_up(space, 0, 1000, 2 * LITTLE); /* takes the place of the other */
    close(gone[1]);
    assert_int_equal(child_wait(pid), 0);
    expect_up(next, 0, 1000, 2 * LITTLE);
    terrane_array_release(next);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* An array cannot be put behind itself by its only reference, which would be consumed twice. */
static void one_reference_is_not_two(void **state)
{
    struct terrane_array *array = count_up(NULL, 0, 0, LITTLE);
    (void)state;
    assert_int_equal(terrane_array_concatenate(&array, array), -EINVAL);
    expect_up(array, 0, 0, LITTLE);
    assert_int_equal(terrane_array_concatenate(&array, terrane_array_reference(array)), 0);
    expect_up(array, LITTLE, 0, LITTLE);
    terrane_array_release(array);
    expect_nothing_left(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longer_versions_are_added),
        cmocka_unit_test(slices_keep_what_they_show),
        cmocka_unit_test(many_slices_keep_what_they_show),
        cmocka_unit_test(forked_bodies_give_back),
        cmocka_unit_test(queues_stay_in_a_limit),
        cmocka_unit_test(nothing_is_done_for_nothing),
        cmocka_unit_test(sizes_beyond_all_are_refused),
        cmocka_unit_test(children_cannot_build),
        cmocka_unit_test(parents_release_first),
        cmocka_unit_test(one_reference_is_not_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
