/* The mapping limit (vm.max_map_count) is never met: 100 000 scattered moves and as many aliases
 * end with all contents right and the process inside the budget of its spaces; and the same when
 * others have used the limit up. Where mappings are short, moves copy and aliases are refused. */
#include "contents.h"
#include "os/os.h"
#include "pool/pool.h"
#include "process.h"
#include "seeds.h"

#include <sys/mman.h>
#include <terrane/terrane.h>

#ifdef TN_AUDIT /* each step may walk the whole space */
#define STEPS 4000
#else
#define STEPS 100000
#endif
#define OBJECTS   24000
#define RUNS      12000
#define BYTES     ((size_t)64 << 10)
#define PAGE      ((size_t)4096)
#define STAMP     64  /* bytes at the start and at the end of an object */
#define ELSEWHERE 100 /* mappings that the process may gain apart from its spaces */

struct world {
    struct terrane_space *spaces[2];
    struct terrane_heap *heaps[2];
    void *objects[OBJECTS];
    struct seeds seeds;
};

static struct world world;

static void stamp(char *bytes, uint64_t seed)
{
    contents_write(bytes, STAMP, seed);
    contents_write(bytes + BYTES - STAMP, STAMP, ~seed);
}

static void expect_stamp(const char *bytes, uint64_t seed)
{
    EXPECT_INTACT(bytes, STAMP, seed);
    EXPECT_INTACT(bytes + BYTES - STAMP, STAMP, ~seed);
}

static struct terrane_space *space_get(enum terrane_backing backing, size_t budget)
{
    struct terrane_space *space = NULL;
    const struct terrane_space_options options = {.backing = backing,
                                                  .window_bytes = (size_t)16 << 30,
                                                  .mappings_budget = budget,
                                                  .move_min_bytes = BYTES};
    const int error = terrane_space_create(&options, &space);
    EXPECT_THAT(error == 0, "%d", error);
    return space;
}

static struct terrane_stats stats_of(const struct terrane_space *space)
{
    struct terrane_stats stats;
    terrane_space_stats(space, &stats);
    return stats;
}

/* ---- moves between two private spaces ---- */

static void world_open(size_t budget)
{
    for (size_t i = 0; i < 2; i++) {
        world.spaces[i] = space_get(TERRANE_BACKING_PRIVATE, budget);
        EXPECT(terrane_heap_create(world.spaces[i], NULL, &world.heaps[i]) == 0);
    }
}

static void world_fill(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        world.objects[i] = terrane_heap_alloc(world.heaps[i % 2], BYTES);
        EXPECT(world.objects[i] != NULL);
        stamp(world.objects[i], i);
    }
}

static void world_move(size_t count, size_t steps)
{
    for (size_t step = 0; step < steps; step++) {
        const size_t i = (size_t)seeds_below(&world.seeds, count);
        const size_t to = terrane_heap_of(world.objects[i]) == world.heaps[0] ? 1 : 0;
        const int error = terrane_heap_move(world.heaps[to], &world.objects[i]);
        EXPECT_THAT(error == 0, "%d at step %zu", error, step);
        expect_stamp(world.objects[i], i);
    }
}

static void world_close(size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_stamp(world.objects[i], i);
    for (size_t i = 0; i < 2; i++) {
        terrane_heap_audit(world.heaps[i]);
        EXPECT(terrane_space_destroy(world.spaces[i]) == 0);
    }
}

static uint64_t world_sum_moves(void)
{
    return stats_of(world.spaces[0]).moves + stats_of(world.spaces[1]).moves;
}

static uint64_t world_sum_refusals(void)
{
    return stats_of(world.spaces[0]).budget_refusals + stats_of(world.spaces[1]).budget_refusals;
}

/* A budget of 0 is the default: half the limit. */
static void scattered_moves(size_t budget)
{
    world_open(budget);
    world_fill(OBJECTS);
    const size_t before = mappings_count();
    world_move(OBJECTS, STEPS);
    const struct terrane_stats stats[2] = {stats_of(world.spaces[0]), stats_of(world.spaces[1])};
    const size_t after = mappings_count();
    printf("budget %zu: %zu mappings, then %zu; %llu moves, %llu refusals\n", budget, before, after,
           (unsigned long long)world_sum_moves(), (unsigned long long)world_sum_refusals());
    EXPECT(stats[0].mappings <= stats[0].mappings_budget);
    EXPECT(stats[1].mappings <= stats[1].mappings_budget);
    EXPECT_THAT(after <= before + stats[0].mappings + stats[1].mappings + ELSEWHERE,
                "%zu mappings, %llu and %llu accounted for", after,
                (unsigned long long)stats[0].mappings, (unsigned long long)stats[1].mappings);
    EXPECT(world_sum_moves() > 0);
    if (budget != 0)
        EXPECT(world_sum_refusals() > 0);
    world_close(OBJECTS);
}

