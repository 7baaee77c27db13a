/* A soak of the library: threads create heaps in spaces of each backing, adopt those that dead
 * threads left, free and move each other's objects, and audit now and then; contents are checked,
 * resident memory stays bounded. SOAK_SECONDS (600), SEED. */
#include "contents.h"
#include "process.h"
#include "seeds.h"
#include "test_threads.h"

#include <stdatomic.h>
#include <terrane/terrane.h>

#define WORKERS  5
#define BACKINGS 3
#define SLOTS    2048
#define LEFT_MAX 64 /* heaps at most, and more than there are threads */
#define RESIDENT ((size_t)1500 << 20)

struct parcel {
    size_t size;
    uint64_t seed;
    char contents[];
};

static struct terrane_space *spaces[BACKINGS];
static _Atomic(struct parcel *) slots[SLOTS];

/* Heaps without an owner. */
static pthread_mutex_t left_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct terrane_heap *left[LEFT_MAX];
static size_t left_count;
static _Atomic size_t heaps; /* with and without */

static uint64_t soak_seed;
static _Atomic uint64_t births, adopted, moved;
static time_t end;

static void parcel_write(struct parcel *parcel, size_t size, uint64_t seed)
{
    parcel->size = size;
    parcel->seed = seed;
    contents_write(parcel->contents, size, seed);
}

static void parcel_check(const struct parcel *parcel)
{
    EXPECT_INTACT(parcel->contents, parcel->size, parcel->seed);
}

/* The parcel may be of any heap; it comes into `heap` if it has to go elsewhere. */
static struct parcel *parcel_change(struct terrane_heap *heap, struct seeds *seeds,
                                    struct parcel *parcel)
{
    const size_t size = seeds_size(seeds, seeds_chance(seeds, 2) ? 22 : 13);
    void *object = parcel;
    if (parcel != NULL && seeds_chance(seeds, 30)) {
        const int error = terrane_heap_move(heap, &object);
        EXPECT_THAT(error == 0, "%d", error);
        EXPECT(terrane_heap_of(object) == heap);
        parcel_check(object);
        atomic_fetch_add(&moved, 1);
    }
    parcel = terrane_heap_resize(heap, object, sizeof(*parcel) + size);
    EXPECT(parcel != NULL);
    parcel_write(parcel, size, seeds_next(seeds));
    return parcel;
}

static void step(struct terrane_heap *heap, struct seeds *seeds)
{
    const size_t slot = (size_t)seeds_below(seeds, SLOTS);
    struct parcel *parcel = atomic_exchange(&slots[slot], NULL);
    if (parcel != NULL)
        parcel_check(parcel);
    if (parcel == NULL || seeds_chance(seeds, 40)) {
        parcel = parcel_change(heap, seeds, parcel);
    } else {
        terrane_free(parcel);
        parcel = NULL;
    }
    parcel = atomic_exchange(&slots[slot], parcel);
    if (parcel == NULL)
        return;
    parcel_check(parcel);
    terrane_free(parcel);
}

/* Takes a heap that a thread has left, any of them; NULL if there is none. */
static struct terrane_heap *left_take(struct seeds *seeds)
{
    pthread_mutex_lock(&left_mutex);
    struct terrane_heap *heap = NULL;
    if (left_count > 0) {
        const size_t i = (size_t)seeds_below(seeds, left_count);
        heap = left[i];
        left[i] = left[--left_count];
    }
    pthread_mutex_unlock(&left_mutex);
    return heap;
}

static void left_put(struct terrane_heap *heap)
{
    pthread_mutex_lock(&left_mutex);
    EXPECT(left_count < LEFT_MAX);
    left[left_count++] = heap;
    pthread_mutex_unlock(&left_mutex);
}

static struct terrane_heap *heap_create(struct seeds *seeds)
{
    struct terrane_heap *heap;
    const struct terrane_heap_options options = {.hardened = seeds_chance(seeds, 10)};
    struct terrane_space *space = spaces[seeds_below(seeds, BACKINGS)];
    const int error = terrane_heap_create(space, &options, &heap);
    EXPECT_THAT(error == 0, "%d", error);
    atomic_fetch_add(&heaps, 1);
    return heap;
}

