/* The pool: warm runs come first, what it calls zero is zero, what lies behind a run's bytes has no
 * pages, and what it may keep is bounded.
 *
 * Random histories write a pattern into every byte that they were given before they give it back,
 * so that a page which was kept unseen shows up in a run that should be zero, or behind one that
 * should end before it. SEED= replays, STEPS= sets the length. */
#include "os/os.h"
#include "pool/pool.h"
#include "seeds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PAGE     ((size_t)4096)
#define WINDOW   ((size_t)1 << 30)
#define RUNS_MAX 48
#define STEPS    3000

struct held {
    struct tn_run run;
    size_t bytes;
    uint64_t seed;
};

struct world {
    struct terrane_space *space;
    struct seeds seeds;
    struct held runs[RUNS_MAX];
    size_t count;
    unsigned zero_runs, warm_runs, cut_runs, grown, shrunk;
};

static struct terrane_space *space_make(enum terrane_backing backing)
{
    struct terrane_space *space = NULL;
    const struct terrane_space_options options = {.backing = backing, .window_bytes = WINDOW};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    return space;
}

static char *addr_of(const struct terrane_space *space, const struct held *held)
{
    return tn_block_addr(space, held->run.block);
}

static bool is_cut(const struct terrane_space *space, const struct held *held)
{
    return (space->buddy.nodes[held->run.block].flags & TN_RUN_CUT) != 0;
}

/* Addresses that belong to the run. */
static size_t owned_bytes(const struct terrane_space *space, const struct held *held)
{
    return is_cut(space, held) ? tn_round_up(held->bytes, TN_BLOCK_BYTES)
                               : tn_bytes_of_order(held->run.order);
}

static size_t resident_pages(char *from, size_t bytes)
{
    static unsigned char pages[(64 << 20) / 4096];
    size_t count = 0;
    for (size_t at = 0, part; at < bytes; at += part) {
        part = tn_min(bytes - at, sizeof(pages) * PAGE);
        assert_int_equal(tn_os_resident(from + at, part, pages), 0);
        for (size_t i = 0; i < part / PAGE; i++)
            count += pages[i] & 1;
    }
    return count;
}

/* Looks only at pages that are there: a look would bring the others in. */
static void assert_zero(char *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PAGE) {
        if (resident_pages(from + at, PAGE) != 0)
            assert_int_equal(contents_nonzero(from + at, PAGE), PAGE);
    }
}

/* ---- steps of random histories ---- */

static size_t random_bytes(struct world *world)
{
    const size_t bytes = seeds_size(&world->seeds, 22);
    return tn_round_up(tn_max(bytes, 1), PAGE);
}

static void fill(struct world *world, struct held *held)
{
    held->seed = seeds_next(&world->seeds);
    contents_write(addr_of(world->space, held), held->bytes, held->seed);
}

static void check_behind(const struct world *world, const struct held *held)
{
    const size_t used = tn_bytes_of_order(tn_order_of_bytes(held->bytes));
    const size_t owned = owned_bytes(world->space, held);
    char *addr = addr_of(world->space, held);
    assert_true(owned >= held->bytes);
    if (owned > used && world->space->backing == TERRANE_BACKING_PRIVATE)
        assert_int_equal(resident_pages(addr + used, owned - used), 0);
    else if (owned > used)
        assert_zero(addr + used, owned - used);
}

static void step_acquire(struct world *world)
{
    struct held *held = &world->runs[world->count];
    held->bytes = random_bytes(world);
    const struct tn_wish wish = {.bytes = held->bytes,
                                 .slack = (unsigned)seeds_below(&world->seeds, 3),
                                 .cold = seeds_chance(&world->seeds, 10),
                                 .warm = seeds_chance(&world->seeds, 10),
                                 .whole = seeds_chance(&world->seeds, 20)};
    const struct tn_wish asked =
        wish.warm ? (struct tn_wish){.bytes = wish.bytes, .warm = true} : wish;
    const int error = tn_pool_acquire(world->space, &asked, &held->run);
    assert_true(error == 0 || (asked.warm && error == -EAGAIN));
    if (error != 0)
        return;
    world->count++;
    world->zero_runs += held->run.zero;
    world->warm_runs += !held->run.zero;
    world->cut_runs += is_cut(world->space, held);
    assert_true(!(asked.whole && is_cut(world->space, held)));
    if (held->run.zero || asked.cold)
        assert_zero(addr_of(world->space, held), owned_bytes(world->space, held));
    check_behind(world, held);
    fill(world, held);
}

