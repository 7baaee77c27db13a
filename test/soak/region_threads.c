/* A soak of regions: threads are born and die, by two, four and eight, share a table of regions of
 * spaces of each backing, and do to them what the interface has; some fork in the middle. A child
 * checks the contents of all that it got a copy of, works on in the private spaces, and ends. When
 * all threads are gone the spaces must count what the table holds. SOAK_SECONDS (600), SEED. */
#include "process.h"
#include "region_parcels.h"
#include "seeds.h"
#include "test_threads.h"

#include <stdatomic.h>

#define WORKERS_MAX 8
#define SPACES      PARCEL_SPACES
#define SLOTS       192
#define HOLD_MAX    ((size_t)16 << 20) /* handed out in one space */
#define RESIDENT    ((size_t)1500 << 20)

struct crate {
    struct parcel parcel;
    unsigned space;
    bool sealed;
};

static struct terrane_space *spaces[SPACES];
static _Atomic(struct crate *) slots[SLOTS];
static uint64_t soak_seed;
static _Atomic uint64_t births, steps, moves, forks, refusals;
static _Atomic bool alone; /* a child of fork, in which shared spaces are the parent's */
static time_t end;

/* What a thread has for itself. */
struct worker {
    struct seeds seeds;
    struct terrane_heap *heaps[SPACES];
};

static bool space_is_private(unsigned space)
{
    return space == 0 || space == 3;
}

static unsigned draw_space(struct seeds *seeds)
{
    const unsigned space = (unsigned)seeds_below(seeds, SPACES);
    return alone && !space_is_private(space) ? 0 : space;
}

static size_t draw_size(struct seeds *seeds)
{
    return seeds_size(seeds, seeds_chance(seeds, 2) ? 24 : 20);
}

/* ---- steps ---- */

static bool succeeded(int error)
{
    EXPECT_THAT(error == 0 || error == -ENOMEM, "%d", error); /* the limit of the space */
    if (error != 0)
        atomic_fetch_add(&refusals, 1);
    return error == 0;
}

/* A new region in a crate, or NULL. */
static struct crate *crate_acquire(struct seeds *seeds)
{
    struct terrane_region region;
    const unsigned space = draw_space(seeds);
    if (!succeeded(terrane_region_acquire(spaces[space], draw_size(seeds), &region)))
        return NULL;
    struct crate *crate = malloc(sizeof(*crate));
    EXPECT(crate != NULL);
    *crate = (struct crate){parcel_make(region, seeds_next(seeds)), space, false};
    return crate;
}

static void crate_release(struct crate *crate)
{
    parcel_check(&crate->parcel);
    terrane_region_release(&crate->parcel.region);
    free(crate);
}

static void crate_resize(struct seeds *seeds, struct crate *crate)
{
    struct terrane_region *region = &crate->parcel.region;
    const size_t before = region->capacity;
    if (succeeded(terrane_region_resize(region, draw_size(seeds))))
        parcel_resized(&crate->parcel, before);
}

static void crate_move(struct seeds *seeds, struct crate *crate)
{
    const unsigned space = draw_space(seeds);
    if (succeeded(terrane_region_move(&crate->parcel.region, spaces[space])))
        crate->space = space;
    parcel_check(&crate->parcel);
    atomic_fetch_add(&moves, 1);
}

static void crate_seal(struct crate *crate)
{
    struct terrane_region *region = &crate->parcel.region;
    EXPECT((crate->sealed ? terrane_region_unseal(region) : terrane_region_seal(region)) == 0);
    crate->sealed = !crate->sealed;
    parcel_check(&crate->parcel);
}

static void crate_kill(struct crate *crate)
{
    struct terrane_region *region = &crate->parcel.region;
    EXPECT(terrane_region_advise(region, 0, region->capacity, TERRANE_ADVICE_DEAD) == 0);
    EXPECT_ZERO(region->data, region->capacity < PARCEL_WHOLE ? region->capacity : PARCEL_WHOLE);
    parcel_write_range(&crate->parcel, 0, region->capacity);
}

