/* terrane_heap_move: within a space a change of owner at the same address, between private spaces a
 * move of pages, for small objects a copy. Contents are kept, pinned objects that would have to
 * move are refused, and a failed move changes nothing. */
#include "api_test.h"

static const size_t sizes[] = {1, 100, 3000, 30000, 100 * KIB, MIB, 7 * MIB + 12345, 40 * MIB};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct terrane_heap *heap_of_kind(struct terrane_space *space, enum terrane_kind kind)
{
    struct terrane_heap *heap = NULL;
    const struct terrane_heap_options options = {.kind = kind};
    assert_int_equal(terrane_heap_create(space, &options, &heap), 0);
    return heap;
}

static void within(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *from = heap_in(space), *to = heap_in(space);
    const struct terrane_stats before = stats_of(space);
    for (size_t i = 0; i < SIZES; i++) {
        void *object = object_in(from, sizes[i]);
        void *const old = object;
        assert_int_equal(terrane_heap_move(to, &object), 0);
        assert_ptr_equal(terrane_heap_of(object), to);
        assert_contents(object, sizes[i], sizes[i]);
        if (sizes[i] >= 100 * KIB)
            assert_ptr_equal(object, old);
        void *const there = object;
        assert_int_equal(terrane_heap_move(to, &object), 0);
        assert_ptr_equal(object, there);
    }
    assert_int_equal(GROWN(space, before, copy_bytes), 0);
    terrane_heap_destroy(from);
    terrane_heap_audit(to);
}

static void test_within_a_space(void **state)
{
    (void)state;
    on_each_backing(within);
}

static void between(struct terrane_space *from_space, struct terrane_space *to_space)
{
    struct terrane_heap *from = heap_in(from_space), *to = heap_in(to_space);
    for (size_t i = 0; i < SIZES; i++) {
        const uint64_t held = stats_of(from_space).large_bytes;
        void *object = object_in(from, sizes[i]);
        assert_int_equal(terrane_heap_move(to, &object), 0);
        assert_ptr_equal(terrane_heap_of(object), to);
        assert_contents(object, sizes[i], sizes[i]);
        assert_int_equal(stats_of(from_space).large_bytes, held);
        void *grown = terrane_heap_resize(to, object, sizes[i] + 100 * KIB);
        assert_non_null(grown);
        assert_contents(grown, sizes[i], sizes[i]);
        contents_write(grown, sizes[i] + 100 * KIB, i);
        object = grown;
        assert_int_equal(terrane_heap_move(from, &object), 0);
        assert_contents(object, sizes[i] + 100 * KIB, i);
        terrane_free(object);
    }
    terrane_heap_audit(from);
    terrane_heap_audit(to);
}

static void test_between_spaces(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++) {
        struct terrane_space *from = space_of_backing((enum terrane_backing)(i / 3));
        struct terrane_space *to = space_of_backing((enum terrane_backing)(i % 3));
        between(from, to);
        assert_int_equal(terrane_space_destroy(from), 0);
        assert_int_equal(terrane_space_destroy(to), 0);
    }
}

/* Between private spaces large objects are remapped: the pages go, no byte is copied. */
static void test_pages_go_along(void **state)
{
    (void)state;
    struct terrane_space *from_space = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_space *to_space = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_heap *from = heap_in(from_space), *to = heap_in(to_space);
    const struct terrane_stats before = stats_of(to_space);
    void *object = object_in(from, 64 * MIB);
    const size_t resident = resident_bytes();
    assert_int_equal(terrane_heap_move(to, &object), 0);
    assert_int_equal(GROWN(to_space, before, moves), 1);
    assert_int_equal(GROWN(to_space, before, move_bytes), 64 * MIB);
    assert_int_equal(GROWN(to_space, before, copies), 0);
    assert_true(resident_bytes() < resident + 4 * MIB);
    assert_contents(object, 64 * MIB, 64 * MIB);
    assert_int_equal(terrane_space_destroy(from_space), 0);
    assert_contents(object, 64 * MIB, 64 * MIB);
    assert_int_equal(terrane_space_destroy(to_space), 0);
}

