/* What a run holds, elsewhere: in a warm run, in addresses that pages are moved to, or copied.
 *
 * Addresses are cheap, so a run that grows and is large gets far more of them than it needs and
 * stays where it is as long as they last. */
#include "base/base.h"
#include "pool/pool.h"
#include "pool/regions.h"

#include <errno.h>
#include <string.h>

/* Orders of addresses that a growing run of this size takes beyond what it needs: 4 to 8 times.
 * Smaller ones grow through warm runs that others left; in addresses of their own they would have
 * to fault fresh pages in. */
#define GROWTH_SLACK    2
#define SLACK_MIN_BYTES (4 * TN_MIB)

/* From this size on it may have as many of a warm run, pages and all: else that would go, because
 * the run is too large for each step on the way to its size. */
#define ROOMY_MIN_BYTES TN_MIB

/* An exchange is three moves, and a range of addresses that comes and goes: it pays from so many
 * times the size on from which one move does. */
#define EXCHANGE_COST 8

/* A run's contents on their way. */
struct journey {
    const struct tn_held *from;
    struct terrane_space *space; /* where they go */
    size_t kept;                 /* bytes that go along */
    size_t bytes;                /* that there are afterwards */
    struct tn_run run;
};

static char *source(const struct journey *journey)
{
    return tn_block_addr(journey->from->space, journey->from->block);
}

static char *target(const struct journey *journey)
{
    return tn_block_addr(journey->space, journey->run.block);
}

static void give_up(const struct journey *journey)
{
    tn_pool_release_empty(journey->space, journey->run.block, journey->run.order, journey->bytes);
}

/* While a run's contents go elsewhere in its space it does not count: what counts in the end is one
 * of the two. */
static void count_source(const struct journey *journey, bool counts)
{
    struct terrane_space *space = journey->from->space;
    if (space != journey->space)
        return;
    tn_lock_acquire(&space->lock);
    if (counts)
        tn_space_recharge(space, journey->from->bytes);
    else
        tn_space_uncharge(space, journey->from->bytes);
    tn_lock_release(&space->lock);
}

/* The source goes back. It has been uncounted before. */
static void leave(const struct journey *journey, bool moved)
{
    const struct tn_held *from = journey->from;
    if (from->space == journey->space)
        tn_pool_owe(from->space, from->bytes);
    if (moved)
        tn_pool_release_empty(from->space, from->block, from->order, from->bytes);
    else
        tn_pool_release(from->space, from->block, from->order, from->bytes);
}

static unsigned growth_slack(const struct journey *journey)
{
    return journey->bytes > journey->kept && journey->kept >= SLACK_MIN_BYTES ? GROWTH_SLACK : 0;
}

static void copy_pages(const struct journey *journey)
{
    memcpy(target(journey), source(journey) + journey->from->start, journey->kept);
    tn_count(journey->space, TN_COUNT_COPIES, 1);
    tn_count(journey->space, TN_COUNT_COPY_BYTES, journey->kept);
}

/* Into a warm run: pages are exchanged, so that both runs stay warm, or copied if there are few. */
static int go_warm(struct journey *journey, bool may_move)
{
    struct terrane_space *space = journey->space;
    const struct tn_wish wish = {
        .bytes = journey->bytes,
        .slack = journey->kept >= ROOMY_MIN_BYTES ? GROWTH_SLACK : 0,
        .warm = true,
        .roomy = true,
    };
    if (journey->from->space != space || space->backing != TERRANE_BACKING_PRIVATE)
        return -EAGAIN;
    const int error = tn_pool_acquire(space, &wish, &journey->run);
    if (error != 0)
        return error;
    if (!may_move || journey->kept < EXCHANGE_COST * tn_move_threshold(space) ||
        tn_space_exchange(space, source(journey), target(journey), journey->kept) != 0)
        copy_pages(journey);
    leave(journey, false);
    return 0;
}

/* The pages go back where they were. */
static void go_back(const struct journey *journey)
{
    if (tn_space_move(journey->space, target(journey), journey->from->space, source(journey),
                      journey->kept) != 0)
        memcpy(source(journey), target(journey), journey->kept);
    give_up(journey);
}

/* Into untouched addresses, far more than it needs: the pages move along. */
static int go_moving(struct journey *journey)
{
    const size_t grown = journey->bytes - journey->kept;
    const struct tn_wish wish = {
        .bytes = journey->bytes, .slack = growth_slack(journey), .cold = true};
    int error = tn_pool_acquire(journey->space, &wish, &journey->run);
    if (error != 0)
        return error;
    error = tn_space_move(journey->from->space, source(journey), journey->space, target(journey),
                          journey->kept);
    if (error != 0) {
        give_up(journey);
        return error;
    }
    if (grown > 0)
        error = tn_space_commit(journey->space, target(journey) + journey->kept, grown);
    if (error != 0) { /* only a file or strict overcommit can refuse here */
        go_back(journey);
        return error;
    }
    leave(journey, true);
    if (grown > 0)
        tn_pool_fill(journey->space, target(journey) + journey->kept, grown);
    return 0;
}

static int go_copying(struct journey *journey)
{
    const struct tn_wish wish = {.bytes = journey->bytes, .slack = growth_slack(journey)};
    const int error = tn_pool_acquire(journey->space, &wish, &journey->run);
    if (error != 0)
        return error;
    copy_pages(journey);
    leave(journey, false);
    return 0;
}

static int go(struct journey *journey, bool may_move)
{
    int error = -EAGAIN;
    count_source(journey, false);
    if (journey->bytes > journey->kept)
        error = go_warm(journey, may_move);
    if (error != 0 && may_move && journey->kept >= tn_move_threshold(journey->space))
        error = go_moving(journey);
    if (error != 0)
        error = go_copying(journey);
    if (error != 0)
        count_source(journey, true);
    return error;
}

int tn_pool_relocate(const struct tn_held *from, struct terrane_space *space, size_t bytes,
                     bool may_move, struct tn_run *out)
{
    struct journey journey = {
        .from = from, .space = space, .kept = tn_min(from->used, bytes), .bytes = bytes};
    if (tn_space_is_gone(from->space))
        return -EPERM;
    int error = go(&journey, may_move);
    for (unsigned tries = 0; error == -ENOMEM && tn_regions_press(space, bytes, tries); tries++)
        error = go(&journey, may_move);
    if (error == 0)
        *out = journey.run;
    return error;
}
