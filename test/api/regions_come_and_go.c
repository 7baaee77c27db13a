/* Regions: what acquire promises about sizes, where regions come from, what stays and what goes, on
 * every backing. */
#include "api_test.h"

#include <sys/mman.h>
#include <unistd.h>

static struct terrane_region region_of(struct terrane_space *space, size_t bytes)
{
    struct terrane_region region = {NULL, 0};
    assert_int_equal(terrane_region_acquire(space, bytes, &region), 0);
    assert_non_null(region.data);
    assert_true(region.capacity >= bytes);
    return region;
}

static struct terrane_pool_stats pool_of(struct terrane_space *space)
{
    struct terrane_pool_stats stats;
    memset(&stats, 0xff, sizeof(stats));
    terrane_pool_stats(space, &stats);
    return stats;
}

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- sizes ---- */

static void check_size(struct terrane_space *space, size_t bytes)
{
    struct terrane_region region = region_of(space, bytes);
    const size_t least = (bytes == 0 ? 1 : bytes) + page_bytes() - 1;
    assert_int_equal((uintptr_t)region.data % page_bytes(), 0);
    assert_int_equal(region.capacity % page_bytes(), 0);
    assert_true(region.capacity <= least + least / 4);
    ((volatile char *)region.data)[0] = 1;
    ((volatile char *)region.data)[region.capacity - 1] = 2;
    terrane_region_release(&region);
    assert_null(region.data);
    assert_int_equal(region.capacity, 0);
    terrane_region_release(&region); /* none is ignored */
}

