/* What giving memory of a file back asks of the kernel: no lock is held meanwhile, extents that
 * are neighbours go in one call, and what had not been written to the disk by then is counted. */
#include "contents.h"
#include "os/os.h"
#include "pool/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RUN_BYTES (8 * TN_MIB)

/* ---- the watched kernel ---- */

static struct terrane_space *watched; /* its lock must be free; NULL: nothing is watched */
static unsigned punches, mappings, counts;
static bool refuse_counts;

static void expect_unlocked(void)
{
    if (watched == NULL)
        return;
    assert_true(tn_lock_try(&watched->lock));
    tn_lock_release(&watched->lock);
}

int __real_tn_os_file_punch(int fd, uint64_t offset, uint64_t bytes);
int __wrap_tn_os_file_punch(int fd, uint64_t offset, uint64_t bytes);
int __wrap_tn_os_file_punch(int fd, uint64_t offset, uint64_t bytes)
{
    expect_unlocked();
    punches++;
    return __real_tn_os_file_punch(fd, offset, bytes);
}

int __real_tn_os_map_file(void *addr, size_t bytes, int fd, uint64_t offset);
int __wrap_tn_os_map_file(void *addr, size_t bytes, int fd, uint64_t offset);
int __wrap_tn_os_map_file(void *addr, size_t bytes, int fd, uint64_t offset)
{
    expect_unlocked();
    mappings++;
    return __real_tn_os_map_file(addr, bytes, fd, offset);
}

int __real_tn_os_file_cached(int fd, uint64_t offset, uint64_t bytes, struct tn_os_cached *out);
int __wrap_tn_os_file_cached(int fd, uint64_t offset, uint64_t bytes, struct tn_os_cached *out);
int __wrap_tn_os_file_cached(int fd, uint64_t offset, uint64_t bytes, struct tn_os_cached *out)
{
    expect_unlocked();
    counts++;
    return refuse_counts ? -ENOTSUP : __real_tn_os_file_cached(fd, offset, bytes, out);
}

/* ---- helpers ---- */

static struct terrane_space *space_make(enum terrane_backing backing)
{
    const char *dir = getenv("TMPDIR");
    struct terrane_space *space = NULL;
    const struct terrane_space_options options = {.backing = backing,
                                                  .window_bytes = TN_GIB,
                                                  .scratch_dir = backing != TERRANE_BACKING_SCRATCH
                                                                     ? NULL
                                                                 : dir != NULL ? dir
                                                                               : "/tmp"};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    return space;
}

static char *take(struct terrane_space *space, struct tn_run *run)
{
    const struct tn_wish wish = {.bytes = RUN_BYTES, .whole = true};
    assert_int_equal(tn_pool_acquire(space, &wish, run), 0);
    return tn_block_addr(space, run->block);
}

/* Gives a run to the kernel, watched. */
static void give(struct terrane_space *space, const struct tn_run *run)
{
    watched = space;
    punches = mappings = counts = 0;
    tn_space_uncharge(space, RUN_BYTES);
    tn_space_retire(space, run->block, run->order);
    watched = NULL;
}

static uint64_t elided(const struct terrane_space *space)
{
    return atomic_load_explicit(&space->pool_counters[TN_POOL_ELIDED_BYTES], memory_order_relaxed);
}

/* Whether the file system writes pages to a medium at all, and says what it has not written. */
static bool counts_dirty(struct terrane_space *space)
{
    struct tn_run run;
    struct tn_os_cached cached = {.dirty_bytes = 0};
    memset(take(space, &run), 1, TN_BLOCK_BYTES);
    (void)tn_os_file_cached(space->fd, (uint64_t)run.block << TN_BLOCK_SHIFT, TN_BLOCK_BYTES,
                            &cached);
    give(space, &run);
    return cached.dirty_bytes > 0;
}

static struct terrane_space *disk_space(void)
{
    struct terrane_space *space = space_make(TERRANE_BACKING_SCRATCH);
    if (counts_dirty(space))
        return space;
    print_message("no cachestat, or the scratch directory is not on a disk\n");
    assert_int_equal(terrane_space_destroy(space), 0);
    skip();
    return NULL;
}

