/* Spaces come in each backing, many at a time, and go without a trace; contradictions, paths that
 * are not there and pages that the machine lacks are errors that say which. */
#include "api_test.h"

#include <sys/resource.h>

static int create(const struct terrane_space_options *options)
{
    struct terrane_space *untouched = (struct terrane_space *)&untouched;
    struct terrane_space *space = untouched;
    const int error = terrane_space_create(options, &space);
    if (error == 0)
        assert_int_equal(terrane_space_destroy(space), 0);
    else
        assert_ptr_equal(space, untouched);
    return error;
}

static void use(struct terrane_space *space, enum terrane_backing backing)
{
    const struct terrane_stats stats = stats_of(space);
    assert_int_equal(stats.version, TERRANE_STATS_VERSION);
    assert_int_equal(stats.window_bytes, 16 * GIB);
    assert_true(stats.meta_bytes > 0);
    assert_int_equal(stats.run_bytes, 0);
    assert_int_equal(stats.heaps, 0);
    struct terrane_heap *heap = heap_in(space);
    for (size_t size = 1; size < 20 * MIB; size *= 3) {
        void *object = object_in(heap, size);
        assert_contents(object, size, size);
        assert_ptr_equal(terrane_heap_of(object), heap);
        terrane_free(object);
    }
    terrane_heap_audit(heap);
    (void)backing;
}

static void test_use(void **state)
{
    (void)state;
    on_each_backing(use);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(create(NULL), 0);
    const struct terrane_space_options zeroed = {.window_bytes = 0};
    assert_int_equal(create(&zeroed), 0);
    struct terrane_space *space = space_with(NULL);
    assert_true(stats_of(space).window_bytes >= GIB);
    assert_int_equal(terrane_space_destroy(space), 0);
    assert_int_equal(terrane_space_destroy(NULL), 0);
}

static void test_default_space(void **state)
{
    (void)state;
    struct terrane_space *space = terrane_space_default();
    assert_non_null(space);
    assert_ptr_equal(terrane_space_default(), space);
    assert_int_equal(terrane_space_destroy(space), -EINVAL);
    struct terrane_heap *heap = heap_in(NULL);
    assert_true(stats_of(space).heaps >= 1);
    terrane_free(object_in(heap, 100));
    terrane_heap_destroy(heap);
}

static void test_contradictions(void **state)
{
    (void)state;
    const struct terrane_space_options wrong[] = {
        {.backing = TERRANE_BACKING_PRIVATE, .scratch_dir = "/tmp"},
        {.backing = TERRANE_BACKING_PRIVATE, .huge_page_bytes = 2 * MIB},
        {.backing = TERRANE_BACKING_MEMFD, .scratch_dir = "/tmp"},
        {.backing = TERRANE_BACKING_MEMFD, .huge_page_bytes = 4096},
        {.backing = TERRANE_BACKING_MEMFD, .huge_page_bytes = 3 * MIB},
        {.backing = TERRANE_BACKING_SCRATCH},
        {.backing = TERRANE_BACKING_SCRATCH, .scratch_dir = "/tmp", .huge_page_bytes = 2 * MIB},
        {.backing = (enum terrane_backing)77},
        {.window_bytes = 1},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (create(&wrong[i]) != -EINVAL)
            fail_msg("combination %zu is not refused with -EINVAL", i);
    }
}

static void test_scratch_paths(void **state)
{
    (void)state;
    struct terrane_space_options options = options_of(TERRANE_BACKING_SCRATCH);
    options.scratch_dir = "/nonexistent/directory";
    assert_int_equal(create(&options), -ENOENT);
    options.scratch_dir = "/proc/self/status";
    assert_int_equal(create(&options), -ENOTDIR);
    options.scratch_dir = "";
    assert_int_equal(create(&options), -ENOENT);
    if (geteuid() != 0) {
        options.scratch_dir = "/root";
        assert_int_equal(create(&options), -EACCES);
    }
}

