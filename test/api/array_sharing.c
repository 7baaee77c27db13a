/* Versions of arrays: what one holder does, the others never see; what is shared is not copied; who
 * may store where; sealed arrays; arrays after fork; arrays that are handed to another space. */
#include "array_numbers.h"

#include <sys/resource.h>

#define SMALL  ((size_t)300)
#define MIDDLE ((size_t)10000)
#define LARGE  ((size_t)200000)

static const size_t sizes[] = {SMALL, MIDDLE, LARGE};

/* ---- versions ---- */

/* Each version goes on from the one before, and all stay. */
static void chain(struct terrane_space *space, size_t count, bool front)
{
    enum { VERSIONS = 40 };
    struct terrane_array *versions[VERSIONS];
    const size_t step = count / 10;
    versions[0] = numbers_in(space, MIDDLE * LARGE, count);
    for (size_t i = 1; i < VERSIONS; i++) {
        versions[i] = terrane_array_reference(versions[i - 1]);
        if (front)
            numbers_prepend(&versions[i], MIDDLE * LARGE - i * step, step);
        else
            numbers_append(&versions[i], MIDDLE * LARGE + count + (i - 1) * step, step);
        assert_ptr_not_equal(versions[i], versions[i - 1]);
        assert_int_equal(terrane_array_holders(versions[i]), 1);
    }
    for (size_t i = 0; i < VERSIONS; i++) {
        assert_numbers(versions[i], MIDDLE * LARGE - (front ? i * step : 0), count + i * step);
        terrane_array_release(versions[i]);
    }
}

static void test_chains_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (unsigned i = 0; i < 3; i++) {
        chain(space, sizes[i], false);
        chain(space, sizes[i], true);
    }
    assert_no_arrays(space);
}

static void test_chains(void **state)
{
    (void)state;
    on_each_backing(test_chains_in);
}

/* Several versions go on from the same one, with units of their own at both ends. */
static void fork_versions(struct terrane_space *space, size_t count)
{
    enum { FORKS = 8 };
    struct terrane_array *trunk = numbers_in(space, 0, count), *forks[FORKS];
    for (number i = 0; i < FORKS; i++) {
        forks[i] = terrane_array_reference(trunk);
        numbers_append(&forks[i], i * 1000000, 50);
        numbers_prepend(&forks[i], i * 2000000, 60);
    }
    assert_numbers(trunk, 0, count);
    terrane_array_release(trunk);
    for (number i = 0; i < FORKS; i++) {
        struct terrane_array *middle = terrane_array_reference(forks[i]);
        struct terrane_array *last = terrane_array_reference(forks[i]);
        assert_int_equal(terrane_array_slice(&middle, 60, count), 0);
        assert_int_equal(terrane_array_slice(&last, 60 + count, 50), 0);
        assert_int_equal(terrane_array_slice(&forks[i], 0, 60), 0);
        assert_numbers(middle, 0, count);
        assert_numbers(last, i * 1000000, 50);
        assert_numbers(forks[i], i * 2000000, 60);
        terrane_array_release(middle);
        terrane_array_release(last);
    }
    for (number i = 0; i < FORKS; i++)
        terrane_array_release(forks[i]);
}

static void test_forks_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (unsigned i = 0; i < 3; i++)
        fork_versions(space, sizes[i]);
    assert_no_arrays(space);
}

static void test_forks(void **state)
{
    (void)state;
    on_each_backing(test_forks_in);
}

/* ---- what is not copied ---- */

static void share(struct terrane_space *space, size_t count)
{
    struct terrane_array *array = numbers_in(space, 0, count);
    assert_int_equal(terrane_array_reserve(&array, 0, 100), 0);
    const struct terrane_array_stats before = arrays_of(space);
    const number *data = terrane_array_data(array);
    struct terrane_array *longer = terrane_array_reference(array), *rest = NULL;
    struct terrane_array *slice = terrane_array_reference(array);
    numbers_append(&longer, count, 100);
    assert_ptr_equal(terrane_array_data(longer), data);
    assert_int_equal(terrane_array_slice(&slice, 10, count - 20), 0);
    assert_ptr_equal(terrane_array_data(slice), data + 10);
    assert_int_equal(terrane_array_split(&slice, 100, &rest), 0);
    assert_ptr_equal(terrane_array_data(slice), data + 10);
    assert_ptr_equal(terrane_array_data(rest), data + 110);
    const struct terrane_array_stats now = arrays_of(space);
    assert_int_equal(now.copied_bytes, before.copied_bytes);
    assert_int_equal(now.aliased_bytes, before.aliased_bytes);
    assert_int_equal(now.moved_bytes, before.moved_bytes);
    assert_int_equal(now.shared_extensions, before.shared_extensions + 1);
    assert_int_equal(now.arrays, before.arrays + 3);
    assert_int_equal(now.bodies, before.bodies);
    assert_numbers(array, 0, count);
    assert_numbers(longer, 0, count + 100);
    assert_numbers(slice, 10, 100);
    assert_numbers(rest, 110, count - 120);
    terrane_array_release(array);
    terrane_array_release(rest);
    terrane_array_release(longer);
    terrane_array_release(slice);
}

