/* A block may be allocated, resized, measured and freed each in another thread, also after the
 * allocating one has ended, and also while it allocates on; memory that others free comes back. */
#include "malloc_calls.h"
#include "process.h"
#include "seeds.h"
#include "test_threads.h"

#include <stdatomic.h>

#define STATIONS 4
#define LAPS     12000
#define RING     1024

struct parcel {
    void *block;
    size_t size;
    uint64_t seed;
};

/* Station i puts parcels in belt i; station i + 1 takes them out. One writer, one reader each. */
static struct belt {
    struct parcel parcels[RING];
    atomic_size_t put, got;
} belts[STATIONS];

static void belt_put(struct belt *belt, struct parcel parcel)
{
    const size_t put = atomic_load_explicit(&belt->put, memory_order_relaxed);
    while (put - atomic_load_explicit(&belt->got, memory_order_acquire) == RING)
        sched_yield();
    belt->parcels[put % RING] = parcel;
    atomic_store_explicit(&belt->put, put + 1, memory_order_release);
}

static struct parcel belt_get(struct belt *belt)
{
    const size_t got = atomic_load_explicit(&belt->got, memory_order_relaxed);
    while (atomic_load_explicit(&belt->put, memory_order_acquire) == got)
        sched_yield();
    const struct parcel parcel = belt->parcels[got % RING];
    atomic_store_explicit(&belt->got, got + 1, memory_order_release);
    return parcel;
}

/* The first station allocates, the middle ones resize, the last frees. */
static void *station(void *context)
{
    const size_t index = (size_t)(uintptr_t)context;
    struct seeds seeds = {index + 1};
    for (uint64_t lap = 0; lap < LAPS; lap++) {
        struct parcel parcel;
        if (index == 0) {
            parcel.size = seeds_size(&seeds, lap % 50 == 0 ? 22 : 14);
            parcel.seed = lap;
            parcel.block = get_block(parcel.size, lap);
        } else {
            parcel = belt_get(&belts[index - 1]);
        }
        if (index == STATIONS - 1) {
            put_block(parcel.block, parcel.size, parcel.seed);
            continue;
        }
        const size_t size = seeds_size(&seeds, lap % 50 == 0 ? 22 : 14);
        const size_t kept = size < parcel.size ? size : parcel.size;
        parcel.block = hidden(realloc(parcel.block, size));
        EXPECT(parcel.block != NULL);
        EXPECT_INTACT(parcel.block, kept, parcel.seed);
        contents_write_range(parcel.block, kept, size, parcel.seed);
        parcel.size = size;
        belt_put(&belts[index], parcel);
    }
    return NULL;
}

static void run_belts(void)
{
    pthread_t threads[STATIONS];
    for (uintptr_t i = 0; i < STATIONS; i++)
        threads[i] = thread_start(station, (void *)i);
    for (size_t i = 0; i < STATIONS; i++)
        thread_join(threads[i]);
}

int main(void)
{
    run_belts();
    const size_t resident = resident_bytes();
    for (int i = 0; i < 3; i++)
        run_belts();
    EXPECT_THAT(resident_bytes() < resident + ((size_t)64 << 20), "from %zu to %zu", resident,
                resident_bytes());
    return 0;
}
