/* Limits on regions, for a space and for the process: refused is exactly what passes them, after
 * caches were emptied and the pressure callback was asked; everything else goes on. */
#include "api_test.h"

static struct terrane_region region_of(struct terrane_space *space, size_t bytes)
{
    struct terrane_region region = {NULL, 0};
    assert_int_equal(terrane_region_acquire(space, bytes, &region), 0);
    return region;
}

static void test_space_limit_of(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_region regions[8], more = {NULL, 0};
    terrane_pool_set_limit(space, 16 * MIB);
    for (unsigned i = 0; i < 8; i++) {
        regions[i] = region_of(space, 2 * MIB);
        contents_write(regions[i].data, 2 * MIB, i);
    }
    assert_int_equal(terrane_region_acquire(space, 1, &more), -ENOMEM);
    assert_int_equal(terrane_region_resize(&regions[0], 4 * MIB), -ENOMEM);
    assert_null(more.data);
    for (unsigned i = 0; i < 8; i++)
        assert_contents(regions[i].data, 2 * MIB, i);
    terrane_region_release(&regions[7]); /* into the cache, which does not count against us */
    more = region_of(space, 512 * KIB);
    assert_int_equal(terrane_region_acquire(space, 2 * MIB, &regions[7]), -ENOMEM);
    assert_int_equal(terrane_region_resize(&regions[0], 3 * MIB), 0);
    assert_contents(regions[0].data, 2 * MIB, 0);
    terrane_pool_set_limit(space, 0);
    regions[7] = region_of(space, 64 * MIB);
    for (unsigned i = 0; i < 8; i++)
        terrane_region_release(&regions[i]);
    terrane_region_release(&more);
    struct terrane_pool_stats stats;
    terrane_pool_stats(space, &stats);
    assert_int_equal(stats.total.live_bytes, 0);
    assert_int_equal(stats.refusals, 2 + 1);
}

static void test_space_limit(void **state)
{
    (void)state;
    on_each_backing(test_space_limit_of);
}

/* The process's limit counts what there was before it was set, in every space, heaps included. */
static void test_process_limit(void **state)
{
    (void)state;
    struct terrane_space *a = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_space *b = space_of_backing(TERRANE_BACKING_MEMFD);
    struct terrane_heap *heap = heap_in(a);
    struct terrane_region early = region_of(a, 8 * MIB), late = {NULL, 0};
    terrane_pool_set_process_limit(20 * MIB);
    struct terrane_region other = region_of(b, 8 * MIB);
    assert_int_equal(terrane_region_acquire(b, 8 * MIB, &late), -ENOMEM);
    errno = 0;
    assert_null(terrane_heap_alloc(heap, 8 * MIB));
    assert_int_equal(errno, ENOMEM);
    terrane_region_release(&early); /* a's cache gives way to b */
    late = region_of(b, 8 * MIB);
    assert_int_equal(terrane_region_acquire(a, 8 * MIB, &early), -ENOMEM);
    struct terrane_space *c = space_of_backing(TERRANE_BACKING_PRIVATE);
    assert_int_equal(terrane_region_acquire(c, 8 * MIB, &early), -ENOMEM);
    assert_int_equal(terrane_space_destroy(b), 0); /* and what it held */
    early = region_of(c, 8 * MIB);
    terrane_region_release(&early);
    assert_int_equal(terrane_space_destroy(c), 0);
    early = region_of(a, 16 * MIB);
    assert_int_equal(terrane_region_acquire(a, 8 * MIB, &late), -ENOMEM);
    terrane_pool_set_process_limit(0);
    late = region_of(a, 64 * MIB);
    (void)other;
    assert_int_equal(terrane_space_destroy(a), 0);
}

/* ---- pressure ---- */

struct hoard {
    struct terrane_region regions[8];
    unsigned count, calls;
    size_t bytes;
};

static bool give_one(struct terrane_space *space, size_t bytes, void *context)
{
    struct hoard *hoard = context;
    (void)space;
    hoard->calls++;
    hoard->bytes = bytes;
    if (hoard->count == 0)
        return false;
    terrane_region_release(&hoard->regions[--hoard->count]);
    return true;
}

static bool promise(struct terrane_space *space, size_t bytes, void *context)
{
    struct hoard *hoard = context;
    (void)space, (void)bytes;
    hoard->calls++;
    return true;
}

static void fill(struct terrane_space *space, struct hoard *hoard)
{
    for (hoard->count = 0; hoard->count < 8; hoard->count++)
        hoard->regions[hoard->count] = region_of(space, 2 * MIB);
}

static void test_pressure_of(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct hoard hoard = {.calls = 0};
    struct terrane_heap *heap = heap_in(space);
    struct terrane_pool_stats stats;
    terrane_pool_set_limit(space, 16 * MIB);
    terrane_pool_on_pressure(space, give_one, &hoard);
    fill(space, &hoard);
    assert_int_equal(hoard.calls, 0);
    struct terrane_region region = region_of(space, 4 * MIB); /* two of them have to go */
    assert_int_equal(hoard.calls, 2);
    assert_int_equal(hoard.bytes, 4 * MIB);
    assert_int_equal(terrane_region_resize(&region, 8 * MIB), 0);
    assert_int_equal(hoard.calls, 4);
    void *object = terrane_heap_alloc(heap, 5 * MIB);
    assert_non_null(object);
    assert_true(hoard.calls > 4);
    assert_int_equal(terrane_region_acquire(space, 16 * MIB, &region), -ENOMEM);
    assert_int_equal(hoard.count, 0);
    terrane_pool_on_pressure(space, promise, &hoard); /* one that lies is not asked for ever */
    hoard.calls = 0;
    assert_int_equal(terrane_region_acquire(space, 16 * MIB, &region), -ENOMEM);
    assert_int_equal(hoard.calls, 4);
    terrane_pool_stats(space, &stats);
    assert_true(stats.pressure_calls >= 4);
    terrane_free(object);
    terrane_region_release(&region);
}

static void test_pressure(void **state)
{
    (void)state;
    on_each_backing(test_pressure_of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_space_limit),
        cmocka_unit_test(test_process_limit),
        cmocka_unit_test(test_pressure),
    };
    return RUN_TESTS(tests);
}
