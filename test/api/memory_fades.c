/* What a pool reports is what the kernel says: while regions are in use, right after they are
 * released, and three seconds later, when by default everything has gone back. */
#include "api_test.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REGIONS 8
#define BYTES   (64 * MIB)

/* What a file system needs to say that a file has no data. */
#define FILE_MAPS_BYTES (128 * KIB)

struct pool {
    struct terrane_space *space;
    enum terrane_backing backing;
    struct terrane_region regions[REGIONS];
    void *data[REGIONS];
    size_t capacity[REGIONS];
    size_t floor_bytes; /* Rss of their mappings before they were touched */
};

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Bytes of a range that the kernel has in memory. */
static size_t range_resident(void *data, size_t bytes)
{
    const size_t pages = bytes / page_bytes();
    unsigned char *flags = malloc(pages);
    size_t count = 0;
    assert_non_null(flags);
    assert_int_equal(mincore(data, bytes, flags), 0);
    for (size_t i = 0; i < pages; i++)
        count += flags[i] & 1;
    free(flags);
    return count * page_bytes();
}

/* Rss of the mappings between two addresses, from smaps. */
static size_t smaps_between(const char *from, const char *to)
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    char line[512];
    size_t total = 0;
    bool inside = false;
    assert_non_null(smaps);
    while (fgets(line, sizeof(line), smaps) != NULL) {
        unsigned long start, end, kib;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = start < (uintptr_t)to && end > (uintptr_t)from;
        else if (inside && sscanf(line, "Rss: %lu kB", &kib) == 1)
            total += kib * KIB;
    }
    fclose(smaps);
    return total;
}

/* The regions lie side by side, behind descriptors that may lie in the same mapping. */
static size_t smaps_bytes(const struct pool *pool)
{
    const char *from = pool->data[0], *to = pool->data[0];
    for (unsigned i = 0; i < REGIONS; i++) {
        const char *data = pool->data[i];
        from = data < from ? data : from;
        to = data > to ? data : to;
    }
    return smaps_between(from - page_bytes(), to);
}

static size_t all_resident(const struct pool *pool)
{
    size_t total = 0;
    for (unsigned i = 0; i < REGIONS; i++)
        total += range_resident(pool->data[i], pool->capacity[i]);
    return total;
}

/* No block of the file that the address shows has data. */
static void assert_no_data(const void *address)
{
    char path[64];
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long start, end, inode = 0;
    assert_non_null(maps);
    while (inode == 0 && fgets(line, sizeof(line), maps) != NULL) {
        if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &start, &end, &inode) != 3 ||
            (uintptr_t)address < start || (uintptr_t)address >= end)
            inode = 0;
    }
    fclose(maps);
    assert_true(inode != 0);
    for (int fd = 3; fd < 64; fd++) {
        struct stat info;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (stat(path, &info) == 0 && info.st_ino == inode) {
            assert_int_equal(lseek(fd, 0, SEEK_DATA), -1);
            assert_int_equal(errno, ENXIO);
            return;
        }
    }
    fail_msg("no descriptor shows the file");
}

static void close_to(uint64_t reported, uint64_t truth)
{
    const uint64_t slack = REGIONS * page_bytes();
    if (reported + slack < truth || truth + slack < reported)
        fail_msg("reported %llu, the kernel says %llu", (unsigned long long)reported,
                 (unsigned long long)truth);
}

static struct terrane_pool_stats report(const struct pool *pool)
{
    struct terrane_pool_stats stats;
    terrane_pool_stats(pool->space, &stats);
    return stats;
}

static void check_truth(const struct pool *pool)
{
    const struct terrane_pool_stats stats = report(pool);
    const size_t truth = all_resident(pool);
    close_to(stats.resident_bytes, truth);
    close_to(stats.resident_bytes, smaps_bytes(pool) - pool->floor_bytes);
    if (pool->backing != TERRANE_BACKING_PRIVATE)
        close_to(stats.file_bytes, truth);
}

static void fill(struct pool *pool, enum terrane_backing backing)
{
    const struct terrane_space_options options = {
        .backing = backing,
        .window_bytes = 2 * GIB,
        .scratch_dir = backing == TERRANE_BACKING_SCRATCH ? scratch_dir() : NULL};
    pool->backing = backing;
    pool->space = space_with(&options);
    for (unsigned i = 0; i < REGIONS; i++) {
        assert_int_equal(terrane_region_acquire(pool->space, BYTES, &pool->regions[i]), 0);
        pool->data[i] = pool->regions[i].data;
        pool->capacity[i] = pool->regions[i].capacity;
    }
    pool->floor_bytes = smaps_bytes(pool);
    for (unsigned i = 0; i < REGIONS; i++)
        memset(pool->data[i], 0x77, pool->capacity[i]);
}

