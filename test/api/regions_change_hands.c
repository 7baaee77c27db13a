/* Regions that are resized, moved to other spaces, sealed, advised, and made objects of heaps and
 * back: contents stay, a refusal changes nothing. */
#include "api_test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct terrane_region filled(struct terrane_space *space, size_t bytes, uint64_t seed)
{
    struct terrane_region region = {NULL, 0};
    assert_int_equal(terrane_region_acquire(space, bytes, &region), 0);
    contents_write(region.data, bytes, seed);
    return region;
}

static void resize(struct terrane_region *region, size_t bytes, size_t kept, uint64_t seed)
{
    assert_int_equal(terrane_region_resize(region, bytes), 0);
    assert_true(region->capacity >= bytes);
    assert_true(region->capacity <= bytes + bytes / 4 + 4096);
    assert_contents(region->data, kept < bytes ? kept : bytes, seed);
}

/* ---- resize ---- */

static void test_resize_of(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    const size_t sizes[] = {4 * KIB, 40 * KIB, 64 * KIB, 100 * KIB, 700 * KIB, 2 * MIB, 9 * MIB};
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);
    for (size_t from = 0; from < count; from++) {
        for (size_t to = 0; to < count; to++) {
            struct terrane_region region = filled(space, sizes[from], from + 1);
            struct terrane_region wall = filled(space, sizes[from], 99); /* in the way, perhaps */
            resize(&region, sizes[to], sizes[from], from + 1);
            contents_write(region.data, region.capacity, to + 50);
            assert_contents(wall.data, sizes[from], 99);
            resize(&region, sizes[from], sizes[to], to + 50);
            terrane_region_release(&wall);
            terrane_region_release(&region);
        }
    }
    struct terrane_pool_stats stats;
    terrane_pool_stats(space, &stats);
    assert_int_equal(stats.total.live_bytes, 0);
    assert_int_equal(stats.regions, 0);
    assert_true(stats.resizes > 0);
}

static void test_resize(void **state)
{
    (void)state;
    on_each_backing(test_resize_of);
}

static uint64_t faults(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (uint64_t)usage.ru_minflt;
}

