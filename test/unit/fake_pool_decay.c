/* What the pool gives back by age, on a clock of our own; and that nothing is lost sight of when
 * the kernel refuses to take pages. */
#include "contents.h"
#include "os/os.h"
#include "pool/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RUNS      16
#define RUN_BYTES TN_MIB
#define SECOND_NS ((uint64_t)1000000000)

/* ---- the fake kernel ---- */

static uint64_t now_ns = 1000 * SECOND_NS;
static bool refuse_discard;

uint64_t __wrap_tn_os_clock_ns(void);
uint64_t __wrap_tn_os_clock_ns(void)
{
    return now_ns;
}

int __real_tn_os_discard(void *addr, size_t size);
int __wrap_tn_os_discard(void *addr, size_t size);
int __wrap_tn_os_discard(void *addr, size_t size)
{
    return refuse_discard ? -ENOMEM : __real_tn_os_discard(addr, size);
}

/* ---- helpers ---- */

struct pool {
    struct terrane_space *space;
    struct tn_run runs[RUNS];
    unsigned held;
};

static struct pool pool_make(void)
{
    struct pool pool = {0};
    const struct terrane_space_options options = {.window_bytes = TN_GIB};
    assert_int_equal(terrane_space_create(&options, &pool.space), 0);
    return pool;
}

static void take(struct pool *pool, unsigned count)
{
    const struct tn_wish wish = {.bytes = RUN_BYTES};
    for (; pool->held < count; pool->held++) {
        struct tn_run *run = &pool->runs[pool->held];
        assert_int_equal(tn_pool_acquire(pool->space, &wish, run), 0);
        memset(tn_block_addr(pool->space, run->block), 0xa5, RUN_BYTES);
    }
}

static void give(struct pool *pool)
{
    while (pool->held > 0) {
        const struct tn_run *run = &pool->runs[--pool->held];
        tn_pool_release(pool->space, run->block, run->order, RUN_BYTES);
    }
}

static uint64_t dirty_bytes(const struct pool *pool)
{
    tn_space_audit(pool->space);
    return tn_counted(pool->space, TN_COUNT_DIRTY_BYTES);
}

static void one_pair(struct pool *pool)
{
    take(pool, 1);
    give(pool);
}

/* ---- decay ---- */

/* As long as no time passes, or everything is used in every period, all of it stays. */
static void test_used_stays(void **state)
{
    (void)state;
    struct pool pool = pool_make();
    for (unsigned i = 0; i < 20; i++) {
        take(&pool, RUNS);
        give(&pool);
        assert_int_equal(dirty_bytes(&pool), RUNS * RUN_BYTES);
        now_ns += SECOND_NS;
    }
    now_ns -= SECOND_NS;
    for (unsigned i = 0; i < 1000; i++) /* no time has passed since the last round */
        one_pair(&pool);
    assert_int_equal(dirty_bytes(&pool), RUNS * RUN_BYTES);
    assert_int_equal(terrane_space_destroy(pool.space), 0);
}

/* Of what nobody wants, half is gone after half the time and all after the whole; what is used all
 * the time stays. */
static void test_unused_fades(void **state)
{
    (void)state;
    struct pool pool = pool_make();
    take(&pool, RUNS);
    give(&pool);
    uint64_t before = dirty_bytes(&pool);
    assert_int_equal(before, RUNS * RUN_BYTES);
    for (unsigned percent = 1; percent <= 110; percent++) {
        now_ns += SECOND_NS / 100;
        one_pair(&pool);
        const uint64_t after = dirty_bytes(&pool);
        assert_true(after <= before);
        assert_true(before - after <= 2 * RUN_BYTES); /* smoothly */
        before = after;
        if (percent == 50)
            assert_in_range(after, (RUNS / 2 - 1) * RUN_BYTES, (RUNS / 2 + 3) * RUN_BYTES);
    }
    assert_int_equal(before, RUN_BYTES);
    assert_int_equal(terrane_space_destroy(pool.space), 0);
}

