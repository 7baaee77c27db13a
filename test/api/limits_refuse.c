/* Limits: bytes of a space, addresses of the process (RLIMIT_AS), objects that are too large. Each
 * refusal is NULL with ENOMEM, changes nothing, and is over when memory is given back. */
#include "api_test.h"

#include <sys/resource.h>

#define LIMIT (8 * MIB)

/* Allocates until refused; how many objects, the first of which is in `*first`, in a list. */
static size_t exhaust(struct terrane_heap *heap, size_t size, void **first)
{
    size_t count = 0;
    *first = NULL;
    errno = 0;
    for (void **object; (object = terrane_heap_alloc(heap, size)) != NULL; count++) {
        *object = *first;
        *first = (void *)object;
    }
    assert_int_equal(errno, ENOMEM);
    return count;
}

static void release(void *first)
{
    while (first != NULL) {
        void *next = *(void **)first;
        terrane_free(first);
        first = next;
    }
}

static void limited(enum terrane_backing backing, size_t size)
{
    struct terrane_space_options options = options_of(backing);
    options.limit_bytes = LIMIT;
    struct terrane_space *space = space_with(&options);
    struct terrane_heap *heap = heap_in(space);
    void *kept = object_in(heap, 500), *first;
    const size_t count = exhaust(heap, size, &first);
    assert_true(count * size <= LIMIT);
    assert_true(count * size >= LIMIT / 2);
    assert_true(stats_of(space).run_bytes <= LIMIT);
    errno = 0;
    assert_null(terrane_heap_resize(heap, kept, LIMIT));
    assert_int_equal(errno, ENOMEM);
    assert_contents(kept, 500, 500);
    terrane_heap_audit(heap);
    release(first);
    terrane_heap_trim(heap);
    assert_true(exhaust(heap, size, &first) >= count - count / 8);
    terrane_heap_audit(heap);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_limit_bytes(void **state)
{
    (void)state;
    for (int backing = TERRANE_BACKING_PRIVATE; backing <= TERRANE_BACKING_SCRATCH; backing++) {
        limited((enum terrane_backing)backing, 16);
        limited((enum terrane_backing)backing, 3000);
        limited((enum terrane_backing)backing, 100 * KIB);
        limited((enum terrane_backing)backing, MIB);
    }
}

/* Growing to the limit in place, by move or by copy never passes it. */
static void test_limit_holds_for_growth(void **state)
{
    (void)state;
    struct terrane_space_options options = options_of(TERRANE_BACKING_PRIVATE);
    options.limit_bytes = LIMIT;
    struct terrane_space *space = space_with(&options);
    struct terrane_heap *heap = heap_in(space);
    size_t size = 10000;
    void *object = object_in(heap, size);
    for (void *grown; (grown = terrane_heap_resize(heap, object, size + 100 * KIB)) != NULL;) {
        object = grown;
        size += 100 * KIB;
        assert_true(size <= LIMIT);
        assert_contents(object, 10000, 10000);
    }
    assert_true(size >= LIMIT / 2);
    assert_contents(object, 10000, 10000);
    object = terrane_heap_resize(heap, object, 20000);
    assert_non_null(object);
    terrane_free(object_in(heap, LIMIT / 2));
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* What goes elsewhere to grow counts once, also in the highest sum so far. */
static void test_limit_counts_once(void **state)
{
    (void)state;
    struct terrane_space_options options = options_of(TERRANE_BACKING_PRIVATE);
    options.limit_bytes = LIMIT;
    struct terrane_space *space = space_with(&options);
    struct terrane_region region, neighbour;
    struct terrane_stats stats;
    assert_int_equal(terrane_region_acquire(space, 2 * MIB, &region), 0);
    assert_int_equal(terrane_region_acquire(space, 2 * MIB, &neighbour), 0);
    const char *data = region.data;
    assert_int_equal(terrane_region_resize(&region, 5 * MIB), 0);
    assert_ptr_not_equal(region.data, data);
    terrane_space_stats(space, &stats);
    assert_int_equal(stats.run_bytes, 7 * MIB);
    assert_int_equal(stats.run_bytes_peak, 7 * MIB);
    terrane_region_release(&region);
    terrane_region_release(&neighbour);
    (void)terrane_pool_purge(space);
    terrane_space_stats(space, &stats);
    assert_int_equal(stats.run_bytes, 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void impossible_sizes(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    void *small = object_in(heap, 100), *large = object_in(heap, MIB);
    const size_t sizes[] = {SIZE_MAX,
                            SIZE_MAX - 15,
                            SIZE_MAX - 4096,
                            (size_t)PTRDIFF_MAX,
                            (size_t)PTRDIFF_MAX + 1,
                            (size_t)1 << 50,
                            17 * GIB};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        errno = 0;
        assert_null(terrane_heap_alloc(heap, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        assert_null(terrane_heap_alloc_zeroed(heap, sizes[i]));
        assert_null(terrane_heap_alloc_aligned(heap, 4096, sizes[i]));
        assert_null(terrane_heap_resize(heap, small, sizes[i]));
        assert_null(terrane_heap_resize(heap, large, sizes[i]));
        assert_int_equal(terrane_resize_in_place(small, sizes[i]), -ENOMEM);
        assert_int_equal(terrane_resize_in_place(large, sizes[i]), -ENOMEM);
    }
    assert_contents(small, 100, 100);
    assert_contents(large, MIB, MIB);
    terrane_heap_audit(heap);
}

static void test_impossible_sizes(void **state)
{
    (void)state;
    on_each_backing(impossible_sizes);
}

static void bad_alignments(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    const size_t aligns[] = {0, 3, 24, 4095, SIZE_MAX, 2 * GIB};
    for (size_t i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
        errno = 0;
        assert_null(terrane_heap_alloc_aligned(heap, aligns[i], 100));
        assert_int_equal(errno, EINVAL);
    }
}

static void test_bad_alignments(void **state)
{
    (void)state;
    on_each_backing(bad_alignments);
}

/* In a process whose addresses are limited before the library starts, and while it runs. */
static void few_addresses(void *context)
{
    const size_t *limit = context;
    const struct rlimit addresses = {*limit, *limit};
    EXPECT(setrlimit(RLIMIT_AS, &addresses) == 0);
    struct terrane_heap *heap = NULL;
    EXPECT(terrane_heap_create(NULL, NULL, &heap) == 0);
    EXPECT(stats_of(terrane_space_default()).window_bytes >= *limit / 2);
    for (size_t align = 16; align <= *limit / 32; align *= 2) {
        void *object = terrane_heap_alloc_aligned(heap, align, 100);
        EXPECT_THAT(object != NULL && ((uintptr_t)object & (align - 1)) == 0, "%zu", align);
        terrane_free(object);
    }
    for (int round = 0; round < 2; round++) {
        void *first;
        EXPECT(exhaust(heap, MIB, &first) * MIB >= *limit / 8);
        terrane_heap_audit(heap);
        release(first);
    }
    struct terrane_space *space = NULL;
    const struct terrane_space_options options = {.window_bytes = 4 * *limit};
    EXPECT(terrane_space_create(&options, &space) == -ENOMEM);
}

static void test_few_addresses(void **state)
{
    (void)state;
    size_t limits[] = {96 * MIB, 300 * MIB, 2 * GIB};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizer's own shadow is beyond any such limit */
#endif
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (child_run(few_addresses, &limits[i]) != 0)
            fail_msg("with %zu bytes of addresses", limits[i]);
    }
}

int main(void)
{
    /* The first one needs a process where the default space does not exist yet. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_addresses),          cmocka_unit_test(test_limit_bytes),
        cmocka_unit_test(test_limit_holds_for_growth), cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_bad_alignments),         cmocka_unit_test(test_limit_counts_once),
    };
    return RUN_TESTS(tests);
}
