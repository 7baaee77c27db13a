/* Resize stays in its class, grows in place, moves pages or copies: each way is taken where it is
 * due, and the counters of the space prove which it was. Contents are kept on every way. */
#include "api_test.h"

struct ways {
    uint64_t in_place, moves, copies, move_bytes, copy_bytes;
};

static struct ways ways_since(const struct terrane_space *space, const struct terrane_stats *before)
{
    return (struct ways){.in_place = GROWN(space, *before, grown_in_place),
                         .moves = GROWN(space, *before, moves),
                         .copies = GROWN(space, *before, copies),
                         .move_bytes = GROWN(space, *before, move_bytes),
                         .copy_bytes = GROWN(space, *before, copy_bytes)};
}

static void same_class(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    const struct terrane_stats before = stats_of(space);
    for (size_t size = 1; size < 30000; size = size * 2 + 1) {
        void *object = object_in(heap, size);
        const size_t usable = terrane_usable_size(object);
        assert_ptr_equal(terrane_heap_resize(heap, object, usable), object);
        assert_ptr_equal(terrane_heap_resize(heap, object, size), object);
        assert_contents(object, size, size);
        terrane_free(object);
    }
    const struct ways ways = ways_since(space, &before);
    assert_int_equal(ways.in_place + ways.moves + ways.copies, 0);
}

static void test_same_class(void **state)
{
    (void)state;
    on_each_backing(same_class);
}

/* Nothing lies behind the object: growth costs no move however far it goes. */
static void in_place(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    size_t size = 100 * KIB;
    void *object = object_in(heap, size);
    const struct terrane_stats before = stats_of(space);
    while (size < 20 * MIB) {
        size += 100 * KIB;
        object = terrane_heap_resize(heap, object, size);
        assert_non_null(object);
        assert_contents(object, 100 * KIB, 100 * KIB);
    }
    const struct ways ways = ways_since(space, &before);
    assert_true(ways.in_place >= 190);
    assert_true(ways.moves + ways.copies <= 10);
    const size_t shrunk = 50 * KIB;
    assert_ptr_equal(terrane_heap_resize(heap, object, shrunk), object);
    assert_true(terrane_usable_size(object) < MIB);
    assert_contents(object, shrunk, 100 * KIB);
}

static void test_in_place(void **state)
{
    (void)state;
    on_each_backing(in_place);
}

/* Two arrays that grow in turn block each other's way and must move; few moves, no copies of large
 * ones, and never more resident than is in use. */
static void move(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    char *arrays[2] = {NULL, NULL};
    size_t size = 0;
    const struct terrane_stats before = stats_of(space);
    for (const size_t step = 256 * KIB; size < 64 * MIB; size += step) {
        for (size_t i = 0; i < 2; i++) {
            arrays[i] = terrane_heap_resize(heap, arrays[i], size + step);
            assert_non_null(arrays[i]);
            contents_write_range(arrays[i], size, size + step, i);
        }
    }
    const struct ways ways = ways_since(space, &before);
    assert_true(ways.moves >= 2);
    assert_true(ways.moves <= 60);
    assert_true(ways.copy_bytes <= 4 * MIB);
    assert_true(ways.move_bytes >= MIB);
    for (size_t i = 0; i < 2; i++)
        assert_contents(arrays[i], size, i);
}

static void test_move(void **state)
{
    (void)state;
    on_each_backing(move);
}

/* Small objects that outgrow their class, and pinned ones, which may not be moved. */
static void copy(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    void *object = object_in(heap, 1000);
    void *copied = terrane_heap_resize(heap, object, 20000);
    assert_non_null(copied);
    assert_ptr_not_equal(copied, object);
    assert_contents(copied, 1000, 1000);
    const struct terrane_stats before = stats_of(space);
    copied = terrane_heap_resize(heap, copied, 200 * KIB);
    assert_non_null(copied);
    assert_contents(copied, 1000, 1000);
    const struct ways ways = ways_since(space, &before);
    assert_int_equal(ways.copies, 1);
    assert_true(ways.copy_bytes >= 20000);
}

static void test_copy(void **state)
{
    (void)state;
    on_each_backing(copy);
}

/* Fills the window behind a pinned object, so that it can only grow elsewhere. */
static void pinned(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = NULL, *other = heap_in(space);
    const struct terrane_heap_options options = {.kind = TERRANE_KIND_PINNED};
    assert_int_equal(terrane_heap_create(space, &options, &heap), 0);
    void *object = object_in(heap, 4 * MIB);
    for (int i = 0; i < 4; i++)
        object_in(other, 4 * MIB);
    const struct terrane_stats before = stats_of(space);
    void *grown = terrane_heap_resize(heap, object, 200 * MIB);
    assert_non_null(grown);
    assert_contents(grown, 4 * MIB, 4 * MIB);
    for (int i = 0; i < 4; i++)
        object_in(other, 100 * MIB);
    grown = terrane_heap_resize(other, grown, 3 * GIB);
    assert_non_null(grown);
    assert_contents(grown, 4 * MIB, 4 * MIB);
    assert_int_equal(GROWN(space, before, moves), 0);
}

static void test_pinned_is_never_moved(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    pinned(space, TERRANE_BACKING_PRIVATE);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void only_in_place(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    void *small = object_in(heap, 1000);
    assert_int_equal(terrane_resize_in_place(small, 1), 0);
    assert_int_equal(terrane_resize_in_place(small, terrane_usable_size(small)), 0);
    assert_int_equal(terrane_resize_in_place(small, 100000), -ENOMEM);
    assert_contents(small, 1000, 1000);
    void *large = object_in(heap, MIB);
    assert_int_equal(terrane_resize_in_place(large, 100 * KIB), 0);
    assert_contents(large, 100 * KIB, MIB);
    assert_int_equal(terrane_resize_in_place(large, MIB), 0);
    assert_true(terrane_usable_size(large) >= MIB);
    assert_contents(large, 100 * KIB, MIB);
    memset(large, 1, MIB);
    assert_int_equal(terrane_resize_in_place(large, 100 * GIB), -ENOMEM);
    terrane_heap_audit(heap);
}

static void test_only_in_place(void **state)
{
    (void)state;
    on_each_backing(only_in_place);
}

/* The part that a large object gains by growing reads as zero or is the caller's own old bytes only
 * if it never left the object; what others wrote must not show. */
static void gained_pages(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    for (int round = 0; round < 4; round++) {
        unsigned char *first = object_in(heap, 2 * MIB);
        unsigned char *second = object_in(heap, 2 * MIB);
        memset(second, 0xee, 2 * MIB);
        terrane_free(second);
        first = terrane_heap_resize(heap, first, 16 * MIB);
        assert_non_null(first);
        assert_contents(first, 2 * MIB, 2 * MIB);
        terrane_free(first);
    }
    terrane_heap_audit(heap);
}

static void test_gained_pages(void **state)
{
    (void)state;
    on_each_backing(gained_pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_class),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_pinned_is_never_moved),
        cmocka_unit_test(test_only_in_place),
        cmocka_unit_test(test_gained_pages),
    };
    return RUN_TESTS(tests);
}