/* A region that grows where warm pages lie idle is not faulted in anew, whatever their sizes. */
static void test_growth_is_warm(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_region warm[4], region = filled(space, 2 * MIB, 1);
    terrane_pool_set_decay(space, UINT64_MAX);
    terrane_pool_set_cache(space, 0);
    for (unsigned i = 0; i < 4; i++)
        warm[i] = filled(space, 8 * MIB, i);
    for (unsigned i = 0; i < 4; i++)
        terrane_region_release(&warm[i]);
    resize(&region, 32 * MIB, 2 * MIB, 1);
    const uint64_t before = faults();
    contents_write(region.data, 26 * MIB, 2);
    const uint64_t fresh = faults() - before;
    if (stats_of(space).moves > 0) /* the kernel can move pages */
        assert_true(fresh < 30 * MIB / 4096 / 4);
    assert_contents(region.data, 26 * MIB, 2);
    terrane_region_release(&region);
    assert_true(terrane_pool_purge(space) >= 32 * MIB);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* ---- other spaces ---- */

static void moved(enum terrane_backing from, enum terrane_backing to, size_t bytes)
{
    struct terrane_space *a = space_of_backing(from), *b = space_of_backing(to);
    struct terrane_region region = filled(a, bytes, bytes);
    assert_int_equal(terrane_region_move(&region, b), 0);
    assert_contents(region.data, bytes, bytes);
    assert_int_equal(terrane_region_move(&region, b), 0); /* there already */
    struct terrane_pool_stats stats;
    terrane_pool_stats(a, &stats);
    assert_int_equal(stats.regions + stats.total.live_bytes, 0);
    terrane_pool_stats(b, &stats);
    assert_int_equal(stats.regions, 1);
    assert_int_equal(stats.total.live_bytes, region.capacity);
    assert_int_equal(terrane_space_destroy(a), 0);
    assert_contents(region.data, bytes, bytes);
    terrane_region_release(&region);
    assert_int_equal(terrane_space_destroy(b), 0);
}

static void test_move(void **state)
{
    (void)state;
    for (int from = TERRANE_BACKING_PRIVATE; from <= TERRANE_BACKING_SCRATCH; from++) {
        for (int to = TERRANE_BACKING_PRIVATE; to <= TERRANE_BACKING_SCRATCH; to++) {
            moved((enum terrane_backing)from, (enum terrane_backing)to, 8 * KIB);
            moved((enum terrane_backing)from, (enum terrane_backing)to, 5 * MIB);
        }
    }
}

/* ---- seal ---- */

/* Whether a store to the address ends a child process by a fault. */
static bool store_faults(volatile char *address)
{
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        *address = 1;
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void test_seal(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_space *other = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_heap *heap = heap_in(space);
    struct terrane_region region = filled(space, 3 * MIB, 3);
    void *object;
    assert_int_equal(terrane_region_seal(&region), 0);
    assert_int_equal(terrane_region_seal(&region), 0);
    assert_true(store_faults(region.data));
    assert_true(store_faults((char *)region.data + region.capacity - 1));
    assert_int_equal(terrane_region_resize(&region, 4 * MIB), -EPERM);
    assert_int_equal(terrane_region_move(&region, other), -EPERM);
    assert_int_equal(terrane_region_to_object(&region, heap, &object), -EPERM);
    assert_int_equal(terrane_region_advise(&region, 0, MIB, TERRANE_ADVICE_DEAD), -EPERM);
    assert_contents(region.data, 3 * MIB, 3);
    assert_int_equal(terrane_region_unseal(&region), 0);
    assert_int_equal(terrane_region_unseal(&region), 0);
    contents_write(region.data, region.capacity, 4);
    assert_int_equal(terrane_region_seal(&region), 0);
    void *const data = region.data;
    terrane_region_release(&region);
    for (unsigned i = 0; i < 4; i++) { /* the addresses come back writable */
        region = filled(space, 3 * MIB, i);
        if (region.data == data)
            assert_false(store_faults(data));
    }
    assert_int_equal(terrane_space_destroy(space), 0);
    assert_int_equal(terrane_space_destroy(other), 0);
}

/* ---- advice ---- */

static size_t resident(const void *data, size_t bytes)
{
    unsigned char pages[2 * MIB / 4096];
    size_t count = 0;
    assert_true(bytes <= 2 * MIB);
    assert_int_equal(mincore((void *)(uintptr_t)data, bytes, pages), 0);
    for (size_t i = 0; i < bytes / 4096; i++)
        count += pages[i] & 1;
    return count * 4096;
}

static void test_advice_of(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_region region = filled(space, 2 * MIB, 5);
    const struct terrane_region same = region;
    assert_int_equal(terrane_region_advise(&region, 0, 2 * MIB, TERRANE_ADVICE_COLD), 0);
    assert_contents(region.data, 2 * MIB, 5);
    assert_int_equal(terrane_region_advise(&region, 0, 2 * MIB, TERRANE_ADVICE_NEEDED), 0);
    assert_contents(region.data, 2 * MIB, 5);
    /* Only whole pages inside the range die. */
    assert_int_equal(terrane_region_advise(&region, MIB - 10, MIB / 2 + 20, TERRANE_ADVICE_DEAD),
                     0);
    assert_contents(region.data, MIB, 5);
    for (size_t i = MIB; i < MIB + MIB / 2; i++)
        assert_int_equal(((const char *)region.data)[i], 0);
    assert_int_equal(terrane_region_advise(&region, 100, 200, TERRANE_ADVICE_DEAD), 0);
    assert_contents(region.data, MIB, 5);
    assert_int_equal(terrane_region_advise(&region, 0, 2 * MIB + 1, TERRANE_ADVICE_COLD), -EINVAL);
    assert_int_equal(terrane_region_advise(&region, SIZE_MAX, 2, TERRANE_ADVICE_COLD), -EINVAL);
    assert_int_equal(terrane_region_advise(&region, 0, MIB, (enum terrane_advice)17), -EINVAL);
    assert_int_equal(terrane_region_advise(&region, 0, 2 * MIB, TERRANE_ADVICE_DEAD), 0);
    if (backing == TERRANE_BACKING_PRIVATE)
        assert_int_equal(resident(region.data, 2 * MIB), 0);
    assert_ptr_equal(region.data, same.data);
    contents_write(region.data, 2 * MIB, 6);
    assert_contents(region.data, 2 * MIB, 6);
    terrane_region_release(&region);
}

static void test_advice(void **state)
{
    (void)state;
    on_each_backing(test_advice_of);
}

/* ---- heaps ---- */

static void test_objects_of(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    struct terrane_region region = filled(space, 3 * MIB, 7);
    void *const data = region.data;
    void *object = NULL;
    assert_int_equal(terrane_region_to_object(&region, heap, &object), 0);
    assert_ptr_equal(object, data);
    assert_null(region.data);
    assert_ptr_equal(terrane_heap_of(object), heap);
    assert_true(terrane_usable_size(object) >= 3 * MIB);
    assert_contents(object, 3 * MIB, 7);
    terrane_heap_audit(heap);
    object = terrane_heap_resize(heap, object, 7 * MIB);
    assert_non_null(object);
    assert_contents(object, 3 * MIB, 7);
    assert_int_equal(terrane_region_from_object(object, &region), 0);
    assert_ptr_equal(region.data, object);
    assert_true(region.capacity >= 7 * MIB);
    assert_null(terrane_heap_of(object));
    assert_contents(region.data, 3 * MIB, 7);
    terrane_heap_audit(heap);
    terrane_heap_destroy(heap); /* the region is no part of it */
    assert_contents(region.data, 3 * MIB, 7);
    assert_int_equal(terrane_region_resize(&region, 2 * MIB), 0);
    assert_contents(region.data, 2 * MIB, 7);
    terrane_region_release(&region);
    struct terrane_pool_stats stats;
    terrane_pool_stats(space, &stats);
    assert_int_equal(stats.total.live_bytes, 0);
    assert_int_equal(stats.regions, 0);
}

static void test_objects(void **state)
{
    (void)state;
    on_each_backing(test_objects_of);
}

static void test_no_objects(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    const struct terrane_heap_options hardened = {.hardened = true};
    struct terrane_heap *heap = heap_in(NULL), *guarded = NULL;
    assert_int_equal(terrane_heap_create(NULL, &hardened, &guarded), 0);
    struct terrane_region region = filled(space, MIB, 8), out = {NULL, 0};
    void *object = NULL, *small = object_in(heap, 100), *large = object_in(guarded, MIB);
    assert_int_equal(terrane_region_to_object(&region, heap, &object), -EINVAL);
    assert_int_equal(terrane_region_from_object(small, &out), -EINVAL);
    assert_int_equal(terrane_region_from_object(region.data, &out), -EINVAL);
    assert_int_equal(terrane_region_from_object((char *)region.data + 4096, &out), -EINVAL);
    assert_int_equal(terrane_region_from_object(large, &out), -EINVAL);
    assert_null(out.data);
    assert_contents(region.data, MIB, 8);
    terrane_free(small);
    terrane_free(large);
    terrane_heap_destroy(guarded);
    terrane_heap_destroy(heap);
    assert_int_equal(terrane_space_destroy(space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),     cmocka_unit_test(test_growth_is_warm),
        cmocka_unit_test(test_move),       cmocka_unit_test(test_seal),
        cmocka_unit_test(test_advice),     cmocka_unit_test(test_objects),
        cmocka_unit_test(test_no_objects),
    };
    return RUN_TESTS(tests);
}