static void test_shares_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (unsigned i = 0; i < 3; i++)
        share(space, sizes[i]);
    assert_no_arrays(space);
}

static void test_shares(void **state)
{
    (void)state;
    on_each_backing(test_shares_in);
}

/* Where two versions go on from the same place, files show whole blocks twice. */
static void test_aliases_in(struct terrane_space *space, enum terrane_backing backing)
{
    struct terrane_array *trunk = numbers_in(space, 0, LARGE);
    struct terrane_array *first = terrane_array_reference(trunk);
    struct terrane_array *second = terrane_array_reference(trunk);
    numbers_append(&first, LARGE, 10);
    const struct terrane_array_stats before = arrays_of(space);
    numbers_append(&second, LARGE, 20);
    const struct terrane_array_stats now = arrays_of(space);
    const uint64_t bytes = LARGE * sizeof(number);
    if (backing == TERRANE_BACKING_PRIVATE) {
        assert_int_equal(now.aliased_bytes, before.aliased_bytes);
        assert_int_equal(now.copied_bytes - before.copied_bytes, bytes);
    } else {
        assert_int_equal(now.aliased_bytes - before.aliased_bytes, bytes / (64 * KIB) * (64 * KIB));
        assert_int_equal(now.copied_bytes - before.copied_bytes, bytes % (64 * KIB));
    }
    assert_numbers(trunk, 0, LARGE);
    assert_numbers(first, 0, LARGE + 10);
    assert_numbers(second, 0, LARGE + 20);
    terrane_array_release(trunk);
    terrane_array_release(first);
    terrane_array_release(second);
    assert_no_arrays(space);
}

static void test_aliases(void **state)
{
    (void)state;
    on_each_backing(test_aliases_in);
}

/* ---- who may store ---- */

static void test_writable_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (unsigned i = 0; i < 3; i++) {
        struct terrane_array *array = numbers_in(space, 0, sizes[i]), *rest = NULL;
        assert_ptr_equal(terrane_array_writable(array), terrane_array_data(array));
        struct terrane_array *other = terrane_array_reference(array);
        assert_null(terrane_array_writable(array));
        terrane_array_release(other);
        assert_ptr_equal(terrane_array_writable(array), terrane_array_data(array));
        other = terrane_array_reference(array);
        numbers_append(&other, sizes[i], 10);
        assert_null(terrane_array_writable(array));
        assert_null(terrane_array_writable(other));
        terrane_array_release(other);
        assert_int_equal(terrane_array_split(&array, 100, &rest), 0);
        numbers_append(&rest, sizes[i], 10);
        assert_numbers(array, 0, 100);
        assert_numbers(rest, 100, sizes[i] - 90);
        terrane_array_release(array);
        terrane_array_release(rest);
    }
    assert_no_arrays(space);
}

static void test_writable(void **state)
{
    (void)state;
    on_each_backing(test_writable_in);
}

/* A unit is written in one of three that show it: by each of them, at each place. */
static void write_one(struct terrane_space *space, size_t count, unsigned who, size_t where)
{
    struct terrane_array *views[3];
    views[0] = numbers_in(space, 0, count);
    views[1] = terrane_array_reference(views[0]);
    numbers_append(&views[1], count, 30);
    views[2] = terrane_array_reference(views[1]);
    assert_int_equal(terrane_array_slice(&views[2], 0, count - 5), 0);
    void *units = NULL;
    assert_int_equal(terrane_array_write(&views[who], where, 2, &units), 0);
    number *pair = units;
    assert_ptr_equal(pair, (const number *)terrane_array_data(views[who]) + where);
    assert_int_equal(pair[0], where);
    assert_int_equal(pair[1], where + 1);
    pair[0] = pair[1] = 77777777;
    const size_t lengths[3] = {count, count + 30, count - 5};
    for (unsigned i = 0; i < 3; i++)
        if (i != who)
            assert_numbers(views[i], 0, lengths[i]);
    assert_int_equal(numbers_wrong(views[who], 0), where);
    pair[0] = where;
    pair[1] = where + 1;
    assert_numbers(views[who], 0, lengths[who]);
    for (unsigned i = 0; i < 3; i++)
        terrane_array_release(views[(i + who) % 3]);
}

