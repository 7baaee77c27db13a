/* A resident budget, step by step, on a clock of the test's own: what is over it goes to the disk
 * and comes back right, what is used stays, what is cold goes first, and a file system in memory is
 * told apart. */
#include "contents.h"
#include "os/os.h"
#include "pool/budget.h"
#include "pool/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define RUN_BYTES (4 * TN_MIB)
#define RUNS      24
#define BUDGET    (32 * TN_MIB)

/* ---- the fake kernel ---- */

/* A space whose budget somebody ends while another thread waits for it, and how long that one still
 * asks for the time. */
static struct terrane_space *ending;
static unsigned looks_left;

/* A clock on which next to nothing takes time, so that no rate is learnt. */
uint64_t __wrap_tn_os_clock_ns(void);
uint64_t __wrap_tn_os_clock_ns(void)
{
    static uint64_t now_ns = 1;
    if (ending != NULL) {
        tn_budget_set(ending, 0);
        assert_true(looks_left-- > 0);
    }
    return now_ns++;
}

/* ---- helpers ---- */

static const char *scratch_dir(void)
{
    const char *dir = getenv("TMPDIR");
    return dir != NULL ? dir : "/tmp";
}

static struct terrane_space *space_in(const char *dir)
{
    struct terrane_space *space = NULL;
    const struct terrane_space_options options = {
        .backing = TERRANE_BACKING_SCRATCH, .window_bytes = TN_GIB, .scratch_dir = dir};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    return space;
}

/* A space with a budget on a disk; skips the test where there is none. */
static struct terrane_space *space_with_budget(void)
{
    struct terrane_space *space = space_in(scratch_dir());
    const int error = tn_budget_prepare(space);
    if (error == -ENOTSUP) {
        print_message("%s is not on a disk\n", scratch_dir());
        assert_int_equal(terrane_space_destroy(space), 0);
        skip();
    }
    assert_int_equal(error, 0);
    tn_budget_set(space, BUDGET);
    assert_int_equal(tn_budget_bytes(space), BUDGET);
    return space;
}

static char *take(struct terrane_space *space)
{
    struct tn_run run;
    const struct tn_wish wish = {.bytes = RUN_BYTES, .whole = true};
    assert_int_equal(tn_pool_acquire(space, &wish, &run), 0);
    return tn_block_addr(space, run.block);
}

static size_t resident_bytes(char *addr, size_t bytes)
{
    static unsigned char present[RUNS * RUN_BYTES / 4096];
    size_t pages = 0;
    assert_int_equal(tn_os_resident(addr, bytes, present), 0);
    for (size_t i = 0; i < bytes / tn_os_page_bytes(); i++)
        pages += present[i] & 1;
    return pages * tn_os_page_bytes();
}

static size_t resident_of_space(struct terrane_space *space)
{
    return resident_bytes(space->base, RUNS * RUN_BYTES);
}

/* Steps until there is nothing more to be done at once. */
static void settle(struct terrane_space *space)
{
    for (unsigned steps = 0; steps < 1000; steps++) {
        const uint64_t now_ns = tn_os_clock_ns();
        const uint64_t next_ns = tn_budget_step(space, now_ns);
        assert_true(next_ns > now_ns);
        if (next_ns > now_ns + 1)
            return;
    }
    fail_msg("no end of steps");
}

static void fill(struct terrane_space *space, char *runs[RUNS])
{
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = take(space);
        contents_write(runs[i], RUN_BYTES, i);
        settle(space);
        assert_true(resident_of_space(space) <= BUDGET);
    }
}

static void check(char *const runs[RUNS], size_t i)
{
    assert_int_equal(contents_wrong(runs[i], RUN_BYTES, i), RUN_BYTES);
}

static uint64_t evicted(const struct terrane_space *space)
{
    return atomic_load_explicit(&space->pool_counters[TN_POOL_EVICTED_BYTES], memory_order_relaxed);
}

/* ---- tests ---- */