/* The name of the directory is copied: it may be reused at once. */
static void test_scratch_name_is_copied(void **state)
{
    (void)state;
    char name[256];
    snprintf(name, sizeof(name), "%s", scratch_dir());
    struct terrane_space_options options = options_of(TERRANE_BACKING_SCRATCH);
    options.scratch_dir = name;
    struct terrane_space *space = space_with(&options);
    memset(name, 'x', sizeof(name) - 1);
    struct terrane_heap *heap = heap_in(space);
    void *object = object_in(heap, 3 * MIB);
    assert_contents(object, 3 * MIB, 3 * MIB);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Where the machine has no such pages, that is what the error says. */
/* Windows that are no multiple of the page are cut to one; none at all is a contradiction. A
 * machine without free huge pages can still reserve their addresses. */
static void odd_windows(size_t page)
{
    struct terrane_space_options options = {.backing = TERRANE_BACKING_MEMFD,
                                            .huge_page_bytes = page};
    struct terrane_space *space = NULL;
    options.window_bytes = page - 64 * KIB;
    EXPECT(terrane_space_create(&options, &space) == -EINVAL);
    options.window_bytes = 5 * page + 64 * KIB;
    EXPECT(terrane_space_create(&options, &space) == 0);
    EXPECT(stats_of(space).window_bytes == 5 * page);
    EXPECT(terrane_space_destroy(space) == 0);
    const size_t most = status_bytes("VmSize:") + 7 * GIB; /* the default space has its window */
    const struct rlimit addresses = {most, most};
    EXPECT(setrlimit(RLIMIT_AS, &addresses) == 0);
    options.window_bytes = 0;
    EXPECT(terrane_space_create(&options, &space) == 0);
    EXPECT(stats_of(space).window_bytes % page == 0);
}

static void odd_windows_of(void *context)
{
    odd_windows(*(const size_t *)context);
}

static void test_odd_windows_of_huge_pages(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizer itself needs terabytes */
#endif
    size_t pages[] = {2 * MIB, GIB};
    for (size_t i = 0; i < 2; i++) {
        const struct terrane_space_options options = {.backing = TERRANE_BACKING_MEMFD,
                                                      .huge_page_bytes = pages[i]};
        if (create(&options) == 0)
            assert_int_equal(child_run(odd_windows_of, &pages[i]), 0);
    }
}

static void test_huge_pages(void **state)
{
    (void)state;
    for (size_t page = 2 * MIB; page <= GIB; page *= 512) {
        struct terrane_space_options options = options_of(TERRANE_BACKING_MEMFD);
        options.huge_page_bytes = page;
        struct terrane_space *space = NULL;
        const int error = terrane_space_create(&options, &space);
        if (error != 0) {
            assert_true(error == -ENOTSUP || error == -ENOMEM);
            continue;
        }
        struct terrane_heap *heap = heap_in(space);
        void *object = terrane_heap_alloc(heap, 100);
        if (object != NULL) {
            contents_write(object, 100, 1);
            assert_contents(object, 100, 1);
        } else {
            assert_int_equal(errno, ENOMEM);
        }
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

/* Windows that no address space has are refused, and smaller ones are had after that. */
static void test_impossible_windows(void **state)
{
    (void)state;
    struct terrane_space_options options = options_of(TERRANE_BACKING_PRIVATE);
    options.window_bytes = SIZE_MAX;
    const int error = create(&options);
    assert_true(error == 0 || error == -ENOMEM || error == -EINVAL);
    options.window_bytes = 64 * MIB;
    assert_int_equal(create(&options), 0);
}

static void life(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heaps[3];
    for (size_t i = 0; i < 3; i++) {
        const struct terrane_heap_options options = {.hardened = i == 2};
        assert_int_equal(terrane_heap_create(space, &options, &heaps[i]), 0);
    }
    for (size_t i = 0; i < 300; i++)
        object_in(heaps[i % 3], i * i * 7 % 200000 + 1);
    terrane_heap_destroy(heaps[1]);
}

/* A space that is destroyed takes its heaps and objects along: addresses, memory and descriptors
 * are as before, however often. */
static void test_nothing_is_left(void **state)
{
    (void)state;
    on_each_backing(life);
    const size_t addresses = status_bytes("VmSize:");
    const size_t descriptors = descriptors_count();
    for (int i = 0; i < 20; i++)
        on_each_backing(life);
    assert_int_equal(status_bytes("VmSize:"), addresses);
    assert_int_equal(descriptors_count(), descriptors);
}

/* As many as there can be at a time; one more is refused, and each can be used and destroyed. */
static void test_many_at_a_time(void **state)
{
    (void)state;
    enum { MOST = 400 };
    static struct terrane_space *spaces[MOST];
    size_t count = 0;
    int error = 0;
    while (count < MOST && error == 0) {
        struct terrane_space_options options = options_of((enum terrane_backing)(count % 3));
        options.window_bytes = 64 * MIB;
        error = terrane_space_create(&options, &spaces[count]);
        count += error == 0;
    }
    assert_true(count >= 100);
    if (count < MOST)
        assert_true(error == -EAGAIN || error == -ENOMEM || error == -EMFILE);
    for (size_t i = 0; i < count; i++)
        object_in(heap_in(spaces[i]), 1000 + i);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(terrane_space_destroy(spaces[i]), 0);
    test_use(state);
}

static void test_version(void **state)
{
    (void)state;
    char expected[32];
    snprintf(expected, sizeof(expected), "%d.%d.%d", TERRANE_VERSION_MAJOR, TERRANE_VERSION_MINOR,
             TERRANE_VERSION_PATCH);
    assert_string_equal(terrane_version(), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_use),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_default_space),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_scratch_paths),
        cmocka_unit_test(test_scratch_name_is_copied),
        cmocka_unit_test(test_huge_pages),
        cmocka_unit_test(test_odd_windows_of_huge_pages),
        cmocka_unit_test(test_impossible_windows),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_many_at_a_time),
        cmocka_unit_test(test_version),
    };
    return RUN_TESTS(tests);
}