static void test_writes_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (unsigned i = 0; i < 3; i++)
        for (unsigned who = 0; who < 3; who++) {
            write_one(space, sizes[i], who, 0);
            write_one(space, sizes[i], who, sizes[i] / 2);
            write_one(space, sizes[i], who, sizes[i] - 7);
        }
    assert_no_arrays(space);
}

static void test_writes(void **state)
{
    (void)state;
    on_each_backing(test_writes_in);
}

/* ---- sealed ---- */

static void store(void *address)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own */
    signal(SIGBUS, SIG_DFL);
    *(volatile char *)address = 1;
}

static bool store_faults(const void *address)
{
    const int status = child_run(store, (void *)(uintptr_t)address);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

/* Everything that builds makes a new version of a sealed array, in memory of its own. */
static void build_on(struct terrane_array *sealed, size_t count)
{
    void *units = NULL;
    struct terrane_array *array = terrane_array_reference(sealed);
    numbers_append(&array, count, 10);
    assert_numbers(array, 0, count + 10);
    assert_int_equal(terrane_array_write(&array, 0, count + 10, &units), 0);
    numbers_write(units, 1, count + 10);
    assert_numbers(array, 1, count + 10);
    terrane_array_release(array);
    array = terrane_array_reference(sealed);
    numbers_prepend(&array, 5, 1);
    assert_int_equal(terrane_array_remove(&array, 0, 1), 0);
    assert_numbers(array, 0, count);
    terrane_array_release(array);
    array = terrane_array_reference(sealed);
    assert_int_equal(terrane_array_slice(&array, 50, 100), 0);
    assert_int_equal(terrane_array_write(&array, 0, 100, &units), 0);
    numbers_write(units, 9, 100);
    assert_numbers(array, 9, 100);
    terrane_array_release(array);
}

static void test_sealed_in(struct terrane_space *space, enum terrane_backing backing)
{
    for (unsigned i = 0; i < 3; i++) {
        struct terrane_array *array = numbers_in(space, 0, sizes[i]);
        assert_int_equal(terrane_array_seal(&array), 0);
        assert_int_equal(terrane_array_seal(&array), 0);
        assert_null(terrane_array_writable(array));
        assert_numbers(array, 0, sizes[i]);
        if (backing != TERRANE_BACKING_SCRATCH) { /* which a child does not have */
            const number *data = terrane_array_data(array);
            assert_true(store_faults(data));
            assert_true(store_faults(data + sizes[i] / 2));
            assert_true(store_faults((const char *)(data + sizes[i]) - 1));
        }
        build_on(array, sizes[i]);
        assert_numbers(array, 0, sizes[i]);
        numbers_append(&array, sizes[i], 10); /* the last reference, too */
        assert_numbers(array, 0, sizes[i] + 10);
        terrane_array_release(array);
    }
    assert_no_arrays(space);
}

static void test_sealed(void **state)
{
    (void)state;
    on_each_backing(test_sealed_in);
}

/* What was sealed can be stored to again by whoever has the memory next; others that show it keep
 * their rights, and its neighbours in the heap, too. */
static void test_seal_ends_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    enum { COUNT = 60 };
    struct terrane_array *sealed[COUNT], *plain[COUNT];
    for (unsigned round = 0; round < 3; round++) {
        const size_t count = sizes[round] / 10;
        for (unsigned i = 0; i < COUNT; i++) {
            plain[i] = numbers_in(space, i, count);
            sealed[i] = numbers_in(space, i, count);
            assert_int_equal(terrane_array_seal(&sealed[i]), 0);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            numbers_append(&plain[i], i + count, 100);
            assert_numbers(plain[i], i, count + 100);
            assert_numbers(sealed[i], i, count);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            terrane_array_release(sealed[i]);
            terrane_array_release(plain[i]);
        }
    }
    assert_no_arrays(space);
}

static void test_seal_ends(void **state)
{
    (void)state;
    on_each_backing(test_seal_ends_in);
}

/* Sealing what others hold leaves them what they had. */
static void test_seal_shared_in(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (unsigned i = 0; i < 3; i++) {
        struct terrane_array *array = numbers_in(space, 0, sizes[i]);
        struct terrane_array *longer = terrane_array_reference(array);
        numbers_append(&longer, sizes[i], 10);
        struct terrane_array *sealed = terrane_array_reference(array);
        assert_int_equal(terrane_array_seal(&sealed), 0);
        assert_null(terrane_array_writable(sealed));
        numbers_append(&longer, sizes[i] + 10, 1000);
        numbers_append(&array, sizes[i], 20);
        assert_numbers(sealed, 0, sizes[i]);
        assert_numbers(longer, 0, sizes[i] + 1010);
        assert_numbers(array, 0, sizes[i] + 20);
        terrane_array_release(array);
        terrane_array_release(sealed);
        numbers_append(&longer, sizes[i] + 1010, 1000);
        assert_numbers(longer, 0, sizes[i] + 2010);
        terrane_array_release(longer);
    }
    assert_no_arrays(space);
}