/* To an object and, by whoever has the address, back. */
static void crate_convert(struct worker *worker, struct crate *crate)
{
    void *object;
    const struct terrane_region before = crate->parcel.region;
    EXPECT(terrane_region_to_object(&crate->parcel.region, worker->heaps[crate->space], &object) ==
           0);
    EXPECT(object == before.data);
    EXPECT(terrane_region_from_object(object, &crate->parcel.region) == 0);
    EXPECT(crate->parcel.region.capacity == before.capacity);
    parcel_check(&crate->parcel);
}

/* The crate, or NULL if it is gone. */
static struct crate *crate_change(struct worker *worker, struct crate *crate)
{
    const uint64_t what = seeds_below(&worker->seeds, 100);
    if (what < 45) {
        crate_release(crate);
        return NULL;
    }
    if (what < 52)
        crate_seal(crate);
    if (crate->sealed)
        return crate;
    if (what >= 90)
        crate_move(&worker->seeds, crate);
    else if (what >= 86)
        crate_kill(crate);
    else if (what >= 80)
        crate_convert(worker, crate);
    else if (what >= 52)
        crate_resize(&worker->seeds, crate);
    return crate;
}

static void change_settings(struct seeds *seeds)
{
    static const uint64_t decays[] = {0, 50, 1000};
    struct terrane_space *space = spaces[draw_space(seeds)];
    if (space == spaces[2] && seeds_chance(seeds, 50))
        EXPECT(terrane_pool_set_resident_budget(space, (size_t)seeds_below(seeds, 3) << 22) == 0);
    else if (seeds_chance(seeds, 30))
        (void)terrane_pool_purge(space);
    else if (seeds_chance(seeds, 50))
        terrane_pool_set_decay(space, decays[seeds_below(seeds, 3)]);
    else
        terrane_pool_set_cache(space, (size_t)seeds_below(seeds, 3) << 23);
}

static void step(struct worker *worker)
{
    struct seeds *seeds = &worker->seeds;
    _Atomic(struct crate *) *slot = &slots[seeds_below(seeds, SLOTS)];
    struct crate *crate = atomic_exchange(slot, NULL);
    if (alone && crate != NULL && !space_is_private(crate->space)) {
        free(crate); /* the parent's */
        crate = NULL;
    }
    if (crate != NULL)
        parcel_check(&crate->parcel);
    crate = crate == NULL ? crate_acquire(seeds) : crate_change(worker, crate);
    crate = atomic_exchange(slot, crate);
    if (crate != NULL)
        crate_release(crate);
    if (seeds_below(seeds, 500) == 0)
        change_settings(seeds);
    atomic_fetch_add(&steps, 1);
}

/* ---- fork ---- */

/* Other threads' caches are nobody's; one that was in the middle of a change must not count as
 * full for ever. */
static void child_check_caches(struct terrane_space *space)
{
    static struct terrane_pool_stats stats;
    (void)terrane_pool_purge(space);
    terrane_pool_stats(space, &stats);
    EXPECT_THAT(stats.total.cached_bytes == 0, "%llu bytes",
                (unsigned long long)stats.total.cached_bytes);
}

static void child_live(struct worker *worker)
{
    alarm(CHILD_SECONDS);
    alone = true;
#ifdef __SANITIZE_THREAD__
    terrane_worker_stop(); /* the sanitizer has no threads in a child that had some */
#endif
    for (size_t i = 0; i < SLOTS; i++) {
        const struct crate *crate = atomic_load(&slots[i]);
        if (crate != NULL && space_is_private(crate->space))
            parcel_check(&crate->parcel);
    }
    child_check_caches(spaces[0]);
    child_check_caches(spaces[3]);
    struct terrane_region region;
    EXPECT(terrane_region_acquire(spaces[1], 1, &region) == -EPERM);
    EXPECT(terrane_region_acquire(spaces[2], 1, &region) == -EPERM);
    for (unsigned i = 0; i < 200; i++)
        step(worker);
    for (unsigned i = 0; i < SPACES && seeds_chance(&worker->seeds, 50); i++)
        EXPECT(terrane_space_destroy(spaces[i]) == 0);
    _exit(0);
}