static void forget(struct world *world, struct held *held)
{
    *held = world->runs[--world->count];
}

static void step_release(struct world *world, struct held *held)
{
    tn_pool_release(world->space, held->run.block, held->run.order, held->bytes);
    forget(world, held);
}

/* As after a move, which takes the pages of the used bytes and no others. */
static void step_release_empty(struct world *world, struct held *held)
{
    char *addr = addr_of(world->space, held);
    assert_int_equal(tn_space_discard(world->space, addr, held->bytes), 0);
    tn_pool_release_empty(world->space, held->run.block, held->run.order, held->bytes);
    forget(world, held);
}

static void step_resize(struct world *world, struct held *held)
{
    const size_t bytes = random_bytes(world);
    const size_t kept = tn_min(bytes, held->bytes);
    if (bytes == held->bytes)
        return;
    const int error =
        tn_pool_resize(world->space, held->run.block, &held->run.order, held->bytes, bytes);
    assert_true(error == 0 || (error == -ENOMEM && bytes > held->bytes));
    if (error == 0) {
        world->grown += bytes > held->bytes;
        world->shrunk += bytes < held->bytes;
        held->bytes = bytes;
    }
    assert_true(contents_intact(addr_of(world->space, held), kept, held->seed));
    check_behind(world, held);
    fill(world, held);
}

static void step_on_run(struct world *world)
{
    if (world->count == 0)
        return;
    struct held *held = &world->runs[seeds_below(&world->seeds, world->count)];
    assert_true(contents_intact(addr_of(world->space, held), held->bytes, held->seed));
    const uint64_t choice = seeds_below(&world->seeds, 100);
    if (choice < 50)
        step_resize(world, held);
    else if (choice < 60)
        step_release_empty(world, held);
    else
        step_release(world, held);
}

/* ---- whole checks ---- */

static void check_world(const struct world *world)
{
    uint64_t bytes = 0;
    tn_space_audit(world->space);
    for (size_t i = 0; i < world->count; i++) {
        const struct held *held = &world->runs[i];
        assert_true(contents_intact(addr_of(world->space, held), held->bytes, held->seed));
        check_behind(world, held);
        bytes += held->bytes;
    }
    assert_int_equal(tn_counted(world->space, TN_COUNT_RUN_BYTES), bytes);
}

/* After a trim nothing of what is free has a page. */
static void check_trimmed(const struct world *world)
{
    const struct terrane_space *space = world->space;
    assert_int_equal(tn_counted(space, TN_COUNT_DIRTY_BYTES), 0);
    assert_int_equal(space->buddy.free_blocks[TN_RUN_DIRTY], 0);
    size_t pages = 0;
    for (size_t i = 0; i < world->count; i++)
        pages += owned_bytes(space, &world->runs[i]) / PAGE;
    assert_true(resident_pages(space->base, (size_t)space->buddy.frontier << TN_BLOCK_SHIFT) <=
                pages);
}

static void history(enum terrane_backing backing, uint64_t seed)
{
    struct world world = {.space = space_make(backing), .seeds = seeds_stream(seed, backing)};
    const uint64_t steps = environment_number("STEPS", STEPS);
    for (uint64_t i = 0; i < steps; i++) {
        if (world.count < RUNS_MAX && seeds_chance(&world.seeds, 50))
            step_acquire(&world);
        else
            step_on_run(&world);
        if (i % 16 == 0)
            check_world(&world);
        if (seeds_chance(&world.seeds, 1)) {
            (void)tn_pool_trim(world.space);
            check_trimmed(&world);
        }
    }
    if (steps >= STEPS) {
        assert_true(world.zero_runs > 0 && world.warm_runs > 0);
        assert_true(world.grown > 0 && world.shrunk > 0);
        assert_true(backing != TERRANE_BACKING_PRIVATE || world.cut_runs > 0);
    }
    while (world.count > 0)
        step_release(&world, &world.runs[0]);
    (void)tn_pool_trim(world.space);
    check_trimmed(&world);
    check_world(&world);
    assert_int_equal(terrane_space_destroy(world.space), 0);
}

static void test_private_histories(void **state)
{
    (void)state;
    history(TERRANE_BACKING_PRIVATE, seeds_announce("warm_pool, private"));
}