/* A clock that stands still or jumps does no harm. */
static void test_odd_clocks(void **state)
{
    (void)state;
    struct pool pool = pool_make();
    now_ns = 0;
    take(&pool, RUNS);
    give(&pool);
    now_ns = UINT64_MAX;
    one_pair(&pool);
    assert_true(dirty_bytes(&pool) <= RUNS * RUN_BYTES);
    now_ns = 1000 * SECOND_NS;
    one_pair(&pool);
    assert_true(dirty_bytes(&pool) <= RUNS * RUN_BYTES);
    assert_int_equal(terrane_space_destroy(pool.space), 0);
}

/* ---- refusals ---- */

static void assert_zero_runs(struct terrane_space *space)
{
    struct tn_run run;
    const struct tn_wish wish = {.bytes = RUN_BYTES, .slack = 1}; /* with slack: only clean ones */
    for (unsigned i = 0; i < 2 * RUNS; i++) {
        assert_int_equal(tn_pool_acquire(space, &wish, &run), 0);
        if (run.zero)
            assert_int_equal(contents_nonzero(tn_block_addr(space, run.block), RUN_BYTES),
                             RUN_BYTES);
    }
}

/* A trim that the kernel refuses ends, and what it could not give back is still dirty. */
static void test_refused_trim(void **state)
{
    (void)state;
    struct pool pool = pool_make();
    take(&pool, RUNS);
    give(&pool);
    refuse_discard = true;
    (void)tn_pool_trim(pool.space);
    assert_int_equal(dirty_bytes(&pool), RUNS * RUN_BYTES);
    assert_zero_runs(pool.space);
    refuse_discard = false;
    assert_int_equal(terrane_space_destroy(pool.space), 0);
}

/* A shrink that is refused changes nothing. */
static void test_refused_shrink(void **state)
{
    (void)state;
    struct pool pool = pool_make();
    take(&pool, 1);
    unsigned order = pool.runs[0].order;
    refuse_discard = true;
    assert_int_equal(
        tn_pool_resize(pool.space, pool.runs[0].block, &order, RUN_BYTES, TN_BLOCK_BYTES), -ENOMEM);
    refuse_discard = false;
    assert_int_equal(order, pool.runs[0].order);
    assert_int_equal(tn_counted(pool.space, TN_COUNT_RUN_BYTES), RUN_BYTES);
    give(&pool);
    assert_int_equal(dirty_bytes(&pool), RUN_BYTES);
    assert_zero_runs(pool.space);
    assert_int_equal(terrane_space_destroy(pool.space), 0);
}

/* A cut run that takes warm blocks back which the kernel does not take: the object grows, and the
 * blocks behind it stay warm to the pool. */
static void test_refused_gain(void **state)
{
    (void)state;
    struct pool pool = pool_make();
    take(&pool, 1);
    give(&pool);
    struct tn_run run;
    const struct tn_wish wish = {.bytes = 3 * TN_BLOCK_BYTES};
    assert_int_equal(tn_pool_acquire(pool.space, &wish, &run), 0);
    assert_true(pool.space->buddy.nodes[run.block].flags & TN_RUN_CUT);
    refuse_discard = true;
    const int error =
        tn_pool_resize(pool.space, run.block, &run.order, wish.bytes, 4 * TN_BLOCK_BYTES);
    const size_t bytes = error == 0 ? 4 * TN_BLOCK_BYTES : wish.bytes;
    tn_pool_release_empty(pool.space, run.block, run.order, bytes);
    refuse_discard = false;
    assert_zero_runs(pool.space);
    tn_space_audit(pool.space);
    assert_int_equal(terrane_space_destroy(pool.space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_used_stays),     cmocka_unit_test(test_unused_fades),
        cmocka_unit_test(test_odd_clocks),     cmocka_unit_test(test_refused_trim),
        cmocka_unit_test(test_refused_shrink), cmocka_unit_test(test_refused_gain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
