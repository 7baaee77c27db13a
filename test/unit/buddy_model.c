/* The buddy against a plain model: one byte for each block. Random histories of every call; after
 * each step the free lists are compared with the model block by block, so that no two runs overlap
 * and the state of every block is known. SEED= replays, STEPS= sets the length. */
#include "base/base.h"
#include "seeds.h"
#include "space/buddy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BLOCKS_MAX 800
#define RUNS_MAX   800
#define STEPS      6000

enum block_state { NEVER, CLEAN, DIRTY, USED };

/* A run that the test holds. Its first node carries a mark, which must stay with it. */
struct held {
    uint32_t block;
    unsigned order;  /* as taken, extended or shrunk */
    uint32_t blocks; /* 2^order, fewer if cut */
    bool cut;
    uint8_t mark;
};

struct world {
    struct tn_buddy buddy;
    struct tn_node nodes[BLOCKS_MAX + 1];
    uint32_t block_count;
    enum block_state blocks[BLOCKS_MAX];
    struct held runs[RUNS_MAX];
    size_t run_count;
    struct seeds seeds;
};

static enum block_state model_of(enum tn_run_state state)
{
    return state == TN_RUN_DIRTY ? DIRTY : CLEAN;
}

/* ---- what the model says ---- */

static bool range_is(const struct world *world, uint64_t from, uint64_t to, enum block_state state)
{
    if (to > world->block_count)
        return false;
    for (uint64_t at = from; at < to; at++) {
        if (world->blocks[at] != state)
            return false;
    }
    return true;
}

static bool has_run(const struct world *world, unsigned order, enum block_state state)
{
    const uint64_t size = (uint64_t)1 << order;
    for (uint64_t at = 0; at + size <= world->block_count; at += size) {
        if (range_is(world, at, at + size, state))
            return true;
    }
    return false;
}

static bool fits_behind_frontier(const struct world *world, unsigned order)
{
    const uint64_t size = (uint64_t)1 << order;
    return tn_round_up(world->buddy.frontier, size) + size <= world->block_count;
}

static void paint(struct world *world, uint64_t from, uint64_t to, enum block_state state)
{
    for (uint64_t at = from; at < to; at++)
        world->blocks[at] = state;
}

/* Blocks that the frontier has passed are clean if nobody took them. */
static void follow_frontier(struct world *world)
{
    for (uint32_t at = 0; at < world->buddy.frontier; at++) {
        if (world->blocks[at] == NEVER)
            world->blocks[at] = CLEAN;
    }
}

/* ---- comparing ---- */

/* Draws the free lists of one state into `seen`; each block once, no two buddies unjoined. */
static void draw_lists(const struct world *world, enum tn_run_state state, enum block_state *seen)
{
    const struct tn_buddy *buddy = &world->buddy;
    for (unsigned order = 0; order < TN_ORDERS; order++) {
        for (uint32_t at = buddy->head[state][order]; at != TN_BLOCK_NONE;
             at = buddy->nodes[at].next) {
            const uint32_t size = (uint32_t)1 << order;
            const uint32_t other = at ^ size;
            assert_true(at + size <= buddy->frontier);
            if (other + size <= buddy->frontier)
                assert_true(!range_is(world, other, other + size, model_of(state)));
            for (uint32_t i = at; i < at + size; i++) {
                assert_int_equal(seen[i], NEVER);
                seen[i] = model_of(state);
            }
        }
    }
}

static void check_run(const struct world *world, const struct held *run)
{
    const int order = tn_buddy_order(&world->buddy, run->block);
    if (run->cut)
        assert_in_range(order, 0, tn_highest_bit(run->blocks));
    else
        assert_int_equal(order, run->order);
    const uint8_t cut = run->cut ? TN_RUN_CUT : 0;
    assert_int_equal(world->nodes[run->block].flags, run->mark | cut);
}

