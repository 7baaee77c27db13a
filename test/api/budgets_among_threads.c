/* Threads that take, grow, shrink, advise, seal and give back regions of one scratch space while
 * its budget drops what they do not use and is changed under way: contents stay, and in the end the
 * file is empty. Times what is left to chance: a few seconds. */
#include "api_test.h"
#include "test_threads.h"

#include <time.h>

#define THREADS 3
#define HELD    12
#define ROUNDS  250
#define LARGEST (12 * MIB)

/* What may be left in the file of more than 100 MiB: what the file system notes about it, and parts
 * of 2 MiB pages that the kernel could not divide when a neighbour was given back, because somebody
 * held them; a store to the rest found room for all of such a page again. */
#define FILE_REST (8 * MIB)

static struct terrane_space *space;

struct held {
    struct terrane_region region;
    uint64_t seed;
};

static size_t some_size(uint64_t random)
{
    const size_t most = random % 4 == 0 ? LARGEST : 300 * KIB;
    return 1 + (size_t)(random >> 8) % most;
}

static void check(const struct held *held, size_t bytes)
{
    EXPECT_INTACT(held->region.data, bytes, held->seed);
}

static void take(struct held *held, uint64_t random)
{
    EXPECT(terrane_region_acquire(space, some_size(random), &held->region) == 0);
    held->seed = random;
    contents_write(held->region.data, held->region.capacity, held->seed);
}

static void resize(struct held *held, uint64_t random)
{
    const size_t before = held->region.capacity;
    EXPECT(terrane_region_resize(&held->region, some_size(random)) == 0);
    const size_t kept = before < held->region.capacity ? before : held->region.capacity;
    check(held, kept);
    contents_write(held->region.data, held->region.capacity, held->seed);
}

static void kill_middle(struct held *held)
{
    const size_t quarter = held->region.capacity / 4;
    EXPECT(terrane_region_advise(&held->region, quarter, quarter, TERRANE_ADVICE_DEAD) == 0);
    contents_write(held->region.data, held->region.capacity, held->seed);
}

static void seal_for_a_while(struct held *held)
{
    EXPECT(terrane_region_seal(&held->region) == 0);
    check(held, held->region.capacity);
    EXPECT(terrane_region_unseal(&held->region) == 0);
}

static void change(struct held *held, uint64_t random)
{
    if (held->region.data == NULL) {
        take(held, random);
        return;
    }
    check(held, held->region.capacity);
    switch (random % 7) {
    case 0:
        resize(held, random / 7);
        break;
    case 1:
        kill_middle(held);
        break;
    case 2:
        EXPECT(terrane_region_advise(&held->region, 0, held->region.capacity,
                                     TERRANE_ADVICE_COLD) == 0);
        break;
    case 3:
        seal_for_a_while(held);
        break;
    default:
        terrane_region_release(&held->region);
    }
}

static void *use_regions(void *context)
{
    const uint64_t start = (uint64_t)(uintptr_t)context << 32;
    struct held held[HELD] = {{.seed = 0}};
    for (uint64_t i = 0; i < ROUNDS; i++) {
        const uint64_t random = contents_mix(start + i);
        change(&held[random % HELD], random / HELD);
    }
    for (size_t i = 0; i < HELD; i++) {
        if (held[i].region.data != NULL)
            check(&held[i], held[i].region.capacity);
        terrane_region_release(&held[i].region);
    }
    return NULL;
}

static void test_threads_under_a_budget(void **state)
{
    static const size_t budgets[] = {16 * MIB, 64 * MIB, 0, 24 * MIB};
    (void)state;
    pthread_t threads[THREADS];
    space = space_of_backing(TERRANE_BACKING_SCRATCH);
    const int error = terrane_pool_set_resident_budget(space, budgets[0]);
    if (error == -ENOTSUP) {
        print_message("%s is not on a disk\n", scratch_dir());
        assert_int_equal(terrane_space_destroy(space), 0);
        skip();
    }
    assert_int_equal(error, 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = thread_start(use_regions, (void *)(i + 1));
    for (unsigned i = 0; i < 20; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        assert_int_equal(terrane_pool_set_resident_budget(space, budgets[i % 4]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    terrane_worker_stop(); /* what it is about to give back is not the purge's any more */
    (void)terrane_pool_purge(space);
    struct terrane_pool_stats stats;
    terrane_pool_stats(space, &stats);
    assert_true(stats.evicted_bytes > 0);
    assert_int_equal(stats.total.live_bytes, 0);
    assert_true(stats.file_bytes < FILE_REST);
    assert_int_equal(terrane_space_destroy(space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads_under_a_budget)};
    return RUN_TESTS(tests);
}