static void test_sizes_of(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    for (size_t bytes = 0; bytes <= 256 * KIB; bytes += 1000)
        check_size(space, bytes);
    for (size_t bytes = 256 * KIB; bytes <= 64 * MIB; bytes += bytes / 7) {
        check_size(space, bytes);
        check_size(space, bytes & ~(bytes >> 3));
    }
    for (unsigned shift = 12; shift <= 27; shift++) {
        check_size(space, ((size_t)1 << shift) - 1);
        check_size(space, (size_t)1 << shift);
        check_size(space, ((size_t)1 << shift) + 1);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    on_each_backing(test_sizes_of);
}

static void test_too_large(void **state)
{
    (void)state;
    struct terrane_region region = {&region, 7};
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    assert_int_equal(terrane_region_acquire(space, SIZE_MAX, &region), -ENOMEM);
    assert_int_equal(terrane_region_acquire(space, (size_t)1 << 46, &region), -ENOMEM);
    assert_int_equal(terrane_region_acquire(space, 17 * GIB, &region), -ENOMEM);
    assert_ptr_equal(region.data, &region);
    assert_int_equal(region.capacity, 7);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Addresses cost nothing until they are touched. */
static void test_untouched(void **state)
{
    (void)state;
    struct terrane_region a = region_of(NULL, 16 * GIB), b = region_of(NULL, 16 * GIB);
    ((volatile char *)a.data)[16 * GIB - 1] = 1;
    ((volatile char *)b.data)[0] = 1;
    terrane_region_release(&a);
    terrane_region_release(&b);
    assert_true(terrane_pool_purge(NULL) >= 32 * GIB);
}

/* ---- where regions come from ---- */

static void test_warm_again_of(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    const size_t sizes[] = {4 * KIB, 60 * KIB, 64 * KIB, 100 * KIB, MIB, 5 * MIB, 80 * MIB};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct terrane_region region = region_of(space, sizes[i]);
        void *const data = region.data;
        terrane_region_release(&region);
        const struct terrane_pool_stats before = pool_of(space);
        region = region_of(space, sizes[i]);
        const struct terrane_pool_stats after = pool_of(space);
        assert_ptr_equal(region.data, data);
        assert_int_equal(after.total.refills, before.total.refills);
        assert_int_equal(after.total.cache_hits + after.total.dirty_hits,
                         before.total.cache_hits + before.total.dirty_hits + 1);
        terrane_region_release(&region);
    }
    assert_int_equal(pool_of(space).total.live_bytes, 0);
    assert_int_equal(pool_of(space).regions, 0);
}

static void test_warm_again(void **state)
{
    (void)state;
    on_each_backing(test_warm_again_of);
}

static void test_purge_of(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_region regions[8];
    unsigned char resident[2 * MIB / 4096];
    for (size_t i = 0; i < 8; i++) {
        regions[i] = region_of(space, 2 * MIB);
        memset(regions[i].data, 0x5a, 2 * MIB);
    }
    void *const data = regions[3].data;
    for (size_t i = 0; i < 8; i++)
        terrane_region_release(&regions[i]);
    assert_int_equal(terrane_pool_purge(space), 16 * MIB);
    const struct terrane_pool_stats stats = pool_of(space);
    assert_int_equal(stats.resident_bytes, 0);
    assert_int_equal(stats.file_bytes, 0);
    assert_int_equal(mincore(data, 2 * MIB, resident), 0);
    for (size_t i = 0; i < 2 * MIB / page_bytes(); i++)
        assert_int_equal(resident[i] & 1, 0);
    assert_int_equal(terrane_pool_purge(space), 0);
}

static void test_purge(void **state)
{
    (void)state;
    on_each_backing(test_purge_of);
}

/* What is released in one size serves others: addresses come back, refills do not double. */
static void test_sizes_share(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_region regions[64];
    for (unsigned round = 0; round < 6; round++) {
        const size_t bytes = MIB << round;
        const size_t count = 64 >> round;
        for (size_t i = 0; i < count; i++)
            regions[i] = region_of(space, bytes);
        for (size_t i = 0; i < count; i++)
            terrane_region_release(&regions[i]);
        terrane_pool_purge(space);
    }
    const struct terrane_pool_stats stats = pool_of(space);
    assert_true(stats.mapped_bytes <= 64 * MIB);
    assert_true(stats.total.splits > 0);
    assert_true(stats.total.joins > 0);
    assert_int_equal(stats.total.clean_bytes, stats.mapped_bytes);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* ---- spaces come and go ---- */

/* A thread's cache of a space that has ended is not taken for that of another at its place. */
static void test_spaces_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
        struct terrane_region a = region_of(space, MIB), b = region_of(space, 3 * MIB);
        contents_write(a.data, a.capacity, i);
        terrane_region_release(&b);
        struct terrane_region c = region_of(NULL, MIB);
        assert_contents(a.data, a.capacity, i);
        terrane_region_release(&a);
        terrane_region_release(&c);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

/* ---- hook ---- */

struct seen {
    unsigned acquired, released;
    size_t bytes;
    const void *caller;
};

static void see(const struct terrane_region *region, bool acquired, const void *caller,
                void *context)
{
    struct seen *seen = context;
    seen->acquired += acquired;
    seen->released += !acquired;
    seen->bytes = region->capacity;
    seen->caller = caller;
}

static void test_hook(void **state)
{
    (void)state;
    struct seen seen = {0};
    terrane_pool_on_region(see, &seen);
    struct terrane_region region = region_of(NULL, 100 * KIB);
    assert_int_equal(seen.acquired, 1);
    assert_int_equal(seen.bytes, region.capacity);
    assert_true((uintptr_t)seen.caller - (uintptr_t)region_of < 4096);
    terrane_region_release(&region);
    assert_int_equal(seen.released, 1);
    terrane_pool_on_region(NULL, NULL);
    region = region_of(NULL, 100 * KIB);
    terrane_region_release(&region);
    assert_int_equal(seen.acquired + seen.released, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),      cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_untouched),  cmocka_unit_test(test_warm_again),
        cmocka_unit_test(test_purge),      cmocka_unit_test(test_sizes_share),
        cmocka_unit_test(test_spaces_end), cmocka_unit_test(test_hook),
    };
    return RUN_TESTS(tests);
}
