/* Blocks of shared spaces that several runs show: aliases anywhere inside runs and of aliases,
 * replacements, whether a block is exclusive, and that the file is as small as it was when all is
 * retired. Then a random history of all of it, beside a toy that says which contents each block has
 * to show. */
#include "base/base.h"
#include "huge_pages.h"
#include "os/os.h"
#include "pool/pool.h"
#include "process.h"
#include "seeds.h"
#include "space/extents.h"

#define RUN_UNITS  8
#define RUNS_MAX   12
#define STEPS      1500
#define HUGE_PAGES ((RUNS_MAX + 2) * RUN_UNITS)

/* A space, and the unit of what can be aliased in it. */
struct world {
    struct terrane_space *space;
    size_t unit;
};

static uint64_t file_bytes(const struct world *world)
{
    uint64_t taken = 1;
    EXPECT(tn_os_file_taken(world->space->fd, &taken) == 0);
    return taken;
}

static uint64_t mappings_of(const struct world *world)
{
    return tn_counted(world->space, TN_COUNT_MAPPINGS);
}

static void audit(const struct world *world)
{
    tn_lock_acquire(&world->space->lock);
    tn_space_audit(world->space);
    tn_lock_release(&world->space->lock);
}

static void world_open(struct world *world, enum terrane_backing backing, size_t huge_page_bytes)
{
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
static void world_close(struct world *world)
{
    (void)terrane_pool_purge(world->space);
    audit(world);
    EXPECT_THAT(
        file_bytes(world) < TN_BLOCK_BYTES, "%llu bytes",
        (unsigned long long)file_bytes(world)); /* a file system may keep blocks of its own */
    EXPECT_THAT(mappings_of(world) == 0, "%llu", (unsigned long long)mappings_of(world));
    EXPECT(terrane_space_destroy(world->space) == 0);
}

/* ---- runs ---- */

struct test_run {
    struct tn_run run;
    char *addr; /* NULL: there is none */
};

static size_t run_bytes(const struct world *world)
{
    return RUN_UNITS * world->unit;
}

static void run_get(const struct world *world, struct test_run *run)
{
    const struct tn_wish wish = {.bytes = run_bytes(world), .whole = true};
    EXPECT(tn_pool_acquire(world->space, &wish, &run->run) == 0);
    run->addr = tn_block_addr(world->space, run->run.block);
}

static void run_give(const struct world *world, struct test_run *run)
{
    tn_pool_release(world->space, run->run.block, run->run.order, run_bytes(world));
    run->addr = NULL;
}

static char *at(const struct world *world, const struct test_run *run, size_t unit)
{
    return run->addr + unit * world->unit;
}

static void expect_units(const struct world *world, const struct test_run *run,
                         const uint64_t seeds[RUN_UNITS])
{
    for (size_t unit = 0; unit < RUN_UNITS; unit++)
        EXPECT_INTACT(at(world, run, unit), world->unit, seeds[unit]);
}

static void fill(const struct world *world, const struct test_run *run, uint64_t seed)
{
    for (size_t unit = 0; unit < RUN_UNITS; unit++)
        contents_write(at(world, run, unit), world->unit, seed + unit);
}

static bool exclusive(const struct world *world, const struct test_run *run, size_t unit,
                      size_t count)
{
    return tn_space_exclusive(world->space, at(world, run, unit), count * world->unit);
}

/* ---- single steps ---- */

static void alias_inside_runs(struct world *world)
{
    struct test_run a, b, c;
    run_get(world, &a);
    run_get(world, &b);
    run_get(world, &c);
    fill(world, &a, 100);
    fill(world, &b, 200);
    fill(world, &c, 300);
    EXPECT(tn_space_alias(world->space, at(world, &a, 2), at(world, &b, 4), 3 * world->unit) == 0);
    expect_units(world, &b, (const uint64_t[]){200, 201, 202, 203, 102, 103, 104, 207});
    EXPECT(tn_space_alias(world->space, at(world, &b, 3), at(world, &c, 0), 3 * world->unit) == 0);
    expect_units(world, &c, (const uint64_t[]){203, 102, 103, 303, 304, 305, 306, 307});
    EXPECT(exclusive(world, &a, 0, 2) && !exclusive(world, &a, 2, 1) && exclusive(world, &a, 5, 3));
    EXPECT(exclusive(world, &c, 3, 5) && !exclusive(world, &c, 2, 2));
    bool first;
    EXPECT(tn_space_exclusive_bytes(world->space, at(world, &b, 0) + 10, run_bytes(world) - 10,
                                    &first) == 3 * world->unit - 10);
    EXPECT(first);
    EXPECT(tn_space_exclusive_bytes(world->space, at(world, &b, 3), 5 * world->unit, &first) ==
           4 * world->unit);
    EXPECT(!first);
    at(world, &a, 3)[5]++; /* seen through all three */
    EXPECT(at(world, &b, 5)[5] == at(world, &a, 3)[5] &&
           at(world, &c, 2)[5] == at(world, &a, 3)[5]);
    at(world, &a, 3)[5]--;

    run_give(world, &a);
    expect_units(world, &b, (const uint64_t[]){200, 201, 202, 203, 102, 103, 104, 207});
    EXPECT(!exclusive(world, &b, 4, 1) && exclusive(world, &b, 6, 1));
    run_give(world, &b);
    expect_units(world, &c, (const uint64_t[]){203, 102, 103, 303, 304, 305, 306, 307});
    EXPECT(exclusive(world, &c, 0, RUN_UNITS));
    audit(world);
    run_give(world, &c);
}

/* What a run lets go is given back when nobody else shows it, at once. */
static void extents_end_when_unshown(struct world *world)
{
    struct test_run a, b;
    run_get(world, &a);
    run_get(world, &b);
    const uint64_t before = file_bytes(world);
    const bool reserved = world->space->reserve_file;
    fill(world, &a, 100);
    fill(world, &b, 200);
    const uint64_t full = file_bytes(world);
    EXPECT(reserved || full - before == 2 * run_bytes(world));
    EXPECT(tn_space_alias(world->space, at(world, &a, 0), at(world, &b, 0), 2 * world->unit) == 0);
    EXPECT(file_bytes(world) == full - 2 * world->unit);
    /* a shows b's own pages, b shows a's: then b lets them go, and a's own are nobody's */
    EXPECT(tn_space_alias(world->space, at(world, &b, 4), at(world, &a, 0), 2 * world->unit) == 0);
    EXPECT(file_bytes(world) == full - 2 * world->unit);
    EXPECT(tn_space_alias(world->space, at(world, &b, 6), at(world, &b, 0), world->unit) == 0);
    EXPECT(file_bytes(world) == full - 3 * world->unit);
    expect_units(world, &a, (const uint64_t[]){204, 205, 102, 103, 104, 105, 106, 107});
    expect_units(world, &b, (const uint64_t[]){206, 101, 202, 203, 204, 205, 206, 207});
    audit(world);
    run_give(world, &b);
    expect_units(world, &a, (const uint64_t[]){204, 205, 102, 103, 104, 105, 106, 107});
    EXPECT_THAT(file_bytes(world) <= before + run_bytes(world), "%llu",
                (unsigned long long)file_bytes(world));
    run_give(world, &a);
}

/* Copy on write of shared blocks, as arrays do it. */
static void replaced_blocks_are_own(struct world *world)
{
    struct test_run a, b, spare;
    run_get(world, &a);
    run_get(world, &b);
    fill(world, &a, 100);
    EXPECT(tn_space_alias(world->space, a.addr, b.addr, run_bytes(world)) == 0);
    const uint64_t shared = file_bytes(world);
    run_get(world, &spare);
    memcpy(spare.addr, at(world, &a, 3), world->unit);
    EXPECT(tn_space_replace(world->space, spare.addr, at(world, &a, 3), world->unit) == 0);
    run_give(world, &spare);
    EXPECT(exclusive(world, &a, 3, 1) && exclusive(world, &b, 3, 1));
    EXPECT(!exclusive(world, &a, 2, 1) && !exclusive(world, &b, 4, 1));
    EXPECT(file_bytes(world) == shared + world->unit);
    contents_write(at(world, &a, 3), world->unit, 500);
    expect_units(world, &a, (const uint64_t[]){100, 101, 102, 500, 104, 105, 106, 107});
    expect_units(world, &b, (const uint64_t[]){100, 101, 102, 103, 104, 105, 106, 107});
    run_give(world, &b); /* the extent that a replaced is nobody's now, though a is used */
    EXPECT_THAT(file_bytes(world) == run_bytes(world), "%llu",
                (unsigned long long)file_bytes(world));
    EXPECT(exclusive(world, &a, 0, RUN_UNITS));
    expect_units(world, &a, (const uint64_t[]){100, 101, 102, 500, 104, 105, 106, 107});
    run_give(world, &a);
}

/* Discarding leaves what others show, and gives back what is only parked elsewhere. */
static void discard_keeps_what_others_show(struct world *world)
{
    struct test_run a, b;
    run_get(world, &a);
    run_get(world, &b);
    fill(world, &a, 100);
    fill(world, &b, 200);
    EXPECT(tn_space_alias(world->space, at(world, &a, 0), at(world, &b, 0), 4 * world->unit) == 0);
    EXPECT(tn_space_discard(world->space, at(world, &b, 3), 2 * world->unit) == 0);
    EXPECT(tn_space_discard(world->space, at(world, &a, 3), 2 * world->unit) == 0);
    EXPECT_INTACT(at(world, &a, 3), world->unit, 103);
    EXPECT_INTACT(at(world, &b, 3), world->unit, 103);
    EXPECT_ZERO(at(world, &b, 4), world->unit);
    EXPECT_ZERO(at(world, &a, 4), world->unit);
    run_give(world, &a);
    const uint64_t before = file_bytes(world);
    EXPECT(tn_space_discard(world->space, at(world, &b, 1), 2 * world->unit) == 0);
    EXPECT(file_bytes(world) == before - 2 * world->unit);
    EXPECT_INTACT(at(world, &b, 0), world->unit, 100);
    EXPECT_ZERO(at(world, &b, 1), 2 * world->unit);
    EXPECT_INTACT(at(world, &b, 3), world->unit, 103);
    run_give(world, &b);
}

/* ---- random histories ---- */

struct toy {
    struct test_run runs[RUNS_MAX];
    unsigned shows[RUNS_MAX][RUN_UNITS]; /* which contents; equal ones are one extent */
    unsigned contents;                   /* so far */
};

static unsigned shown_times(const struct toy *toy, unsigned contents)
{
    unsigned times = 0;
    for (size_t run = 0; run < RUNS_MAX; run++) {
        for (size_t unit = 0; toy->runs[run].addr != NULL && unit < RUN_UNITS; unit++)
            times += toy->shows[run][unit] == contents;
    }
    return times;
}

static void toy_check(const struct world *world, const struct toy *toy)
{
    uint64_t extents = 0;
    for (size_t run = 0; run < RUNS_MAX; run++) {
        for (size_t unit = 0; toy->runs[run].addr != NULL && unit < RUN_UNITS; unit++) {
            const unsigned contents = toy->shows[run][unit];
            const unsigned times = shown_times(toy, contents);
            EXPECT_INTACT(at(world, &toy->runs[run], unit), world->unit, contents);
            EXPECT(exclusive(world, &toy->runs[run], unit, 1) == (times == 1));
            bool first = true;
            for (size_t r = 0; r <= run; r++) {
                for (size_t u = 0; toy->runs[r].addr != NULL && u < (r < run ? RUN_UNITS : unit);
                     u++)
                    first = first && toy->shows[r][u] != contents;
            }
            extents += first;
        }
    }
    EXPECT_THAT(file_bytes(world) / world->unit == extents, "%llu bytes, %llu extents",
                (unsigned long long)file_bytes(world), (unsigned long long)extents);
    audit(world);
}

static void toy_write(const struct world *world, struct toy *toy, size_t run, size_t unit)
{
    toy->shows[run][unit] = ++toy->contents;
    contents_write(at(world, &toy->runs[run], unit), world->unit, toy->contents);
}

static void toy_get(const struct world *world, struct toy *toy, size_t run)
{
    run_get(world, &toy->runs[run]);
    for (size_t unit = 0; unit < RUN_UNITS; unit++)
        toy_write(world, toy, run, unit);
}

/* Ranges of two runs, or of one where they do not meet. */
static bool pick(struct toy *toy, struct seeds *seeds, size_t runs[2], size_t units[2],
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

static void toy_alias(const struct world *world, struct toy *toy, struct seeds *seeds)
{
    size_t runs[2], units[2], count;
    if (!pick(toy, seeds, runs, units, &count))
        return;
    EXPECT(tn_space_alias(world->space, at(world, &toy->runs[runs[0]], units[0]),
                          at(world, &toy->runs[runs[1]], units[1]), count * world->unit) == 0);
    for (size_t i = 0; i < count; i++)
        toy->shows[runs[1]][units[1] + i] = toy->shows[runs[0]][units[0] + i];
}

static void toy_exchange(const struct world *world, struct toy *toy, struct seeds *seeds)
{
    size_t runs[2], units[2], count;
    if (!pick(toy, seeds, runs, units, &count))
        return;
    const int error =
        tn_space_exchange(world->space, at(world, &toy->runs[runs[0]], units[0]),
                          at(world, &toy->runs[runs[1]], units[1]), count * world->unit);
    EXPECT(error == 0 || error == -ENOTSUP);
    for (size_t i = 0; i < count && error == 0; i++) {
        const unsigned was = toy->shows[runs[0]][units[0] + i];
        toy->shows[runs[0]][units[0] + i] = toy->shows[runs[1]][units[1] + i];
        toy->shows[runs[1]][units[1] + i] = was;
    }
}

/* Copy on write, where it is shared, and a store. */
static void toy_store(const struct world *world, struct toy *toy, size_t run, size_t unit)
{
    char *addr = at(world, &toy->runs[run], unit);
    if (!tn_space_exclusive(world->space, addr, world->unit)) {
        struct test_run spare;
        run_get(world, &spare);
        memcpy(spare.addr, addr, world->unit);
        EXPECT(tn_space_replace(world->space, spare.addr, addr, world->unit) == 0);
        run_give(world, &spare);
    }
    toy_write(world, toy, run, unit);
}

/* A whole run goes to other addresses. */
static void toy_move(const struct world *world, struct toy *toy, size_t run)
{
    struct test_run other;
    const struct tn_wish wish = {.bytes = run_bytes(world), .whole = true, .cold = true};
    EXPECT(tn_pool_acquire(world->space, &wish, &other.run) == 0);
    other.addr = tn_block_addr(world->space, other.run.block);
    const int error = tn_space_move(world->space, toy->runs[run].addr, world->space, other.addr,
                                    run_bytes(world));
    EXPECT(error == 0 || error == -ENOTSUP);
    tn_pool_release_empty(world->space, error == 0 ? toy->runs[run].run.block : other.run.block,
                          other.run.order, run_bytes(world));
    if (error == 0)
        toy->runs[run] = other;
}

static void toy_step(const struct world *world, struct toy *toy, struct seeds *seeds)
{
    const size_t run = seeds_below(seeds, RUNS_MAX);
    const uint64_t choice = seeds_below(seeds, 10);
    if (toy->runs[run].addr == NULL)
        toy_get(world, toy, run);
    else if (choice < 4)
        toy_alias(world, toy, seeds);
    else if (choice < 5)
        toy_exchange(world, toy, seeds);
    else if (choice < 8)
        toy_store(world, toy, run, seeds_below(seeds, RUN_UNITS));
    else if (choice < 9)
        toy_move(world, toy, run);
    else
        run_give(world, &toy->runs[run]);
}

static void random_history(struct world *world, struct seeds seeds, uint64_t steps)
{
    struct toy toy = {.contents = 0};
    (void)terrane_pool_purge(world->space);
    for (uint64_t step = 0; step < steps; step++) {
        toy_step(world, &toy, &seeds);
        (void)terrane_pool_purge(world->space); /* what is warm is in the file too */
        toy_check(world, &toy);
    }
    for (size_t run = 0; run < RUNS_MAX; run++) {
        if (toy.runs[run].addr != NULL)
            run_give(world, &toy.runs[run]);
    }
}

/* ---- all of it ---- */

static void in_space(const char *name, enum terrane_backing backing, size_t huge_page_bytes,
                     uint64_t seed)
{
    struct world world;
    const uint64_t steps = environment_number("STEPS", huge_page_bytes == 0 ? STEPS : STEPS / 50);
    printf("%s\n", name);
    world_open(&world, backing, huge_page_bytes);
    alias_inside_runs(&world);
    extents_end_when_unshown(&world);
    replaced_blocks_are_own(&world);
    discard_keeps_what_others_show(&world);
    random_history(&world, seeds_stream(seed, backing + huge_page_bytes), steps);
    world_close(&world);
}

int main(void)
{
    const uint64_t seed = seeds_announce("shared_blocks");
    if (!tn_os_features()->memfd)
        test_skip("no memfd here");
    in_space("memfd", TERRANE_BACKING_MEMFD, 0, seed);
    in_space("scratch file", TERRANE_BACKING_SCRATCH, 0, seed);
    if (huge_pages_take(TN_HUGE_BYTES, HUGE_PAGES))
        in_space("memfd of 2 MiB pages", TERRANE_BACKING_MEMFD, TN_HUGE_BYTES, seed);
    else
        printf("no 2 MiB pages to be had: left out\n");
    return 0;
}