/* ---- aliases in a shared space ---- */

static struct tn_run runs[RUNS];
static uint64_t run_seeds[RUNS]; /* 0: the run is not there */

static void run_acquire(struct terrane_space *space, size_t i)
{
    const struct tn_wish wish = {.bytes = BYTES, .whole = true};
    EXPECT(tn_pool_acquire(space, &wish, &runs[i]) == 0);
}

static void run_release(struct terrane_space *space, size_t i)
{
    expect_stamp(tn_block_addr(space, runs[i].block), run_seeds[i]);
    tn_pool_release(space, runs[i].block, runs[i].order, BYTES);
    run_seeds[i] = 0;
}

/* Makes run `to` show the pages of run `from`, or copies them as a caller does who is refused. */
static bool run_alias(struct terrane_space *space, size_t from, size_t to)
{
    char *source = tn_block_addr(space, runs[from].block);
    run_acquire(space, to);
    char *target = tn_block_addr(space, runs[to].block);
    const int error = tn_space_alias(space, source, target, BYTES);
    EXPECT_THAT(error == 0 || error == -ENOMEM, "%d", error);
    if (error != 0)
        memcpy(target, source, BYTES);
    run_seeds[to] = run_seeds[from];
    expect_stamp(target, run_seeds[to]);
    return error == 0;
}

static void scattered_aliases(size_t budget)
{
    struct terrane_space *space = space_get(TERRANE_BACKING_MEMFD, budget);
    uint64_t aliased = 0;
    for (size_t i = 0; i < RUNS; i += 2) {
        run_acquire(space, i);
        run_seeds[i] = i + 1;
        stamp(tn_block_addr(space, runs[i].block), i + 1);
    }
    const size_t before = mappings_count();
    for (size_t step = 0; step < STEPS; step++) {
        const size_t from = (size_t)seeds_below(&world.seeds, RUNS);
        const size_t to = (size_t)seeds_below(&world.seeds, RUNS);
        if (from == to || run_seeds[from] == 0)
            continue;
        if (run_seeds[to] != 0)
            run_release(space, to);
        aliased += run_alias(space, from, to);
    }
    const struct terrane_stats stats = stats_of(space);
    const size_t after = mappings_count();
    printf("budget %zu: %zu mappings, then %zu; %llu aliases\n", budget, before, after,
           (unsigned long long)aliased);
    EXPECT(stats.aliases == aliased && aliased > 0);
    EXPECT(stats.mappings <= stats.mappings_budget);
    EXPECT(after <= before + stats.mappings + ELSEWHERE);
    for (size_t i = 0; i < RUNS; i++) {
        if (run_seeds[i] != 0)
            run_release(space, i);
    }
    tn_space_audit(space);
    EXPECT(terrane_space_destroy(space) == 0);
}

/* ---- when others have used the limit up ---- */

#define HEADROOM_MAX 16

/* One mapping of which every other page has other rights, so that each page is a mapping. */
struct filler {
    char *pages;
    size_t bytes;
};