/* What the forking thread has in a file of the parent the child sees. */
static void fork_now(struct worker *worker)
{
    struct crate *own = crate_acquire(&worker->seeds);
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        if (own != NULL && spaces[own->space] != spaces[2])
            parcel_check(&own->parcel);
        child_live(worker);
    }
    EXPECT_CHILD_PASSED(pid);
    if (own != NULL)
        crate_release(own);
    atomic_fetch_add(&forks, 1);
}

/* ---- births and deaths ---- */

static void *work(void *context)
{
    struct worker worker = {.seeds = seeds_stream(soak_seed, atomic_fetch_add(&births, 1))};
    for (unsigned i = 0; i < SPACES; i++)
        EXPECT(terrane_heap_create(spaces[i], NULL, &worker.heaps[i]) == 0);
    const uint64_t life = 50 + seeds_below(&worker.seeds, 1500);
    for (uint64_t i = 0; i < life && time(NULL) < end; i++) {
        step(&worker);
        if (seeds_below(&worker.seeds, 1000) == 0)
            fork_now(&worker);
    }
    for (unsigned i = 0; i < SPACES; i++)
        terrane_heap_destroy(worker.heaps[i]);
    return context;
}

/* Threads without a crate of theirs: the counters are the table's. */
static void quiet_check(void)
{
    uint64_t regions[SPACES] = {0}, bytes[SPACES] = {0};
    for (size_t i = 0; i < SLOTS; i++) {
        const struct crate *crate = atomic_load(&slots[i]);
        if (crate == NULL)
            continue;
        parcel_check(&crate->parcel);
        regions[crate->space]++;
        bytes[crate->space] += crate->parcel.region.capacity;
    }
    for (unsigned i = 0; i < SPACES; i++)
        expect_counts(spaces[i], regions[i], bytes[i]);
}

static void run_for(time_t seconds, unsigned workers)
{
    pthread_t threads[WORKERS_MAX];
    end = time(NULL) + seconds;
    for (unsigned i = 0; i < workers; i++)
        threads[i] = thread_start(work, NULL);
    for (unsigned i = 0; time(NULL) < end; i = (i + 1) % workers) {
        thread_join(threads[i]);
        threads[i] = thread_start(work, NULL);
        const size_t resident = resident_bytes();
        EXPECT_THAT(resident < RESIDENT, "%zu bytes resident", resident);
    }
    for (unsigned i = 0; i < workers; i++)
        thread_join(threads[i]);
}

static void spaces_create(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        spaces[i] = parcel_space(i);
        terrane_pool_set_limit(spaces[i], HOLD_MAX);
    }
}

static void spaces_destroy(void)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct crate *crate = atomic_exchange(&slots[i], NULL);
        if (crate != NULL)
            crate_release(crate);
    }
    quiet_check();
    for (unsigned i = 0; i < SPACES; i++)
        EXPECT(terrane_space_destroy(spaces[i]) == 0);
}

int main(void)
{
    const time_t seconds = (time_t)environment_number("SOAK_SECONDS", 600);
    const time_t stop = time(NULL) + seconds;
    setvbuf(stdout, NULL, _IONBF, 0);
    soak_seed = seeds_announce("region_threads");
    for (unsigned workers = 2; time(NULL) < stop; workers = workers == 8 ? 2 : 2 * workers) {
        spaces_create(); /* anew, so that first uses are many, and ids are used again */
        run_for(seconds < 15 ? seconds / 3 : 5, workers);
        quiet_check();
        spaces_destroy();
        printf("%u at a time, %llu threads, %llu steps, %llu moves, %llu refusals, %llu forks, "
               "%zu MiB resident\n",
               workers, (unsigned long long)births, (unsigned long long)steps,
               (unsigned long long)moves, (unsigned long long)refusals, (unsigned long long)forks,
               resident_bytes() >> 20);
    }
    return 0;
}