/* One that was left, or a new one while there are not enough. */
static struct terrane_heap *heap_get(struct seeds *seeds)
{
    struct terrane_heap *heap = seeds_chance(seeds, 20) ? NULL : left_take(seeds);
    if (heap == NULL && atomic_load(&heaps) < LEFT_MAX - WORKERS)
        return heap_create(seeds);
    while (heap == NULL) {
        sched_yield(); /* there are so many that one is left soon */
        heap = left_take(seeds);
    }
    /* Whoever frees into an abandoned heap may hold it for a moment. */
    while (terrane_heap_adopt(heap) != 0)
        sched_yield();
    atomic_fetch_add(&adopted, 1);
    return heap;
}

static void live(struct terrane_heap *heap, struct seeds *seeds)
{
    const uint64_t life = 200 + seeds_below(seeds, 20000);
    for (uint64_t i = 0; i < life && time(NULL) < end; i++)
        step(heap, seeds);
    if (seeds_chance(seeds, 20))
        terrane_heap_trim(heap);
}

static void *worker(void *context)
{
    struct seeds seeds = seeds_stream(soak_seed, atomic_fetch_add(&births, 1));
    struct terrane_heap *heap = heap_get(&seeds);
    live(heap, &seeds);
    terrane_heap_abandon(heap);
    left_put(heap);
    return context;
}

static int count_object(void *object, size_t usable, void *context)
{
    size_t *count = context;
    (void)object, (void)usable;
    ++*count;
    return 0;
}

/* With all threads gone: every structure is whole and every object is where its heap says. */
static void quiet_check(void)
{
    size_t live = 0, walked = 0;
    for (size_t slot = 0; slot < SLOTS; slot++) {
        const struct parcel *parcel = atomic_load(&slots[slot]);
        if (parcel == NULL)
            continue;
        parcel_check(parcel);
        live++;
    }
    for (size_t i = 0; i < left_count; i++) {
        struct terrane_heap *heap = left[i];
        EXPECT(terrane_heap_adopt(heap) == 0);
        terrane_heap_trim(heap);
        terrane_heap_audit(heap);
        EXPECT(terrane_heap_walk(heap, count_object, &walked) == 0);
        terrane_heap_abandon(heap);
    }
    EXPECT_THAT(live == walked, "%zu parcels, %zu objects", live, walked);
}

static void run_for(time_t seconds)
{
    pthread_t workers[WORKERS];
    end = time(NULL) + seconds;
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = thread_start(worker, NULL);
    for (size_t i = 0; time(NULL) < end; i = (i + 1) % WORKERS) {
        thread_join(workers[i]);
        workers[i] = thread_start(worker, NULL);
        const size_t resident = resident_bytes();
        EXPECT_THAT(resident < RESIDENT, "%zu bytes resident", resident);
    }
    for (size_t i = 0; i < WORKERS; i++)
        thread_join(workers[i]);
}

int main(void)
{
    const time_t seconds = (time_t)environment_number("SOAK_SECONDS", 600);
    setvbuf(stdout, NULL, _IONBF, 0);
    soak_seed = seeds_announce("heap_threads");
    for (size_t i = 0; i < BACKINGS; i++) {
        const struct terrane_space_options options = {
            .backing = (enum terrane_backing)i,
            .window_bytes = (size_t)64 << 30,
            .scratch_dir = i == TERRANE_BACKING_SCRATCH ? "/tmp" : NULL,
            .move_min_bytes = (size_t)64 << 10};
        const int error = terrane_space_create(&options, &spaces[i]);
        EXPECT_THAT(error == 0, "%d", error);
    }
    const time_t stop = time(NULL) + seconds;
    while (time(NULL) < stop) {
        run_for(seconds < 20 ? seconds / 2 + 1 : 10);
        quiet_check();
        printf("%llu threads, %llu adoptions, %llu moves, %zu MiB resident\n",
               (unsigned long long)atomic_load(&births), (unsigned long long)atomic_load(&adopted),
               (unsigned long long)atomic_load(&moved), resident_bytes() >> 20);
    }
    for (size_t i = 0; i < BACKINGS; i++)
        EXPECT(terrane_space_destroy(spaces[i]) == 0);
    return 0;
}
