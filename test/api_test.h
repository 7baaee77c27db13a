/* What the tests of the public interface share: cmocka, spaces of each backing, statistics, objects
 * with known contents. */
#ifndef TEST_API_TEST_H
#define TEST_API_TEST_H

#include "contents.h"
#include "process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <terrane/terrane.h>

#include <cmocka.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static inline const char *scratch_dir(void)
{
    const char *dir = getenv("TMPDIR");
    return dir != NULL ? dir : "/tmp";
}

/* Options of a space of some backing with a window that is no burden. */
static inline struct terrane_space_options options_of(enum terrane_backing backing)
{
    return (struct terrane_space_options){
        .backing = backing,
        .window_bytes = 16 * GIB,
        .scratch_dir = backing == TERRANE_BACKING_SCRATCH ? scratch_dir() : NULL};
}

static inline struct terrane_space *space_with(const struct terrane_space_options *options)
{
    struct terrane_space *space = NULL;
    assert_int_equal(terrane_space_create(options, &space), 0);
    assert_non_null(space);
    return space;
}

static inline struct terrane_space *space_of_backing(enum terrane_backing backing)
{
    const struct terrane_space_options options = options_of(backing);
    return space_with(&options);
}

static inline struct terrane_heap *heap_in(struct terrane_space *space)
{
    struct terrane_heap *heap = NULL;
    assert_int_equal(terrane_heap_create(space, NULL, &heap), 0);
    assert_non_null(heap);
    return heap;
}

static inline struct terrane_stats stats_of(const struct terrane_space *space)
{
    struct terrane_stats stats;
    memset(&stats, 0xff, sizeof(stats));
    terrane_space_stats(space, &stats);
    return stats;
}

/* By how much a counter has grown since `before`. */
#define GROWN(space, before, field) (stats_of(space).field - (before).field)

/* An object with contents that follow from its size. */
static inline void *object_in(struct terrane_heap *heap, size_t size)
{
    void *object = terrane_heap_alloc(heap, size);
    assert_non_null(object);
    assert_true(((uintptr_t)object & 15) == 0);
    assert_true(terrane_usable_size(object) >= size);
    contents_write(object, size, size);
    return object;
}

static inline void assert_contents(const void *object, size_t kept, size_t seed)
{
    const size_t wrong = contents_wrong(object, kept, seed);
    if (wrong != kept)
        fail_msg("object %p of %zu bytes is wrong from %zu on", object, kept, wrong);
}

/* Runs a test on a fresh space of each backing; what the space held is gone afterwards. */
typedef void space_test(struct terrane_space *space, enum terrane_backing backing);

static inline void on_each_backing(space_test *test)
{
    for (int backing = TERRANE_BACKING_PRIVATE; backing <= TERRANE_BACKING_SCRATCH; backing++) {
        struct terrane_space *space = space_of_backing((enum terrane_backing)backing);
        test(space, (enum terrane_backing)backing);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

/* The test program's exit status. */
#define RUN_TESTS(tests) (cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1)

#endif
