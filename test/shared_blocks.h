/* Runs of a shared space whose blocks show each other's extents, beside a toy that says which
 * contents each block has to show. The kernel may refuse mappings: then nothing has changed, or as
 * much as the contract allows, which the contents tell. */
#ifndef TEST_SHARED_BLOCKS_H
#define TEST_SHARED_BLOCKS_H

#include "base/base.h"
#include "os/os.h"
#include "pool/pool.h"
#include "seeds.h"
#include "space/space.h"

#include <errno.h>
#include <terrane/pool.h>

#define RUN_UNITS 8
#define RUNS_MAX  12

/* A space, and the unit of what can be aliased in it. */
struct world {
    struct terrane_space *space;
    size_t unit;
    bool may_refuse;  /* mappings */
    bool no_exchange; /* which cannot be taken back half-way */
};

static inline bool granted(const struct world *world, int error)
{
    const bool refused = error == -ENOMEM || error == -EIO;
    EXPECT_THAT(error == 0 || error == -ENOTSUP || (world->may_refuse && refused), "%d", error);
    return error == 0;
}

static inline uint64_t file_bytes(const struct world *world)
{
    uint64_t taken = 1;
    EXPECT(tn_os_file_taken(world->space->fd, &taken) == 0);
    return taken;
}

static inline uint64_t mappings_of(const struct world *world)
{
    return tn_counted(world->space, TN_COUNT_MAPPINGS);
}

static inline void audit(const struct world *world)
{
    tn_lock_acquire(&world->space->lock);
    tn_space_audit(world->space);
    tn_lock_release(&world->space->lock);
}

static inline void world_open(struct world *world, enum terrane_backing backing,
                              size_t huge_page_bytes)
{
    *world = (struct world){.space = NULL};
    const struct terrane_space_options options = {
        .backing = backing,
        .huge_page_bytes = huge_page_bytes,
        .window_bytes = TN_GIB,
        .scratch_dir = backing == TERRANE_BACKING_SCRATCH ? "/tmp" : NULL,
    };
    EXPECT(terrane_space_create(&options, &world->space) == 0);
    world->unit = tn_max(world->space->page_bytes, TN_BLOCK_BYTES);
}

/* Everything is retired: nothing is left in the file, and no mapping counts. */
static inline void world_close(struct world *world)
{
    (void)terrane_pool_purge(world->space);
    audit(world);
    EXPECT_THAT(file_bytes(world) < TN_BLOCK_BYTES, "%llu bytes", /* a file system has its own */
                (unsigned long long)file_bytes(world));
    EXPECT_THAT(mappings_of(world) == 0, "%llu", (unsigned long long)mappings_of(world));
    EXPECT(terrane_space_destroy(world->space) == 0);
}

/* ---- runs ---- */

struct test_run {
    struct tn_run run;
    char *addr; /* NULL: there is none */
};

static inline size_t run_bytes(const struct world *world)
{
    return RUN_UNITS * world->unit;
}

static inline bool run_get(const struct world *world, struct test_run *run)
{
    const struct tn_wish wish = {.bytes = run_bytes(world), .whole = true};
    if (!granted(world, tn_pool_acquire(world->space, &wish, &run->run)))
        return false;
    run->addr = tn_block_addr(world->space, run->run.block);
    return true;
}

static inline void run_give(const struct world *world, struct test_run *run)
{
    tn_pool_release(world->space, run->run.block, run->run.order, run_bytes(world));
    run->addr = NULL;
}

static inline char *at(const struct world *world, const struct test_run *run, size_t unit)
{
    return run->addr + unit * world->unit;
}

static inline void expect_units(const struct world *world, const struct test_run *run,
                                const uint64_t seeds[RUN_UNITS])
{
    for (size_t unit = 0; unit < RUN_UNITS; unit++)
        EXPECT_INTACT(at(world, run, unit), world->unit, seeds[unit]);
}

static inline void fill(const struct world *world, const struct test_run *run, uint64_t seed)
{
    for (size_t unit = 0; unit < RUN_UNITS; unit++)
        contents_write(at(world, run, unit), world->unit, seed + unit);
}

static inline bool exclusive(const struct world *world, const struct test_run *run, size_t unit,
                             size_t count)
{
    return tn_space_exclusive(world->space, at(world, run, unit), count * world->unit);
}

/* ---- random histories ---- */

struct toy {
    struct test_run runs[RUNS_MAX];
    unsigned shows[RUNS_MAX][RUN_UNITS]; /* which contents; equal ones are one extent */
    unsigned contents;                   /* so far */
};

static inline unsigned shown_times(const struct toy *toy, unsigned contents)
{
    unsigned times = 0;
    for (size_t run = 0; run < RUNS_MAX; run++) {
        for (size_t unit = 0; toy->runs[run].addr != NULL && unit < RUN_UNITS; unit++)
            times += toy->shows[run][unit] == contents;
    }
    return times;
}

/* Contents, and who is alone with them. */
static inline void toy_check_contents(const struct world *world, const struct toy *toy)
{
    for (size_t run = 0; run < RUNS_MAX; run++) {
        for (size_t unit = 0; toy->runs[run].addr != NULL && unit < RUN_UNITS; unit++) {
            const unsigned contents = toy->shows[run][unit];
            EXPECT_INTACT(at(world, &toy->runs[run], unit), world->unit, contents);
            EXPECT(exclusive(world, &toy->runs[run], unit, 1) == (shown_times(toy, contents) == 1));
        }
    }
    audit(world);
}

