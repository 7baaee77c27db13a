/* Shared blocks where the kernel refuses mappings in the middle of an alias, a replacement, a move
 * or a retirement: once, or from then on, so that what was granted cannot be undone either; and
 * where a file cannot give memory back for a while. After each step all contents are as they were
 * or as they were to be, what is said of blocks is what they show, and in the end nothing is left.
 */
#include "shared_blocks.h"

#define STEPS 1500

/* ---- the fake kernel ---- */

static unsigned long calls, refuse_from = -1ul, refuse_upto;
static unsigned long refusals, refused_punches;
static bool refuse_punches;

static bool refused(void)
{
    const unsigned long call = calls++;
    const bool refuse = call >= refuse_from && call < refuse_upto;
    refusals += refuse;
    return refuse;
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

int __real_tn_os_file_punch(int fd, uint64_t offset_bytes, uint64_t size_bytes);
int __wrap_tn_os_file_punch(int fd, uint64_t offset_bytes, uint64_t size_bytes);
int __wrap_tn_os_file_punch(int fd, uint64_t offset_bytes, uint64_t size_bytes)
{
    refused_punches += refuse_punches;
    return refuse_punches ? -EIO : __real_tn_os_file_punch(fd, offset_bytes, size_bytes);
}

/* From the call after `after` on, once or for good. */
static void refuse(unsigned long after, bool once)
{
    calls = 0;
    refuse_from = after;
    refuse_upto = once ? after + 1 : -1ul;
}

static void relent(void)
{
    refuse_from = -1ul;
    refuse_punches = false;
}

/* ---- histories ---- */

static void history(struct world *world, struct seeds seeds, bool once)
{
    struct toy toy = {.contents = 0};
    world->may_refuse = true;
    world->no_exchange = !once;
    for (uint64_t step = 0; step < environment_number("STEPS", STEPS); step++) {
        if (seeds_chance(&seeds, 60))
            refuse(seeds_below(&seeds, 5), once);
        toy_step(world, &toy, &seeds);
        relent();
        (void)terrane_space_trim(world->space); /* runs that wait for a mapping come back */
        (void)terrane_pool_purge(world->space);
        toy_check(world, &toy);
    }
    toy_give(world, &toy);
}

/* Extents that cannot be given back stay until their blocks can be. */
static void without_holes(struct world *world, struct seeds seeds)
{
    struct toy toy = {.contents = 0};
    world->may_refuse = true;
    refuse_punches = true;
    for (uint64_t step = 0; step < 100; step++)
        toy_step(world, &toy, &seeds);
    EXPECT(refused_punches > 0);
    toy_check_contents(world, &toy);
    toy_give(world, &toy);
    relent();
}

int main(void)
{
    struct world world;
    const uint64_t seed = seeds_announce("fake_shared_refusals");
    if (!tn_os_features()->memfd)
        test_skip("no memfd here");
    for (unsigned game = 0; game < 3; game++) {
        world_open(&world, TERRANE_BACKING_MEMFD, 0);
        if (game < 2)
            history(&world, seeds_stream(seed, game), game == 0);
        else
            without_holes(&world, seeds_stream(seed, game));
        (void)terrane_space_trim(world.space);
        world_close(&world);
        printf("%lu mappings and %lu punches refused\n", refusals, refused_punches);
    }
    EXPECT(refusals > 0);
    return 0;
}