static void release(struct pool *pool)
{
    for (unsigned i = 0; i < REGIONS; i++)
        terrane_region_release(&pool->regions[i]);
}

static void test_fades_by_itself(void **state)
{
    (void)state;
    struct pool pools[3];
    for (int backing = TERRANE_BACKING_PRIVATE; backing <= TERRANE_BACKING_SCRATCH; backing++) {
        struct pool *pool = &pools[backing];
        fill(pool, (enum terrane_backing)backing);
        check_truth(pool);
        assert_int_equal(report(pool).total.live_bytes, REGIONS * BYTES);
        release(pool);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(report(&pools[i]).total.live_bytes, 0);
        assert_true(report(&pools[i]).resident_bytes <= REGIONS * BYTES);
    }
    nanosleep(&(struct timespec){.tv_sec = 3}, NULL);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(report(&pools[i]).resident_bytes, 0);
        assert_true(report(&pools[i]).file_bytes <= FILE_MAPS_BYTES);
        if (pools[i].backing != TERRANE_BACKING_PRIVATE)
            assert_no_data(pools[i].data[0]);
        assert_int_equal(all_resident(&pools[i]), 0);
        close_to(pools[i].floor_bytes, smaps_bytes(&pools[i]));
        assert_int_equal(terrane_space_destroy(pools[i].space), 0);
    }
}

/* Half of it after half the time, and what is used all the time stays. */
static void test_fades_smoothly(void **state)
{
    (void)state;
    struct pool pool;
    struct terrane_region hot = {NULL, 0};
    fill(&pool, TERRANE_BACKING_PRIVATE);
    terrane_pool_set_decay(pool.space, 2000);
    assert_int_equal(terrane_region_acquire(pool.space, 3 * MIB, &hot), 0);
    memset(hot.data, 1, hot.capacity);
    void *const data = hot.data;
    release(&pool);
    uint64_t last = UINT64_MAX, half = 0;
    for (unsigned step = 0; step < 300; step++) { /* 3 s */
        terrane_region_release(&hot);
        assert_int_equal(terrane_region_acquire(pool.space, 3 * MIB, &hot), 0);
        assert_ptr_equal(hot.data, data);
        assert_int_equal(range_resident(data, hot.capacity), hot.capacity);
        const uint64_t now = report(&pool).resident_bytes;
        assert_true(now <= last);
        last = now;
        if (step == 60)
            half = now;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_true(half > 0);
    assert_int_equal(last, hot.capacity);
    assert_int_equal(terrane_space_destroy(pool.space), 0);
}

/* Without the worker time counts at the next releases. */
static void test_fades_on_calls(void **state)
{
    (void)state;
    struct pool pool;
    struct terrane_region small = {NULL, 0};
    terrane_worker_stop();
    fill(&pool, TERRANE_BACKING_PRIVATE);
    terrane_pool_set_decay(pool.space, 200);
    terrane_pool_set_cache(pool.space, 0);
    release(&pool);
    for (unsigned step = 0; step < 50; step++) {
        for (unsigned i = 0; i < 20; i++) {
            assert_int_equal(terrane_region_acquire(pool.space, 2 * MIB, &small), 0);
            terrane_region_release(&small);
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_true(report(&pool).resident_bytes <= 2 * MIB);
    assert_true(all_resident(&pool) <= 2 * MIB);
    assert_int_equal(terrane_worker_start(), 0);
    assert_int_equal(terrane_space_destroy(pool.space), 0);
}

static void test_never_and_at_once(void **state)
{
    (void)state;
    struct pool pool;
    fill(&pool, TERRANE_BACKING_PRIVATE);
    terrane_pool_set_decay(pool.space, UINT64_MAX);
    release(&pool);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 500000000}, NULL);
    assert_int_equal(all_resident(&pool), REGIONS * BYTES);
    terrane_pool_set_decay(pool.space, 0);
    assert_int_equal(all_resident(&pool), 0);
    assert_int_equal(report(&pool).resident_bytes, 0);
    assert_int_equal(terrane_space_destroy(pool.space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fades_by_itself),
        cmocka_unit_test(test_fades_smoothly),
        cmocka_unit_test(test_fades_on_calls),
        cmocka_unit_test(test_never_and_at_once),
    };
    return RUN_TESTS(tests);
}
