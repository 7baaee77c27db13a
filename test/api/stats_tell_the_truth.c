/* Each field of struct terrane_stats is driven alone and compared with what was done. */
#include "api_test.h"
#include "test_threads.h"

static const size_t page = 4096;

static void windows(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    const struct terrane_stats stats = stats_of(space);
    assert_int_equal(stats.version, TERRANE_STATS_VERSION);
    assert_int_equal(stats.window_bytes, 16 * GIB);
    assert_true(stats.meta_bytes > 0 && stats.meta_bytes < stats.window_bytes);
    assert_int_equal(stats.run_bytes + stats.run_bytes_peak + stats.dirty_bytes, 0);
    assert_int_equal(stats.small_bytes + stats.large_bytes, 0);
    assert_int_equal(stats.moves + stats.copies + stats.aliases + stats.budget_refusals, 0);
    assert_int_equal(stats.large_allocs + stats.large_frees + stats.remote_frees, 0);
}

static void large_objects(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    void *objects[20];
    uint64_t bytes = 0;
    for (size_t i = 0; i < 20; i++) {
        const size_t size = 40000 + i * 123457;
        objects[i] = object_in(heap, size);
        bytes += (size + page - 1) / page * page;
        assert_int_equal(stats_of(space).large_bytes, bytes);
        assert_int_equal(stats_of(space).run_bytes, bytes);
        assert_int_equal(stats_of(space).large_allocs, i + 1);
    }
    const struct terrane_stats full = stats_of(space);
    assert_int_equal(full.run_bytes_peak, bytes);
    assert_int_equal(full.small_bytes, 0);
    for (size_t i = 0; i < 20; i++) {
        bytes -= terrane_usable_size(objects[i]);
        terrane_free(objects[i]);
        assert_int_equal(stats_of(space).large_bytes, bytes);
        assert_int_equal(stats_of(space).large_frees, i + 1);
    }
    const struct terrane_stats empty = stats_of(space);
    assert_int_equal(empty.run_bytes, 0);
    assert_int_equal(empty.run_bytes_peak, full.run_bytes_peak);
}

static void small_objects(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    enum { COUNT = 30000, SIZE = 112 };
    static void *objects[COUNT];
    struct terrane_heap *heap = heap_in(space);
    for (size_t i = 0; i < COUNT; i++)
        objects[i] = object_in(heap, SIZE);
    const struct terrane_stats full = stats_of(space);
    assert_true(full.small_bytes >= (uint64_t)COUNT * SIZE);
    assert_true(full.small_bytes <= (uint64_t)COUNT * SIZE * 11 / 10 + 2 * 65536);
    assert_int_equal(full.small_bytes % 65536, 0);
    assert_int_equal(full.run_bytes, full.small_bytes);
    assert_int_equal(full.large_bytes + full.large_allocs, 0);
    assert_true(full.small_refills > 0);
    for (size_t i = 0; i < COUNT; i++)
        terrane_free(objects[i]);
    terrane_heap_trim(heap);
    assert_int_equal(stats_of(space).small_bytes, 0);
    assert_int_equal(stats_of(space).run_bytes, 0);
    assert_true(GROWN(space, full, small_flushes) > 0);
}

static void warm_and_given_back(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    const struct terrane_stats before = stats_of(space);
    terrane_free(object_in(heap, 2 * MIB));
    const uint64_t warm = stats_of(space).dirty_bytes;
    assert_true(warm >= 2 * MIB && warm <= 4 * MIB);
    assert_int_equal(terrane_space_trim(space), warm);
    assert_int_equal(stats_of(space).dirty_bytes, 0);
    assert_true(GROWN(space, before, discards) >= 1);
    assert_true(GROWN(space, before, discard_bytes) >= 2 * MIB);
    assert_int_equal(terrane_space_trim(space), 0);
}

/* Given back means given back: what the process holds falls by as much. */
static void trim_is_real(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    const size_t before = resident_bytes();
    for (int round = 0; round < 3; round++) {
        void *object = object_in(heap, 30 * MIB);
        assert_true(resident_bytes() > before + 25 * MIB);
        terrane_free(object);
        terrane_space_trim(space);
#if !defined(__SANITIZE_THREAD__) /* its shadow stays resident */
        assert_true(resident_bytes() < before + 5 * MIB);
#endif
    }
}