/* Splits mappings until the kernel refuses. */
static struct filler fill_limit(size_t limit)
{
    struct filler filler = {.bytes = (2 * limit + 2) * PAGE};
    filler.pages =
        mmap(NULL, filler.bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT(filler.pages != MAP_FAILED);
    size_t at = 0;
    while (at < filler.bytes && mprotect(filler.pages + at, PAGE, PROT_NONE) == 0)
        at += 2 * PAGE;
    EXPECT(at < filler.bytes && errno == ENOMEM);
    return filler;
}

/* Joins pages again: the first one joins one neighbour, each other page two. */
static void make_headroom(const struct filler *filler, size_t mappings)
{
    if (mappings % 2 == 1)
        EXPECT(mprotect(filler->pages, PAGE, PROT_READ) == 0);
    for (size_t i = 1; i <= mappings / 2; i++)
        EXPECT(mprotect(filler->pages + 2 * i * PAGE, PAGE, PROT_READ) == 0);
}

/* As far as what others took meanwhile allows. */
static void take_headroom(const struct filler *filler)
{
    for (size_t i = 0; i <= HEADROOM_MAX / 2; i++)
        (void)mprotect(filler->pages + 2 * i * PAGE, PAGE, PROT_NONE);
}

/* Objects that have grown in many ways span several mappings: a move of one is a move of each, and
 * the kernel may refuse in the middle. */
#define LONG_COUNT (HEADROOM_MAX + 1)
#define LONG_FIRST ((size_t)100000)
#define LONG_STEP  ((size_t)64 << 10) /* from stamp to stamp */

static struct {
    char *bytes;
    size_t size;
} long_objects[LONG_COUNT];

/* Resizes and stamps what is new; all stamps must be there. */
static void long_resize(size_t i, size_t size)
{
    char *bytes = terrane_heap_resize(world.heaps[0], long_objects[i].bytes, size);
    EXPECT_THAT(bytes != NULL, "growth to %zu", size);
    for (size_t at = 0; at + STAMP <= size; at += LONG_STEP) {
        if (at + STAMP <= long_objects[i].size)
            EXPECT_INTACT(bytes + at, STAMP, at + i);
        else
            contents_write(bytes + at, STAMP, at + i);
    }
    long_objects[i].bytes = bytes;
    long_objects[i].size = size;
}

/* Doubles them in turn, so that each is in another's way. */
static void long_open(void)
{
    for (size_t size = LONG_FIRST; size < 128 * LONG_FIRST; size *= 2) {
        for (size_t i = 0; i < LONG_COUNT; i++)
            long_resize(i, size);
    }
}

static void replace_half(size_t count)
{
    for (size_t i = 0; i < count; i += 2) {
        terrane_free(world.objects[i]);
        world.objects[i] = terrane_heap_alloc(world.heaps[i % 2], BYTES);
        EXPECT(world.objects[i] != NULL);
        stamp(world.objects[i], i);
    }
}

/* The kernel refuses at different points of a call, by how many mappings are left. */
static void live_at_the_limit(size_t count, const struct filler *filler)
{
    for (size_t headroom = 0; headroom <= HEADROOM_MAX; headroom++) {
        make_headroom(filler, headroom);
        world_move(count, 500);
        for (size_t factor = 128; factor <= 1024; factor *= 2)
            long_resize(headroom, factor * LONG_FIRST);
        replace_half(count);
        for (size_t i = 0; i < 2; i++) {
            terrane_heap_audit(world.heaps[i]);
            (void)terrane_space_trim(world.spaces[i]);
        }
        take_headroom(filler);
    }
}

static void moves_at_the_limit(size_t limit)
{
    enum { COUNT = 2000 };
    world_open(0);
    world_fill(COUNT);
    world_move(COUNT, 3000);
    long_open();
    const uint64_t before = world_sum_moves();
    const struct filler filler = fill_limit(limit);
    live_at_the_limit(COUNT, &filler);
    const uint64_t at_limit = world_sum_moves();
    EXPECT(munmap(filler.pages, filler.bytes) == 0);
    world_move(COUNT, 3000);
    printf("%llu moves, at the limit %llu, after it %llu\n", (unsigned long long)before,
           (unsigned long long)(at_limit - before),
           (unsigned long long)(world_sum_moves() - at_limit));
    EXPECT(world_sum_moves() > at_limit);
    world_close(COUNT);
}

/* ---- the verb itself ---- */

/* A move with so many mappings left, from a range of one mapping or of three. Where the kernel
 * refuses all contents are at their source and the target is still there. */
static int move_range(size_t limit, size_t headroom, bool spanning)
{
    const size_t bytes = (size_t)8 << 20, huge = (size_t)2 << 20;
    unsigned char resident[(8 << 20) / 4096];
    void *window;
    EXPECT(tn_os_reserve(4 * bytes, 0, bytes, &window) == 0);
    EXPECT(tn_os_commit(window, 4 * bytes) == 0);
    char *from = window, *to = from + 2 * bytes;
    contents_write(from, bytes, headroom);
    if (spanning)
        EXPECT(mprotect(from + huge, huge, PROT_READ) == 0);
    const struct filler filler = fill_limit(limit);
    make_headroom(&filler, headroom);
    const int error = tn_os_move(from, to, bytes);
    EXPECT_THAT(mincore(to, bytes, resident) == 0, "no hole with %zu mappings left", headroom);
    EXPECT_INTACT(error == 0 ? to : from, bytes, headroom);
    EXPECT(munmap(filler.pages, filler.bytes) == 0);
    EXPECT(tn_os_release(window, 4 * bytes) == 0);
    return error;
}

static void refused_moves_change_nothing(size_t limit)
{
    size_t moved = 0;
    for (size_t headroom = 0; headroom <= HEADROOM_MAX; headroom++) {
        const int error = move_range(limit, headroom, false);
        EXPECT_THAT(error == 0 || error == -ENOMEM, "%d", error);
        moved += error == 0;
        EXPECT(move_range(limit, headroom, true) == -EFAULT);
    }
    EXPECT(moved > 0 && moved <= HEADROOM_MAX);
}

int main(void)
{
    const size_t limit = file_number("/proc/sys/vm/max_map_count", 65530);
    world.seeds.state = seeds_announce("mappings_stay_in_budget");
    if (limit > 500000)
        test_skip("vm.max_map_count is %zu: too many mappings to fill", limit);
    scattered_moves(0);
    scattered_moves(3000);
    scattered_aliases(0);
    scattered_aliases(500);
    moves_at_the_limit(limit);
    refused_moves_change_nothing(limit);
    return 0;
}
