/* The mapping limit reached at any moment: from some call on every move and every mapping of a file
 * is refused. Contents stay right, nothing aborts, and when the kernel has relented and everything
 * is freed, the budget is where it was. */
#include "growing_arrays.h"
#include "heap/heap.h"
#include "os/os.h"
#include "pool/pool.h"
#include "process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/terrane.h>

#include <cmocka.h>

#define ARRAYS    5
#define FIRST     ((size_t)300 << 10)
#define STEPS     11
#define WINDOW    ((size_t)1 << 30)
#define RUN_BYTES ((size_t)192 << 10)
#define CALLS_MAX 1000

/* ---- the fake kernel ---- */

static unsigned long calls, allowed = -1ul;

static bool refused(void)
{
    return calls++ >= allowed;
}

int __real_tn_os_move(void *from, void *to, size_t size);
int __wrap_tn_os_move(void *from, void *to, size_t size);
int __wrap_tn_os_move(void *from, void *to, size_t size)
{
    return refused() ? -ENOMEM : __real_tn_os_move(from, to, size);
}

int __real_tn_os_map_file(void *addr, size_t size, int fd, uint64_t offset_bytes);
int __wrap_tn_os_map_file(void *addr, size_t size, int fd, uint64_t offset_bytes);
int __wrap_tn_os_map_file(void *addr, size_t size, int fd, uint64_t offset_bytes)
{
    return refused() ? -ENOMEM : __real_tn_os_map_file(addr, size, fd, offset_bytes);
}

/* ---- the work ---- */

static uint64_t mappings_of(const struct terrane_space *space)
{
    struct terrane_stats stats;
    terrane_space_stats(space, &stats);
    return stats.mappings;
}

/* Arrays that grow in turn, each into the others' way. */
static void grow_arrays(struct terrane_heap *heap, void *arrays[ARRAYS])
{
    size_t size = FIRST;
    arrays_alloc(heap, arrays, ARRAYS, size);
    for (unsigned step = 0; step < STEPS; step++) {
        const size_t next = size + size / 3;
        arrays_grow(heap, arrays, ARRAYS, size, next);
        size = next;
    }
    arrays_check(arrays, ARRAYS, size);
    terrane_heap_audit(heap);
}

static struct tn_run written_run(struct terrane_space *space, uint64_t seed)
{
    struct tn_run run;
    const struct tn_wish wish = {.bytes = RUN_BYTES, .whole = true};
    EXPECT(tn_pool_acquire(space, &wish, &run) == 0);
    contents_write(tn_block_addr(space, run.block), RUN_BYTES, seed);
    return run;
}

/* An alias shows the other's pages or has changed nothing. */
static void alias_runs(struct terrane_space *space)
{
    const struct tn_run shown = written_run(space, 1), other = written_run(space, 2);
    char *from = tn_block_addr(space, shown.block), *to = tn_block_addr(space, other.block);
    const int error = tn_space_alias(space, from, to, RUN_BYTES);
    EXPECT(error == 0 || error == -ENOMEM || error == -ENOTSUP);
    EXPECT_INTACT(from, RUN_BYTES, 1);
    if (error == 0)
        EXPECT_INTACT(to, RUN_BYTES, 1);
    tn_pool_release(space, shown.block, shown.order, RUN_BYTES);
    tn_pool_release(space, other.block, other.order, RUN_BYTES);
}

/* What comes back as zero is zero, whatever was refused before. */
static void check_zeroed(struct terrane_heap *heap)
{
    for (unsigned i = 0; i < 2 * ARRAYS; i++) {
        const size_t size = FIRST << (i & 3);
        void *object = terrane_heap_alloc_zeroed(heap, size);
        EXPECT(object != NULL);
        EXPECT_ZERO(object, size);
        terrane_free(object);
    }
}

static void work(enum terrane_backing backing, unsigned long allow)
{
    struct terrane_space *space = NULL;
    struct terrane_heap *heap = NULL;
    const struct terrane_space_options options = {
        .backing = backing, .window_bytes = WINDOW, .move_min_bytes = (size_t)32 << 10};
    void *arrays[ARRAYS];
    allowed = -1ul;
    EXPECT(terrane_space_create(&options, &space) == 0);
    EXPECT(terrane_heap_create(space, NULL, &heap) == 0);
    const uint64_t at_start = mappings_of(space);
    calls = 0;
    allowed = allow;
    grow_arrays(heap, arrays);
    alias_runs(space);
    for (unsigned i = 0; i < ARRAYS; i++)
        terrane_free(arrays[i]);
    check_zeroed(heap);
    (void)terrane_space_trim(space);
    allowed = -1ul; /* others have given mappings back */
    check_zeroed(heap);
    terrane_heap_destroy(heap);
    (void)terrane_space_trim(space);
    tn_space_audit(space);
    EXPECT_THAT(mappings_of(space) == at_start, "%lu allowed: %llu mappings", allow,
                (unsigned long long)mappings_of(space));
    EXPECT(terrane_space_destroy(space) == 0);
}

/* Points from which on the kernel may refuse, all of the first ones and then ever fewer, until the
 * work no longer gets there. */
static void refuse_from_each(enum terrane_backing backing)
{
    unsigned long allow = 0;
    do {
        EXPECT(allow < CALLS_MAX);
        work(backing, allow);
        allow += 1 + allow / 32;
    } while (calls > allow);
    EXPECT_THAT(allow >= ARRAYS, "%lu calls", allow);
}

static void test_private(void **state)
{
    (void)state;
    refuse_from_each(TERRANE_BACKING_PRIVATE);
}

static void test_shared(void **state)
{
    (void)state;
    if (!tn_os_features()->memfd) {
        print_message("no memfd here\n");
        skip();
    }
    refuse_from_each(TERRANE_BACKING_MEMFD);
}

int main(void)
{
    struct tn_os_features features = *tn_os_features();
    features.thp = TN_OS_THP_NEVER; /* advice has mappings of its own */
    tn_os_features_override(&features);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