/* A space may be given the size from which objects move; smaller ones are copied. */
static void test_smallest_to_move(void **state)
{
    (void)state;
    struct terrane_space_options options = options_of(TERRANE_BACKING_PRIVATE);
    options.move_min_bytes = 300 * KIB;
    struct terrane_space *space = space_with(&options), *other = space_with(&options);
    struct terrane_heap *from = heap_in(space), *to = heap_in(other);
    for (size_t size = 296 * KIB; size <= 304 * KIB; size += 4 * KIB) {
        const struct terrane_stats before = stats_of(other);
        void *object = object_in(from, size);
        assert_int_equal(terrane_heap_move(to, &object), 0);
        assert_int_equal(GROWN(other, before, moves), size >= 300 * KIB);
        assert_int_equal(GROWN(other, before, copies), size < 300 * KIB);
        assert_contents(object, size, size);
    }
    assert_int_equal(terrane_space_destroy(space), 0);
    assert_int_equal(terrane_space_destroy(other), 0);
}

static void test_pinned_stays(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_space *elsewhere = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_heap *pinned = heap_of_kind(space, TERRANE_KIND_PINNED);
    struct terrane_heap *raw = heap_in(space), *far = heap_in(elsewhere);
    for (size_t i = 0; i < SIZES; i++) {
        void *object = object_in(pinned, sizes[i]);
        void *const old = object;
        assert_int_equal(terrane_heap_move(far, &object), -EPERM);
        assert_ptr_equal(object, old);
        assert_ptr_equal(terrane_heap_of(object), pinned);
        const int error = terrane_heap_move(raw, &object);
        assert_int_equal(error, sizes[i] >= 100 * KIB ? 0 : -EPERM);
        assert_ptr_equal(object, old);
        assert_contents(object, sizes[i], sizes[i]);
        terrane_free(object);
    }
    assert_int_equal(terrane_space_destroy(elsewhere), 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* The other space has no room. */
static void test_refused_move(void **state)
{
    (void)state;
    struct terrane_space_options options = options_of(TERRANE_BACKING_PRIVATE);
    struct terrane_space *space = space_with(&options);
    options.limit_bytes = 2 * MIB;
    struct terrane_space *tight = space_with(&options);
    struct terrane_heap *from = heap_in(space), *to = heap_in(tight);
    void *object = object_in(from, 3 * MIB);
    void *const old = object;
    assert_int_equal(terrane_heap_move(to, &object), -ENOMEM);
    assert_ptr_equal(object, old);
    assert_ptr_equal(terrane_heap_of(object), from);
    assert_contents(object, 3 * MIB, 3 * MIB);
    terrane_heap_audit(from);
    terrane_heap_audit(to);
    assert_int_equal(terrane_space_destroy(tight), 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* With no mappings to spend every move copies, says so, and loses nothing. */
static void test_no_budget(void **state)
{
    (void)state;
    struct terrane_space_options options = options_of(TERRANE_BACKING_PRIVATE);
    struct terrane_space *space = space_with(&options);
    options.mappings_budget = 1;
    struct terrane_space *tight = space_with(&options);
    struct terrane_heap *from = heap_in(space), *to = heap_in(tight);
    const struct terrane_stats before = stats_of(tight);
    assert_int_equal(before.mappings_budget, 1);
    for (size_t i = 0; i < SIZES; i++) {
        void *object = object_in(from, sizes[i]);
        assert_int_equal(terrane_heap_move(to, &object), 0);
        assert_contents(object, sizes[i], sizes[i]);
    }
    assert_int_equal(GROWN(tight, before, moves), 0);
    assert_true(GROWN(tight, before, budget_refusals) >= 4);
    assert_true(GROWN(tight, before, copy_bytes) >= 48 * MIB);
    assert_int_equal(GROWN(tight, before, mappings), 0);
    assert_int_equal(terrane_space_destroy(tight), 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_within_a_space), cmocka_unit_test(test_between_spaces),
        cmocka_unit_test(test_pages_go_along), cmocka_unit_test(test_smallest_to_move),
        cmocka_unit_test(test_pinned_stays),   cmocka_unit_test(test_refused_move),
        cmocka_unit_test(test_no_budget),
    };
    return RUN_TESTS(tests);
}