static void heaps(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *all[5];
    for (size_t i = 0; i < 5; i++) {
        all[i] = heap_in(space);
        assert_int_equal(stats_of(space).heaps, i + 1);
    }
    terrane_heap_abandon(all[0]);
    assert_int_equal(stats_of(space).heaps, 5);
    const struct terrane_stats before = stats_of(space);
    assert_int_equal(terrane_heap_adopt(all[0]), 0);
    assert_int_equal(GROWN(space, before, adoptions), 1);
    for (size_t i = 0; i < 5; i++) {
        terrane_heap_destroy(all[i]);
        assert_int_equal(stats_of(space).heaps, 4 - i);
    }
}

static void *free_them(void *context)
{
    void **objects = context;
    for (size_t i = 0; i < 100; i++)
        terrane_free(objects[i]);
    return NULL;
}

static void remote_frees(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    void *objects[100];
    for (int remote = 0; remote < 2; remote++) {
        for (size_t i = 0; i < 100; i++)
            objects[i] = object_in(heap, 10 * i + 1);
        const struct terrane_stats before = stats_of(space);
        if (remote)
            thread_run(free_them, objects);
        else
            free_them(objects);
        assert_int_equal(GROWN(space, before, remote_frees), remote ? 100 : 0);
    }
}

/* Sums of bytes: what was resized by which way. */
static void resizes(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    void *object = object_in(heap, 100 * KIB);
    const struct terrane_stats before = stats_of(space);
    object = terrane_heap_resize(heap, object, 200 * KIB);
    assert_non_null(object);
    assert_int_equal(GROWN(space, before, grown_in_place) + GROWN(space, before, moves) +
                         GROWN(space, before, copies),
                     1);
    object = terrane_heap_resize(heap, object, 60 * KIB);
    assert_non_null(object);
    assert_int_equal(stats_of(space).large_bytes, terrane_usable_size(object));
    const struct terrane_stats shrunk = stats_of(space);
    object = terrane_heap_resize(heap, object, 1000);
    assert_non_null(object);
    assert_int_equal(GROWN(space, shrunk, copies), 1);
    assert_true(GROWN(space, shrunk, copy_bytes) <= 60 * KIB);
    assert_int_equal(stats_of(space).large_bytes, 0);
}

/* Kernel mappings as counted by the space against those of /proc/self/maps. */
static void test_mappings(void **state)
{
    (void)state;
    struct terrane_space_options options = options_of(TERRANE_BACKING_PRIVATE);
    options.move_min_bytes = 256 * KIB; /* whatever this machine's measure would be */
    struct terrane_space *spaces[2] = {space_with(&options), space_with(&options)};
    struct terrane_heap *ends[2] = {heap_in(spaces[0]), heap_in(spaces[1])};
    static void *objects[500];
    for (size_t i = 0; i < 500; i++)
        objects[i] = object_in(ends[i % 2], 256 * KIB);
    const size_t mappings = mappings_count();
    const uint64_t counted = stats_of(spaces[0]).mappings + stats_of(spaces[1]).mappings;
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(terrane_heap_move(ends[(i + 1) % 2], &objects[i]), 0);
    const size_t more = mappings_count() - mappings;
    const uint64_t counted_more =
        stats_of(spaces[0]).mappings + stats_of(spaces[1]).mappings - counted;
    assert_true(counted_more > 0);
    assert_true(more <= counted_more);
    for (size_t i = 0; i < 500; i++)
        terrane_free(objects[i]);
    terrane_space_trim(spaces[0]);
    terrane_space_trim(spaces[1]);
    assert_true(stats_of(spaces[0]).mappings + stats_of(spaces[1]).mappings <= counted + 4);
    assert_true(mappings_count() <= mappings + 4);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(terrane_space_destroy(spaces[i]), 0);
}

static void test_each_field(void **state)
{
    (void)state;
    on_each_backing(windows);
    on_each_backing(large_objects);
    on_each_backing(small_objects);
    on_each_backing(heaps);
    on_each_backing(remote_frees);
    on_each_backing(resizes);
}

static void test_warm_memory(void **state)
{
    (void)state;
    on_each_backing(warm_and_given_back);
    on_each_backing(trim_is_real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_field),
        cmocka_unit_test(test_warm_memory),
        cmocka_unit_test(test_mappings),
    };
    return RUN_TESTS(tests);
}