/* And that the file has what is shown, and no more. */
static inline void toy_check(const struct world *world, const struct toy *toy)
{
    uint64_t extents = 0;
    toy_check_contents(world, toy);
    for (unsigned contents = 1; contents <= toy->contents; contents++)
        extents += shown_times(toy, contents) > 0;
    EXPECT_THAT(file_bytes(world) / world->unit == extents, "%llu bytes, %llu extents",
                (unsigned long long)file_bytes(world), (unsigned long long)extents);
}

static inline void toy_give(const struct world *world, struct toy *toy)
{
    for (size_t run = 0; run < RUNS_MAX; run++) {
        if (toy->runs[run].addr != NULL)
            run_give(world, &toy->runs[run]);
    }
}

static inline void toy_write(const struct world *world, struct toy *toy, size_t run, size_t unit)
{
    toy->shows[run][unit] = ++toy->contents;
    contents_write(at(world, &toy->runs[run], unit), world->unit, toy->contents);
}

static inline void toy_get(const struct world *world, struct toy *toy, size_t run)
{
    const bool got = run_get(world, &toy->runs[run]);
    for (size_t unit = 0; got && unit < RUN_UNITS; unit++)
        toy_write(world, toy, run, unit);
}

/* Ranges of two runs, or of one where they do not meet. */
static inline bool pick(struct toy *toy, struct seeds *seeds, size_t runs[2], size_t units[2],
                        size_t *count)
{
    for (unsigned side = 0; side < 2; side++) {
        runs[side] = seeds_below(seeds, RUNS_MAX);
        if (toy->runs[runs[side]].addr == NULL)
            return false;
    }
    *count = 1 + seeds_below(seeds, RUN_UNITS);
    for (unsigned side = 0; side < 2; side++)
        units[side] = seeds_below(seeds, RUN_UNITS - *count + 1);
    return runs[0] != runs[1] || units[0] + *count <= units[1] || units[1] + *count <= units[0];
}

static inline void toy_alias(const struct world *world, struct toy *toy, struct seeds *seeds)
{
    size_t runs[2], units[2], count;
    if (!pick(toy, seeds, runs, units, &count))
        return;
    const bool all = granted(
        world, tn_space_alias(world->space, at(world, &toy->runs[runs[0]], units[0]),
                              at(world, &toy->runs[runs[1]], units[1]), count * world->unit));
    for (size_t i = 0; i < count; i++) {
        const unsigned now = toy->shows[runs[0]][units[0] + i];
        if (!all &&
            !contents_intact(at(world, &toy->runs[runs[1]], units[1] + i), world->unit, now))
            return; /* refused: a first part may be shown, and nothing else has changed */
        toy->shows[runs[1]][units[1] + i] = now;
    }
}

static inline void toy_exchange(const struct world *world, struct toy *toy, struct seeds *seeds)
{
    size_t runs[2], units[2], count;
    if (!pick(toy, seeds, runs, units, &count))
        return;
    const int error =
        tn_space_exchange(world->space, at(world, &toy->runs[runs[0]], units[0]),
                          at(world, &toy->runs[runs[1]], units[1]), count * world->unit);
    for (size_t i = 0; granted(world, error) && i < count; i++) {
        const unsigned was = toy->shows[runs[0]][units[0] + i];
        toy->shows[runs[0]][units[0] + i] = toy->shows[runs[1]][units[1] + i];
        toy->shows[runs[1]][units[1] + i] = was;
    }
}

/* Copy on write, where it is shared, and a store. */
static inline void toy_store(const struct world *world, struct toy *toy, size_t run, size_t unit)
{
    char *addr = at(world, &toy->runs[run], unit);
    bool own = tn_space_exclusive(world->space, addr, world->unit);
    struct test_run spare;
    if (!own && run_get(world, &spare)) {
        memcpy(spare.addr, addr, world->unit);
        own = granted(world, tn_space_replace(world->space, spare.addr, addr, world->unit));
        run_give(world, &spare);
    }
    if (own)
        toy_write(world, toy, run, unit);
}

/* A whole run goes to other addresses. */
static inline void toy_move(const struct world *world, struct toy *toy, size_t run)
{
    struct test_run other;
    const struct tn_wish wish = {.bytes = run_bytes(world), .whole = true, .cold = true};
    if (!granted(world, tn_pool_acquire(world->space, &wish, &other.run)))
        return;
    other.addr = tn_block_addr(world->space, other.run.block);
    const bool moved = granted(world, tn_space_move(world->space, toy->runs[run].addr, world->space,
                                                    other.addr, run_bytes(world)));
    tn_pool_release_empty(world->space, moved ? toy->runs[run].run.block : other.run.block,
                          other.run.order, run_bytes(world));
    if (moved)
        toy->runs[run] = other;
}

static inline void toy_step(const struct world *world, struct toy *toy, struct seeds *seeds)
{
    const size_t run = seeds_below(seeds, RUNS_MAX);
    const uint64_t choice = seeds_below(seeds, 10);
    if (toy->runs[run].addr == NULL)
        toy_get(world, toy, run);
    else if (choice < 4)
        toy_alias(world, toy, seeds);
    else if (choice < 5 && !world->no_exchange)
        toy_exchange(world, toy, seeds);
    else if (choice < 8)
        toy_store(world, toy, run, seeds_below(seeds, RUN_UNITS));
    else if (choice < 9)
        toy_move(world, toy, run);
    else
        run_give(world, &toy->runs[run]);
}

#endif