static void check(const struct world *world)
{
    enum block_state seen[BLOCKS_MAX] = {NEVER};
    uint64_t count[USED + 1] = {0};
    tn_buddy_audit(&world->buddy);
    draw_lists(world, TN_RUN_CLEAN, seen);
    draw_lists(world, TN_RUN_DIRTY, seen);
    for (size_t i = 0; i < world->run_count; i++) {
        const struct held *run = &world->runs[i];
        check_run(world, run);
        for (uint32_t at = run->block; at < run->block + run->blocks; at++) {
            assert_int_equal(seen[at], NEVER);
            seen[at] = USED;
        }
    }
    for (uint32_t at = 0; at < world->block_count; at++) {
        if (seen[at] != world->blocks[at])
            fail_msg("block %u is %d, should be %d", at, (int)seen[at], (int)world->blocks[at]);
        count[seen[at]]++;
    }
    assert_int_equal(world->buddy.free_blocks[TN_RUN_CLEAN], count[CLEAN]);
    assert_int_equal(world->buddy.free_blocks[TN_RUN_DIRTY], count[DIRTY]);
    assert_int_equal(world->block_count - world->buddy.frontier, count[NEVER]);
}

/* ---- steps ---- */

static unsigned random_order(struct world *world)
{
    return (unsigned)seeds_below(&world->seeds, seeds_chance(&world->seeds, 70) ? 4 : 11);
}

static enum tn_run_state random_state(struct world *world)
{
    return seeds_chance(&world->seeds, 50) ? TN_RUN_DIRTY : TN_RUN_CLEAN;
}

/* A run that was just handed out. Its node says nothing yet. */
static void hold(struct world *world, uint32_t block, unsigned order)
{
    const uint32_t size = (uint32_t)1 << order;
    assert_true(world->run_count < RUNS_MAX);
    assert_int_equal(block & (size - 1), 0);
    assert_int_equal(world->nodes[block].flags, 0);
    assert_int_equal(world->nodes[block].extra, 0);
    assert_int_equal(world->nodes[block].warm, 0);
    const uint8_t mark = seeds_chance(&world->seeds, 50) ? TN_RUN_MOVED : 0;
    world->nodes[block].flags = mark;
    world->runs[world->run_count++] = (struct held){block, order, size, false, mark};
    paint(world, block, block + size, USED);
}

static void step_take(struct world *world)
{
    const unsigned order = random_order(world);
    const uint64_t size = (uint64_t)1 << order;
    const enum tn_run_state first = random_state(world);
    const enum tn_run_state second = first == TN_RUN_CLEAN ? TN_RUN_DIRTY : TN_RUN_CLEAN;
    const bool in_first = has_run(world, order, model_of(first));
    const bool in_second = has_run(world, order, model_of(second));
    const bool in_new = fits_behind_frontier(world, order);
    const uint64_t foreseen = tn_buddy_frontier_after(&world->buddy, order, first);
    struct tn_found found;
    const bool taken = tn_buddy_take(&world->buddy, order, first, &found);
    assert_int_equal(taken, in_first || in_second || in_new);
    assert_true(world->buddy.frontier <= foreseen);
    follow_frontier(world);
    if (!taken)
        return;
    assert_int_equal(found.state, in_first ? first : in_second ? second : TN_RUN_CLEAN);
    assert_true(range_is(world, found.block, found.block + size, model_of(found.state)));
    hold(world, found.block, order);
}

static void step_take_listed(struct world *world)
{
    const unsigned order = random_order(world);
    const enum tn_run_state state = random_state(world);
    const bool there = has_run(world, order, model_of(state));
    const uint32_t frontier = world->buddy.frontier;
    uint32_t block;
    assert_int_equal(tn_buddy_take_listed(&world->buddy, order, state, &block), there);
    assert_int_equal(world->buddy.frontier, frontier);
    if (!there)
        return;
    assert_true(range_is(world, block, block + ((uint64_t)1 << order), model_of(state)));
    hold(world, block, order);
}

static void step_take_dirty(struct world *world)
{
    uint32_t block;
    unsigned order = 0;
    if (!tn_buddy_take_dirty(&world->buddy, TN_ORDER_MAX, &block, &order)) {
        assert_false(has_run(world, 0, DIRTY));
        return;
    }
    assert_true(range_is(world, block, block + ((uint64_t)1 << order), DIRTY));
    assert_false(has_run(world, order + 1, DIRTY));
    hold(world, block, order);
}

