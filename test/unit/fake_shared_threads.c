/* Blocks that the runs of several threads show are let go by all of them at once, in any order: the
 * last one gives each extent back, whether its own block is used, is just being retired or waits
 * for it. A round: every thread makes a run of its own; each aliases parts of all of them into a
 * second one; then each replaces, lets go and retires what it has, while the others do. A file that
 * gives memory back slowly lets them all come in between. */
#include "shared_blocks.h"
#include "test_threads.h"

#include <time.h>

#define THREADS 4

#ifdef __SANITIZE_THREAD__
#define ROUNDS 60
#else
#define ROUNDS 150
#endif

/* ---- a slow file ---- */

int __real_tn_os_file_punch(int fd, uint64_t offset_bytes, uint64_t size_bytes);
int __wrap_tn_os_file_punch(int fd, uint64_t offset_bytes, uint64_t size_bytes);
int __wrap_tn_os_file_punch(int fd, uint64_t offset_bytes, uint64_t size_bytes)
{
    const struct timespec moment = {.tv_nsec = 100000};
    (void)nanosleep(&moment, NULL);
    return __real_tn_os_file_punch(fd, offset_bytes, size_bytes);
}

/* ---- threads ---- */

struct thread {
    unsigned index;
    struct seeds seeds;
    struct test_run own, second;
    uint64_t holds[RUN_UNITS]; /* contents of the second run's units */
};

static struct world world;
static struct thread threads[THREADS];
static pthread_barrier_t barrier;

static void meet(void)
{
    (void)pthread_barrier_wait(&barrier);
}

/* What a thread's own run holds in a unit. */
static uint64_t contents_of(unsigned thread, size_t unit)
{
    return thread * 100 + unit;
}

static void make(struct thread *thread)
{
    EXPECT(run_get(&world, &thread->own) && run_get(&world, &thread->second));
    for (size_t unit = 0; unit < RUN_UNITS; unit++)
        contents_write(at(&world, &thread->own, unit), world.unit,
                       contents_of(thread->index, unit));
}

/* Each unit of somebody's run, who holds it until all have done this. */
static void show_others(struct thread *thread)
{
    for (size_t unit = 0; unit < RUN_UNITS; unit++) {
        const unsigned whose = (unsigned)seeds_below(&thread->seeds, THREADS);
        EXPECT(tn_space_alias(world.space, at(&world, &threads[whose].own, unit),
                              at(&world, &thread->second, unit), world.unit) == 0);
        thread->holds[unit] = contents_of(whose, unit);
    }
}

static void check_second(const struct thread *thread)
{
    for (size_t unit = 0; unit < RUN_UNITS; unit++)
        EXPECT_INTACT(at(&world, &thread->second, unit), world.unit, thread->holds[unit]);
}

/* A copy in place of a unit of the thread's own run, and a store to it. */
static void replace_one(struct thread *thread)
{
    struct test_run spare;
    char *unit = at(&world, &thread->own, seeds_below(&thread->seeds, RUN_UNITS));
    EXPECT(run_get(&world, &spare));
    memcpy(spare.addr, unit, world.unit);
    EXPECT(tn_space_replace(world.space, spare.addr, unit, world.unit) == 0);
    run_give(&world, &spare);
    EXPECT(tn_space_exclusive(world.space, unit, world.unit));
    memset(unit, 0x77, world.unit);
}

/* A unit of the second run shows another one of it instead. */
static void let_one_go(struct thread *thread)
{
    const size_t from = seeds_below(&thread->seeds, RUN_UNITS);
    const size_t to = seeds_below(&thread->seeds, RUN_UNITS);
    if (from == to)
        return;
    EXPECT(tn_space_alias(world.space, at(&world, &thread->second, from),
                          at(&world, &thread->second, to), world.unit) == 0);
    thread->holds[to] = thread->holds[from];
}

static void let_all_go(struct thread *thread)
{
    for (unsigned i = 0; i < 4; i++)
        replace_one(thread);
    const bool own_first = seeds_chance(&thread->seeds, 50);
    if (own_first)
        run_give(&world, &thread->own);
    else
        let_one_go(thread);
    check_second(thread);
    run_give(&world, &thread->second);
    if (!own_first)
        run_give(&world, &thread->own);
}

static void *rounds(void *context)
{
    struct thread *thread = context;
    for (unsigned round = 0; round < ROUNDS; round++) {
        make(thread);
        meet();
        show_others(thread);
        check_second(thread);
        meet();
        let_all_go(thread);
        meet();
        if (thread->index == 0) {
            (void)terrane_pool_purge(world.space);
            audit(&world);
            EXPECT_THAT(file_bytes(&world) == 0, "%llu bytes after round %u",
                        (unsigned long long)file_bytes(&world), round);
        }
        meet();
    }
    return NULL;
}

int main(void)
{
    pthread_t ids[THREADS];
    const uint64_t seed = seeds_announce("fake_shared_threads");
    if (!tn_os_features()->memfd)
        test_skip("no memfd here");
    world_open(&world, TERRANE_BACKING_MEMFD, 0);
    EXPECT(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.index = i, .seeds = seeds_stream(seed, i)};
        ids[i] = thread_start(rounds, &threads[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)thread_join(ids[i]);
    world_close(&world);
    return 0;
}