static void test_shared_histories(void **state)
{
    (void)state;
    history(TERRANE_BACKING_MEMFD, seeds_announce("warm_pool, shared"));
}

/* ---- warm runs ---- */

static struct tn_run written_run(struct terrane_space *space, size_t bytes)
{
    struct tn_run run;
    assert_int_equal(tn_pool_acquire(space, &(struct tn_wish){.bytes = bytes}, &run), 0);
    memset(tn_block_addr(space, run.block), 0xa5, bytes);
    return run;
}

static void test_warm_first(void **state)
{
    (void)state;
    struct terrane_space *space = space_make(TERRANE_BACKING_PRIVATE);
    const struct tn_run a = written_run(space, TN_MIB), b = written_run(space, TN_MIB);
    assert_true(a.zero && b.zero);
    tn_pool_release(space, a.block, a.order, TN_MIB);
    tn_pool_release(space, b.block, b.order, TN_MIB);
    assert_int_equal(tn_counted(space, TN_COUNT_DIRTY_BYTES), 2 * TN_MIB);
    const struct tn_run newest = written_run(space, TN_MIB), other = written_run(space, TN_MIB);
    assert_false(newest.zero || other.zero);
    assert_int_equal(newest.block, b.block);
    assert_int_equal(other.block, a.block);
    assert_int_equal(tn_counted(space, TN_COUNT_DIRTY_BYTES), 0);
    struct tn_run none;
    assert_int_equal(
        tn_pool_acquire(space, &(struct tn_wish){.bytes = TN_MIB, .warm = true}, &none), -EAGAIN);
    assert_int_equal(tn_counted(space, TN_COUNT_RUN_BYTES), 2 * TN_MIB);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Of two warm runs of one order the wish takes the one with the fewest warm pages that do. */
static void test_best_fit(void **state)
{
    (void)state;
    struct terrane_space *space = space_make(TERRANE_BACKING_PRIVATE);
    const size_t less = 5 * TN_MIB / 8, more = TN_MIB;
    const struct tn_run small = written_run(space, less), large = written_run(space, more);
    tn_pool_release(space, small.block, small.order, less);
    tn_pool_release(space, large.block, large.order, more);
    assert_int_equal(written_run(space, less).block, small.block);
    assert_int_equal(written_run(space, less).block, large.block);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* A warm run that is far too large is cut; its other blocks stay warm and serve the next. */
static void test_cutting(void **state)
{
    (void)state;
    struct terrane_space *space = space_make(TERRANE_BACKING_PRIVATE);
    const size_t wish = 3 * TN_BLOCK_BYTES;
    const struct tn_run whole = written_run(space, TN_MIB);
    tn_pool_release(space, whole.block, whole.order, TN_MIB);
    const struct tn_run first = written_run(space, wish);
    assert_int_equal(first.block, whole.block);
    assert_false(first.zero);
    assert_true(space->buddy.nodes[first.block].flags & TN_RUN_CUT);
    assert_int_equal(tn_counted(space, TN_COUNT_DIRTY_BYTES), TN_MIB - wish);
    const struct tn_run second = written_run(space, TN_MIB / 2);
    assert_int_equal(second.block, whole.block + 8);
    tn_pool_release(space, second.block, second.order, TN_MIB / 2);
    unsigned order = first.order;
    /* Its own blocks are free again, so it may have them back, and more. */
    assert_int_equal(tn_pool_resize(space, first.block, &order, wish, TN_MIB / 4), 0);
    tn_pool_release(space, first.block, order, TN_MIB / 4);
    tn_space_audit(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Slack is addresses: nothing behind the bytes is touched, and growing into it moves nothing. */
static void test_slack(void **state)
{
    (void)state;
    struct terrane_space *space = space_make(TERRANE_BACKING_PRIVATE);
    const struct tn_wish wish = {.bytes = TN_MIB, .slack = 2};
    struct tn_run run;
    assert_int_equal(tn_pool_acquire(space, &wish, &run), 0);
    assert_int_equal(run.order, tn_order_of_bytes(TN_MIB) + 2);
    char *addr = tn_block_addr(space, run.block);
    memset(addr, 1, TN_MIB);
    unsigned order = run.order;
    assert_int_equal(tn_pool_resize(space, run.block, &order, TN_MIB, 4 * TN_MIB), 0);
    assert_int_equal(order, run.order);
    assert_zero(addr + TN_MIB, 3 * TN_MIB);
    tn_pool_release(space, run.block, order, 4 * TN_MIB);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* ---- what may stay ---- */

/* Never more than 32 MiB or half the peak, whatever the sizes. */
static void check_budget(size_t bytes, unsigned count)
{
    struct terrane_space *space = space_make(TERRANE_BACKING_PRIVATE);
    struct tn_run *runs = calloc(count, sizeof(runs[0]));
    assert_non_null(runs);
    for (unsigned i = 0; i < count; i++)
        runs[i] = written_run(space, bytes);
    const size_t budget = tn_max(32 * TN_MIB, bytes * count / 2);
    for (unsigned i = 0; i < count; i++) {
        tn_pool_release(space, runs[i].block, runs[i].order, bytes);
        assert_true(tn_counted(space, TN_COUNT_DIRTY_BYTES) <= budget);
    }
    const size_t dirty = tn_counted(space, TN_COUNT_DIRTY_BYTES);
    const size_t span = (size_t)space->buddy.frontier << TN_BLOCK_SHIFT;
    assert_true(dirty > 0);
    assert_true(resident_pages(space->base, span) * PAGE <= dirty);
    assert_true(tn_pool_trim(space) >= dirty);
    assert_int_equal(resident_pages(space->base, span), 0);
    assert_int_equal(tn_counted(space, TN_COUNT_DIRTY_BYTES), 0);
    assert_int_equal(tn_pool_trim(space), 0);
    free(runs);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_budget(void **state)
{
    (void)state;
    check_budget(TN_BLOCK_BYTES, 1500);
    check_budget(TN_MIB, 96);
    check_budget(3 * TN_MIB + PAGE, 24);
}

/* Small warm runs are of no use to large wishes. They do not stay beside them: all together stays
 * within a sixteenth and 512 KiB of the most that was in use at a time. */
static void test_room(void **state)
{
    (void)state;
    enum { SMALL = 16 * 24, LARGE = 24 };
    struct terrane_space *space = space_make(TERRANE_BACKING_PRIVATE);
    struct tn_run runs[SMALL];
    for (unsigned i = 0; i < SMALL; i++)
        runs[i] = written_run(space, TN_BLOCK_BYTES);
    const struct tn_run between = written_run(space, TN_BLOCK_BYTES);
    for (unsigned i = 0; i < SMALL; i++)
        tn_pool_release(space, runs[i].block, runs[i].order, TN_BLOCK_BYTES);
    assert_int_equal(tn_counted(space, TN_COUNT_DIRTY_BYTES), SMALL * TN_BLOCK_BYTES);
    const size_t peak = tn_counted(space, TN_COUNT_RUN_BYTES_PEAK);
    for (unsigned i = 0; i < LARGE; i++) {
        runs[i] = written_run(space, TN_MIB);
        const size_t used = tn_counted(space, TN_COUNT_RUN_BYTES);
        assert_true(used + tn_counted(space, TN_COUNT_DIRTY_BYTES) <=
                    peak + peak / 16 + 512 * TN_KIB);
    }
    assert_true(tn_counted(space, TN_COUNT_DIRTY_BYTES) > 0);
    for (unsigned i = 0; i < LARGE; i++)
        tn_pool_release(space, runs[i].block, runs[i].order, TN_MIB);
    tn_pool_release(space, between.block, between.order, TN_BLOCK_BYTES);
    tn_space_audit(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* The limit is of bytes handed out; a refusal changes nothing. */
static void test_limit(void **state)
{
    (void)state;
    struct terrane_space *space = NULL;
    const struct terrane_space_options options = {.window_bytes = WINDOW, .limit_bytes = TN_MIB};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    struct tn_run run = written_run(space, TN_MIB), none;
    assert_int_equal(tn_pool_acquire(space, &(struct tn_wish){.bytes = PAGE}, &none), -ENOMEM);
    assert_int_equal(tn_pool_resize(space, run.block, &run.order, TN_MIB, TN_MIB + PAGE), -ENOMEM);
    assert_int_equal(tn_counted(space, TN_COUNT_RUN_BYTES), TN_MIB);
    tn_pool_release(space, run.block, run.order, TN_MIB);
    run = written_run(space, TN_MIB);
    tn_space_audit(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warm_first),
        cmocka_unit_test(test_best_fit),
        cmocka_unit_test(test_cutting),
        cmocka_unit_test(test_slack),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_private_histories),
        cmocka_unit_test(test_shared_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