static void drop(struct world *world, struct held *run, enum tn_run_state state)
{
    paint(world, run->block, run->block + run->blocks, model_of(state));
    *run = world->runs[--world->run_count];
}

static void step_give(struct world *world, struct held *run)
{
    const enum tn_run_state state = random_state(world);
    if (run->cut)
        tn_buddy_give_cut(&world->buddy, run->block, run->blocks, state);
    else
        tn_buddy_give(&world->buddy, run->block, run->order, state);
    drop(world, run, state);
}

/* Whether [from, from + size) may join a run in front of it, and how it changes the model. */
static bool can_join(const struct world *world, uint64_t from, uint64_t size, bool *dirty)
{
    *dirty = range_is(world, from, from + size, DIRTY);
    return *dirty || range_is(world, from, from + size, CLEAN) ||
           range_is(world, from, from + size, NEVER);
}

static void step_extend(struct world *world, struct held *run)
{
    if (run->cut)
        return;
    const unsigned wanted = run->order + 1 + (unsigned)seeds_below(&world->seeds, 3);
    bool possible = (run->block & (((uint64_t)1 << wanted) - 1)) == 0;
    bool dirty = false, any_dirty = false, reported = false;
    for (unsigned at = run->order; possible && at < wanted; at++) {
        const uint64_t size = (uint64_t)1 << at;
        possible = can_join(world, run->block + size, size, &dirty);
        any_dirty |= dirty;
    }
    assert_int_equal(tn_buddy_extend(&world->buddy, run->block, run->order, wanted, &reported),
                     possible);
    if (!possible)
        return;
    assert_int_equal(reported, any_dirty);
    run->order = wanted;
    run->blocks = (uint32_t)1 << wanted;
    paint(world, run->block, run->block + run->blocks, USED);
}

static void step_shrink(struct world *world, struct held *run)
{
    if (run->cut)
        return;
    const unsigned wanted = (unsigned)seeds_below(&world->seeds, run->order + 1);
    const enum tn_run_state state = random_state(world);
    tn_buddy_shrink(&world->buddy, run->block, run->order, wanted, state);
    const uint32_t kept = (uint32_t)1 << wanted;
    paint(world, run->block + kept, run->block + run->blocks, model_of(state));
    run->order = wanted;
    run->blocks = kept;
}

static void step_cut(struct world *world, struct held *run)
{
    if (run->blocks == 1)
        return;
    const uint32_t keep = 1 + (uint32_t)seeds_below(&world->seeds, run->blocks - 1);
    const enum tn_run_state state = random_state(world);
    tn_buddy_cut(&world->buddy, run->block, run->blocks, keep, state);
    paint(world, run->block + keep, run->block + run->blocks, model_of(state));
    run->blocks = keep;
    run->cut = true;
}

/* What lies behind a cut run falls into the aligned runs whose sizes are the bits that are missing.
 */
static void step_uncut(struct world *world, struct held *run)
{
    if (!run->cut)
        return;
    const uint64_t end = run->block + ((uint64_t)1 << run->order);
    bool possible = true, dirty = false, any_dirty = false, reported = false;
    for (uint64_t at = run->block + run->blocks; possible && at < end;) {
        const uint64_t size = at & -at;
        possible = can_join(world, at, size, &dirty);
        any_dirty |= dirty;
        at += size;
    }
    assert_int_equal(tn_buddy_uncut(&world->buddy, run->block, run->blocks, run->order, &reported),
                     possible);
    if (!possible)
        return;
    assert_int_equal(reported, any_dirty);
    run->cut = false;
    run->blocks = (uint32_t)1 << run->order;
    paint(world, run->block, end, USED);
}

/* One run becomes as many as it has blocks. */
static void step_split(struct world *world, struct held *run)
{
    if (run->cut || run->order > 3)
        return;
    const struct held whole = *run;
    *run = world->runs[--world->run_count];
    tn_buddy_split_used(&world->buddy, whole.block, whole.order);
    for (uint32_t at = whole.block; at < whole.block + whole.blocks; at++)
        hold(world, at, 0);
}

