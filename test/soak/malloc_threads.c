/* A soak of the drop-in malloc: threads are born and die, free and resize each other's blocks, the
 * process forks now and then; every block's contents are checked, and resident memory stays
 * bounded. SOAK_SECONDS (600), SEED. */
#include "malloc_calls.h"
#include "process.h"
#include "seeds.h"
#include "test_threads.h"

#include <stdatomic.h>

#define WORKERS  6
#define SLOTS    4096 /* shared: any thread takes and fills any */
#define RESIDENT ((size_t)1500 << 20)

struct parcel {
    size_t size;
    uint64_t seed;
    char contents[];
};

static _Atomic(struct parcel *) slots[SLOTS];
static uint64_t soak_seed;
static _Atomic uint64_t births, steps;
static time_t end;

static struct parcel *parcel_get(struct seeds *seeds, struct parcel *old)
{
    const size_t size = seeds_size(seeds, seeds_chance(seeds, 1) ? 22 : 13);
    const uint64_t seed = seeds_next(seeds);
    struct parcel *parcel = hidden(realloc(old, sizeof(*parcel) + size));
    EXPECT(parcel != NULL);
    parcel->size = size;
    parcel->seed = seed;
    contents_write(parcel->contents, size, seed);
    return parcel;
}

static void parcel_check(const struct parcel *parcel)
{
    EXPECT_INTACT(parcel->contents, parcel->size, parcel->seed);
}

/* Takes whatever a slot holds and puts something else there. */
static void step(struct seeds *seeds)
{
    const size_t slot = (size_t)seeds_below(seeds, SLOTS);
    struct parcel *parcel = atomic_exchange(&slots[slot], NULL);
    if (parcel != NULL)
        parcel_check(parcel);
    if (parcel == NULL || seeds_chance(seeds, 40)) {
        parcel = parcel_get(seeds, parcel);
    } else {
        free(parcel);
        parcel = NULL;
    }
    parcel = atomic_exchange(&slots[slot], parcel);
    if (parcel == NULL)
        return;
    parcel_check(parcel);
    free(parcel);
}

static bool over(void)
{
    return time(NULL) >= end;
}

/* A life of a few thousand steps; then another thread takes the place. */
static void *worker(void *context)
{
    const uint64_t birth = atomic_fetch_add(&births, 1);
    struct seeds seeds = seeds_stream(soak_seed, birth);
    const uint64_t life = 200 + seeds_below(&seeds, 20000);
    for (uint64_t i = 0; i < life && !over(); i++)
        step(&seeds);
    atomic_fetch_add(&steps, life);
    return context;
}

/* The child checks all it inherited, works a little and lets go of everything. */
static void child(void *context)
{
    struct seeds seeds = seeds_stream(soak_seed, (uintptr_t)context);
    for (int i = 0; i < 2000; i++)
        step(&seeds);
    for (size_t slot = 0; slot < SLOTS; slot++) {
        struct parcel *parcel = atomic_exchange(&slots[slot], NULL);
        if (parcel == NULL)
            continue;
        parcel_check(parcel);
        free(parcel);
    }
}

static void watch(uint64_t forks)
{
    const size_t resident = resident_bytes();
    EXPECT_THAT(resident < RESIDENT, "%zu bytes resident", resident);
    if (forks % 50 == 0)
        printf("%llu steps, %llu threads, %llu forks, %zu MiB resident\n",
               (unsigned long long)atomic_load(&steps), (unsigned long long)atomic_load(&births),
               (unsigned long long)forks, resident >> 20);
}

int main(void)
{
    pthread_t workers[WORKERS];
    const uint64_t seconds = environment_number("SOAK_SECONDS", 600);
    setvbuf(stdout, NULL, _IONBF, 0);
    soak_seed = seeds_announce("malloc_threads");
    end = time(NULL) + (time_t)seconds;
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = thread_start(worker, NULL);
    for (uint64_t round = 0; !over(); round++) {
        const size_t i = round % WORKERS;
        thread_join(workers[i]);
        workers[i] = thread_start(worker, NULL);
        if (round % 20 == 0) {
            const int status = child_run(child, (void *)(uintptr_t)(round + (1u << 30)));
            EXPECT_THAT(status == 0, "fork %llu: wait status 0x%x", (unsigned long long)round / 20,
                        (unsigned)status);
            watch(round / 20);
        }
    }
    for (size_t i = 0; i < WORKERS; i++)
        thread_join(workers[i]);
    child(NULL);
    printf("%llu steps in %llu threads\n", (unsigned long long)atomic_load(&steps),
           (unsigned long long)atomic_load(&births));
    return 0;
}
