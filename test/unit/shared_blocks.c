/* Blocks of shared spaces that several runs show: aliases anywhere inside runs and of aliases,
 * replacements, whether a block is exclusive, and that the file is as small as it was when all is
 * retired. Then a random history of all of it, beside a toy that says which contents each block has
 * to show. */
#include "shared_blocks.h"

#include "huge_pages.h"

#define STEPS      800
#define HUGE_PAGES ((RUNS_MAX + 2) * RUN_UNITS)

/* ---- single steps ---- */

static void alias_inside_runs(struct world *world)
{
    struct test_run a, b, c;
    EXPECT(run_get(world, &a));
    EXPECT(run_get(world, &b));
    EXPECT(run_get(world, &c));
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
    EXPECT(run_get(world, &a));
    EXPECT(run_get(world, &b));
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
    EXPECT(run_get(world, &a));
    EXPECT(run_get(world, &b));
    fill(world, &a, 100);
    EXPECT(tn_space_alias(world->space, a.addr, b.addr, run_bytes(world)) == 0);
    const uint64_t shared = file_bytes(world);
    EXPECT(run_get(world, &spare));
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
    EXPECT(run_get(world, &a));
    EXPECT(run_get(world, &b));
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

static void random_history(struct world *world, struct seeds seeds, uint64_t steps)
{
    struct toy toy = {.contents = 0};
    (void)terrane_pool_purge(world->space);
    for (uint64_t step = 0; step < steps; step++) {
        toy_step(world, &toy, &seeds);
        (void)terrane_pool_purge(world->space); /* what is warm is in the file too */
        toy_check(world, &toy);
    }
    toy_give(world, &toy);
}

/* ---- all of it ---- */

static void in_space(const char *name, enum terrane_backing backing, size_t huge_page_bytes,
                     uint64_t seed)
{
    struct world world;
    const uint64_t steps = environment_number("STEPS", huge_page_bytes == 0 ? STEPS : STEPS / 25);
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