static void step_on_run(struct world *world)
{
    static void (*const steps[])(struct world *, struct held *) = {
        step_give,   step_give, step_give,  step_extend, step_extend,
        step_shrink, step_cut,  step_uncut, step_uncut,  step_split};
    if (world->run_count == 0)
        return;
    struct held *run = &world->runs[seeds_below(&world->seeds, world->run_count)];
    steps[seeds_below(&world->seeds, TN_ARRAY_COUNT(steps))](world, run);
}

static void step(struct world *world)
{
    const uint64_t choice = seeds_below(&world->seeds, 100);
    if (choice < 25)
        step_take(world);
    else if (choice < 35)
        step_take_listed(world);
    else if (choice < 38)
        step_take_dirty(world);
    else
        step_on_run(world);
    check(world);
}

/* ---- histories ---- */

static void history(uint64_t seed, uint32_t block_count)
{
    static struct world world;
    memset(&world, 0, sizeof(world));
    world.block_count = block_count;
    world.seeds = seeds_stream(seed, block_count);
    tn_buddy_init(&world.buddy, world.nodes, block_count);
    check(&world);
    for (uint64_t steps = environment_number("STEPS", STEPS); steps > 0; steps--)
        step(&world);
    while (world.run_count > 0)
        step_give(&world, &world.runs[0]);
    check(&world);
    /* The frontier's node, which nothing has reached, is as it was. */
    const struct tn_node untouched = {0};
    for (uint32_t at = world.buddy.frontier; at <= block_count; at++)
        assert_memory_equal(&world.nodes[at], &untouched, sizeof(untouched));
}

static void test_histories(void **state)
{
    (void)state;
    const uint64_t seed = seeds_announce("buddy_model");
    const uint32_t windows[] = {1, 2, 7, 64, 100, 777, BLOCKS_MAX};
    for (size_t i = 0; i < TN_ARRAY_COUNT(windows); i++)
        history(seed, windows[i]);
}

/* All given back in one state: the fewest runs that the window can be. */
static void test_all_joins(void **state)
{
    (void)state;
    static struct world world;
    world.block_count = 777;
    world.seeds = (struct seeds){3};
    tn_buddy_init(&world.buddy, world.nodes, world.block_count);
    struct tn_found found;
    for (uint32_t i = 0; i < world.block_count; i++) {
        assert_true(tn_buddy_take(&world.buddy, 0, TN_RUN_DIRTY, &found));
        assert_int_equal(found.block, i);
    }
    assert_false(tn_buddy_take(&world.buddy, 0, TN_RUN_DIRTY, &found));
    assert_false(tn_buddy_take(&world.buddy, TN_ORDER_MAX + 1, TN_RUN_CLEAN, &found));
    for (uint32_t i = 0; i < world.block_count; i++) /* 389 is prime to 777: all, in disorder */
        tn_buddy_give(&world.buddy, i * 389 % world.block_count, 0, TN_RUN_DIRTY);
    assert_int_equal(world.buddy.nonempty[TN_RUN_DIRTY], world.block_count);
    assert_int_equal(world.buddy.nonempty[TN_RUN_CLEAN], 0);
    tn_buddy_audit(&world.buddy);
}

/* Newest first in lists, oldest first for those that go. */
static void test_ages(void **state)
{
    (void)state;
    static struct world world;
    tn_buddy_init(&world.buddy, world.nodes, 64);
    struct tn_found found;
    for (unsigned i = 0; i < 8; i++)
        assert_true(tn_buddy_take(&world.buddy, 0, TN_RUN_CLEAN, &found));
    for (uint32_t block = 1; block < 8; block += 2)
        tn_buddy_give(&world.buddy, block, 0, TN_RUN_DIRTY);
    uint32_t block;
    unsigned order;
    assert_true(tn_buddy_take_listed(&world.buddy, 0, TN_RUN_DIRTY, &block));
    assert_int_equal(block, 7);
    assert_true(tn_buddy_take_dirty(&world.buddy, TN_ORDER_MAX, &block, &order));
    assert_int_equal(block, 1);
    assert_int_equal(order, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_all_joins),
        cmocka_unit_test(test_ages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