/* ---- tests ---- */

static void test_plain_run_is_one_punch(void **state)
{
    (void)state;
    for (int backing = TERRANE_BACKING_MEMFD; backing <= TERRANE_BACKING_SCRATCH; backing++) {
        struct terrane_space *space = space_make((enum terrane_backing)backing);
        struct tn_run run;
        contents_write(take(space, &run), RUN_BYTES, 1);
        give(space, &run);
        assert_int_equal(punches, 1);
        assert_int_equal(mappings, 0);
        assert_true(counts <= (backing == TERRANE_BACKING_SCRATCH)); /* memory is never written */
        assert_true(elided(space) == 0 || backing == TERRANE_BACKING_SCRATCH);
        tn_space_audit(space);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

/* A run that was moved shows another one's extents, which go when it goes. */
static void test_moved_run_goes_in_few_calls(void **state)
{
    (void)state;
    struct terrane_space *space = space_make(TERRANE_BACKING_SCRATCH);
    struct tn_run source, target;
    char *from = take(space, &source);
    char *to = take(space, &target);
    contents_write(from, RUN_BYTES, 2);
    assert_int_equal(tn_space_move(space, from, space, to, RUN_BYTES), 0);
    give(space, &source); /* parked as long as the target shows it */
    assert_int_equal(punches, 0);
    assert_int_equal(contents_wrong(to, RUN_BYTES, 2), RUN_BYTES);
    give(space, &target);
    assert_int_equal(punches, 2); /* the source's extents, and its own */
    assert_int_equal(mappings, 1);
    tn_space_audit(space);
    assert_int_equal(tn_counted(space, TN_COUNT_MAPPINGS), 0);
    uint64_t taken = 1;
    assert_int_equal(tn_os_file_taken(space->fd, &taken), 0);
    assert_true(taken < TN_BLOCK_BYTES);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_unwritten_bytes_are_counted(void **state)
{
    (void)state;
    struct terrane_space *space = disk_space();
    if (space == NULL)
        return;
    uint64_t before = elided(space);
    struct tn_run run;
    char *addr = take(space, &run);
    memset(addr, 1, RUN_BYTES);
    give(space, &run);
    assert_int_equal(counts, 1);
    assert_int_equal(elided(space) - before, RUN_BYTES);

    before = elided(space);
    addr = take(space, &run);
    memset(addr, 1, RUN_BYTES);
    assert_int_equal(
        tn_os_file_write_out(space->fd, tn_offset_of(space, addr), RUN_BYTES / 4, true), 0);
    give(space, &run);
    assert_int_equal(elided(space) - before, RUN_BYTES / 4 * 3);

    before = elided(space);
    (void)take(space, &run); /* and not touched */
    give(space, &run);
    assert_int_equal(elided(space) - before, 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Kernels before 6.5, known and not known to be so. */
static void test_without_counts_nothing_is_said(void **state)
{
    (void)state;
    struct tn_os_features features = *tn_os_features();
    const struct tn_os_features found = features;
    features.cached = false;
    for (unsigned announced = 0; announced < 2; announced++) {
        struct terrane_space *space = space_make(TERRANE_BACKING_SCRATCH);
        struct tn_run run;
        tn_os_features_override(announced != 0 ? &features : &found);
        refuse_counts = true;
        memset(take(space, &run), 1, RUN_BYTES);
        give(space, &run);
        assert_int_equal(punches, 1);
        assert_int_equal(counts, announced == 0 && found.cached);
        assert_int_equal(elided(space), 0);
        refuse_counts = false;
        tn_os_features_override(&found);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

int main(void)
{
    (void)tn_os_features(); /* the probe maps files as well */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_run_is_one_punch),
        cmocka_unit_test(test_moved_run_goes_in_few_calls),
        cmocka_unit_test(test_unwritten_bytes_are_counted),
        cmocka_unit_test(test_without_counts_nothing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