static void test_seal_shared(void **state)
{
    (void)state;
    on_each_backing(test_seal_shared_in);
}

/* ---- after fork ---- */

struct family {
    struct terrane_array *arrays[3], *more[3]; /* two references to each */
    enum terrane_backing backing;
};

/* Of private spaces the child has a copy; it reads what lies in a memfd, and has nothing of a
 * scratch file. */
static void live_on(void *context)
{
    struct family *family = context;
    if (!CHILD_STARTS_THREADS)
        terrane_worker_stop();
    for (unsigned i = 0; i < 3 && family->backing != TERRANE_BACKING_SCRATCH; i++) {
        struct terrane_array **array = &family->arrays[i];
        const number more = sizes[i];
        EXPECT(numbers_are(*array, 0, sizes[i]));
        if (family->backing == TERRANE_BACKING_PRIVATE) {
            EXPECT(terrane_array_append(array, &more, 1) == 0);
            EXPECT(numbers_are(*array, 0, sizes[i] + 1));
            terrane_array_release(*array);
            continue;
        }
        struct terrane_array *before = *array, *other = NULL;
        EXPECT(terrane_array_append(array, &more, 1) == -EPERM);
        EXPECT(terrane_array_prepend(array, &more, 1) == -EPERM);
        EXPECT(*array == before);
        EXPECT(terrane_array_create(NULL, 8, 0, &other) == 0);
        terrane_array_release(other);
    }
}

static void test_fork_in(struct terrane_space *space, enum terrane_backing backing)
{
    struct family family = {.backing = backing};
    for (unsigned i = 0; i < 3; i++) {
        family.arrays[i] = numbers_in(space, 0, sizes[i]);
        family.more[i] = terrane_array_reference(family.arrays[i]);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(child_run(live_on, &family), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_numbers(family.arrays[i], 0, sizes[i]);
        numbers_append(&family.arrays[i], sizes[i], 5000);
        assert_numbers(family.arrays[i], 0, sizes[i] + 5000);
        assert_numbers(family.more[i], 0, sizes[i]);
        terrane_array_release(family.arrays[i]);
        terrane_array_release(family.more[i]);
    }
    assert_no_arrays(space);
}

static void test_fork(void **state)
{
    (void)state;
    on_each_backing(test_fork_in);
}

/* ---- to another space ---- */

static void move_between(struct terrane_space *from, struct terrane_space *to, size_t count)
{
    struct terrane_array *array = numbers_in(from, 0, count);
    struct terrane_array *stays = terrane_array_reference(array), *other = numbers_in(to, count, 9);
    struct terrane_array *sealed = terrane_array_reference(array);
    assert_int_equal(terrane_array_move(&array, to), 0);
    assert_numbers(array, 0, count);
    assert_numbers(stays, 0, count);
    assert_int_equal(terrane_array_concatenate(&array, other), 0);
    assert_numbers(array, 0, count + 9);
    assert_int_equal(terrane_array_seal(&sealed), 0);
    assert_int_equal(terrane_array_move(&sealed, to), 0);
    terrane_array_release(stays);
    assert_int_equal(terrane_array_concatenate(&sealed, terrane_array_reference(array)), 0);
    assert_int_equal(terrane_array_slice(&sealed, count, count + 9), 0);
    assert_numbers(sealed, 0, count + 9);
    if (from != to)
        assert_no_arrays(from);
    assert_int_equal(terrane_array_move(&array, from), 0); /* of the only holder */
    numbers_append(&array, count + 9, 1000);
    assert_numbers(array, 0, count + 1009);
    terrane_array_release(array);
    terrane_array_release(sealed);
    assert_no_arrays(from);
    assert_no_arrays(to);
}

static void test_moves(void **state)
{
    (void)state;
    struct terrane_space *spaces[6];
    for (unsigned i = 0; i < 6; i++)
        spaces[i] = space_of_backing((enum terrane_backing)(i % 3));
    for (unsigned from = 0; from < 3; from++)
        for (unsigned to = 0; to < 6; to++)
            for (unsigned i = 0; i < 3; i++)
                move_between(spaces[from], spaces[to], sizes[i]);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(terrane_space_destroy(spaces[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),      cmocka_unit_test(test_forks),
        cmocka_unit_test(test_shares),      cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_writable),    cmocka_unit_test(test_writes),
        cmocka_unit_test(test_sealed),      cmocka_unit_test(test_seal_ends),
        cmocka_unit_test(test_seal_shared), cmocka_unit_test(test_fork),
        cmocka_unit_test(test_moves),
    };
    return RUN_TESTS(tests);
}