static void test_contents_go_and_come_back(void **state)
{
    (void)state;
    struct terrane_space *space = space_with_budget();
    char *runs[RUNS];
    fill(space, runs);
    settle(space);
    assert_true(evicted(space) >= RUNS * RUN_BYTES - BUDGET);
    for (size_t i = 0; i < RUNS; i++) {
        check(runs, i);
        settle(space);
        assert_true(resident_of_space(space) <= BUDGET);
    }
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_without_need_nothing_is_disturbed(void **state)
{
    (void)state;
    struct terrane_space *space = space_with_budget();
    char *run = take(space);
    contents_write(run, RUN_BYTES, 0);
    settle(space);
    size_t mapped = 0;
    assert_int_equal(tn_os_mapped_pages(run, RUN_BYTES, &mapped), 0);
    assert_int_equal(mapped * tn_os_page_bytes(), RUN_BYTES);
    assert_int_equal(evicted(space), 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* One run is used between all others: its pages are never read back. */
static void test_used_runs_stay(void **state)
{
    (void)state;
    struct terrane_space *space = space_with_budget();
    char *runs[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = take(space);
        contents_write(runs[i], RUN_BYTES, i);
        check(runs, 0);
        settle(space);
        assert_int_equal(resident_bytes(runs[0], RUN_BYTES), RUN_BYTES);
    }
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_cold_runs_go_first(void **state)
{
    (void)state;
    struct terrane_space *space = space_with_budget();
    char *runs[RUNS];
    enum { FEW = 6, COLD = 4 }; /* of which all fit */
    for (size_t i = 0; i < FEW; i++) {
        runs[i] = take(space);
        contents_write(runs[i], RUN_BYTES, i);
    }
    settle(space);
    assert_int_equal(resident_of_space(space), FEW * RUN_BYTES);
    tn_budget_cold(space, runs[COLD], RUN_BYTES);
    for (size_t i = FEW; i < FEW + 2; i++) {
        runs[i] = take(space);
        contents_write(runs[i], RUN_BYTES, i);
    }
    settle(space);
    assert_true(resident_bytes(runs[COLD], RUN_BYTES) == 0);
    for (size_t i = 0; i < FEW; i++) {
        assert_true(i == COLD || resident_bytes(runs[i], RUN_BYTES) == RUN_BYTES);
        check(runs, i);
    }
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Pages that were moved to other addresses count where they are. */
static void test_moved_runs_go_too(void **state)
{
    (void)state;
    struct terrane_space *space = space_with_budget();
    char *runs[RUNS];
    for (size_t i = 0; i < RUNS / 2; i++) {
        char *from = take(space);
        contents_write(from, RUN_BYTES, i);
        runs[i] = take(space);
        assert_int_equal(tn_space_move(space, from, space, runs[i], RUN_BYTES), 0);
        tn_space_uncharge(space, RUN_BYTES);
        tn_space_retire(space, tn_block_of(space, from), tn_order_of_bytes(RUN_BYTES));
        settle(space);
        struct tn_os_cached cached = {.resident_bytes = 0};
        (void)tn_os_file_cached(space->fd, 0, RUNS * RUN_BYTES, &cached);
        assert_true(cached.resident_bytes <= BUDGET);
    }
    for (size_t i = 0; i < RUNS / 2; i++)
        check(runs, i);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_budget_ends(void **state)
{
    (void)state;
    struct terrane_space *space = space_with_budget();
    tn_budget_set(space, 0);
    assert_int_equal(tn_budget_bytes(space), 0);
    for (size_t i = 0; i < RUNS; i++)
        contents_write(take(space), RUN_BYTES, i);
    assert_int_equal(tn_budget_step(space, 1), 0);
    assert_int_equal(resident_of_space(space), RUNS * RUN_BYTES);
    assert_int_equal(evicted(space), 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Who waits for room is let go when there is no budget any more. */
static void test_budget_ends_meanwhile(void **state)
{
    (void)state;
    struct terrane_space *space = space_with_budget();
    for (size_t i = 0; i < RUNS; i++)
        contents_write(take(space), RUN_BYTES, i);
    ending = space;
    looks_left = 10;
    tn_budget_admit(space, RUN_BYTES);
    ending = NULL;
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* The kernel before 6.5: every page is looked at. */
static void test_without_counts(void **state)
{
    const struct tn_os_features found = *tn_os_features();
    struct tn_os_features features = found;
    features.cached = false;
    tn_os_features_override(&features);
    test_contents_go_and_come_back(state);
    tn_os_features_override(&found);
}

static void test_refused_where_nothing_can_be_dropped(void **state)
{
    (void)state;
    struct terrane_space *space = NULL;
    const struct terrane_space_options options = {.backing = TERRANE_BACKING_MEMFD,
                                                  .window_bytes = TN_GIB};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    assert_int_equal(tn_budget_prepare(space), -EINVAL);
    assert_int_equal(terrane_space_destroy(space), 0);
    if (access("/dev/shm", W_OK) != 0)
        skip();
    space = space_in("/dev/shm");
    assert_int_equal(tn_budget_prepare(space), -ENOTSUP);
    assert_int_equal(tn_budget_bytes(space), 0);
    assert_int_equal(tn_budget_step(space, 1), 0);
    uint64_t taken = 1;
    assert_int_equal(tn_os_file_taken(space->fd, &taken), 0);
    assert_int_equal(taken, 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents_go_and_come_back),
        cmocka_unit_test(test_without_need_nothing_is_disturbed),
        cmocka_unit_test(test_used_runs_stay),
        cmocka_unit_test(test_cold_runs_go_first),
        cmocka_unit_test(test_moved_runs_go_too),
        cmocka_unit_test(test_budget_ends),
        cmocka_unit_test(test_budget_ends_meanwhile),
        cmocka_unit_test(test_without_counts),
        cmocka_unit_test(test_refused_where_nothing_can_be_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
