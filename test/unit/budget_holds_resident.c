/* A data set of three times its budget: 1.5 GiB of regions on a scratch file of which 512 MiB may
 * be resident. While they are filled, read, touched, and read and changed at random places, a
 * thread asks the kernel every few milliseconds how much is in memory: never more than a tenth
 * above the budget. All contents are right at the end. Where the worker gets no processor for a
 * while it can lose the race with what it watches, so of three runs one has to keep the bound.
 *
 * The same work on a plain shared mapping of a file, which the kernel keeps in memory as long as it
 * likes, is timed beside it. */
#include "contents.h"
#include "os/os.h"
#include "space/space.h"
#include "test_threads.h"

#include <stdatomic.h>
#include <sys/statvfs.h>
#include <terrane/pool.h>
#include <time.h>

/* Sanitizers make it ten times as slow. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define REGION (16 * TN_MIB)
#else
#define REGION (64 * TN_MIB)
#endif
#define BUDGET      (8 * REGION)
#define REGIONS     24
#define DATA        (REGIONS * REGION)
#define PART        (256 * TN_KIB) /* has contents of its own */
#define PARTS       (DATA / PART)
#define BOUND       (BUDGET + BUDGET / 10)
#define RUNS        3
#define RANDOM      2000 /* parts that are checked and changed in no order */
#define MILLISECOND 1000000

static char *regions[REGIONS];
static uint32_t versions[PARTS]; /* how often a part was changed */
static struct terrane_space *space;
static _Atomic bool done;        /* relaxed: tells threads to end */
static _Atomic uint64_t highest; /* relaxed: one thread writes at a time */

static const char *scratch_dir(void)
{
    const char *dir = getenv("TMPDIR");
    return dir != NULL ? dir : "/tmp";
}

/* ---- the watching thread ---- */

static uint64_t resident_pages(void)
{
    static unsigned char present[64 * TN_MIB / 4096];
    uint64_t pages = 0;
    for (size_t i = 0; i < REGIONS; i++) {
        EXPECT(tn_os_resident(regions[i], REGION, present) == 0);
        for (size_t page = 0; page < REGION / tn_os_page_bytes(); page++)
            pages += present[page] & 1;
    }
    return pages * tn_os_page_bytes();
}

/* All of the file, where the kernel counts; else the regions that are there. */
static uint64_t resident_bytes(void)
{
    struct tn_os_cached cached;
    const uint64_t whole = (uint64_t)16 << 30;
    if (tn_os_file_cached(space->fd, 0, whole, &cached) == 0)
        return cached.resident_bytes;
    return regions[REGIONS - 1] == NULL ? 0 : resident_pages();
}

static uint64_t highest_now(void)
{
    return atomic_load_explicit(&highest, memory_order_relaxed);
}

static void *sample(void *unused)
{
    while (!atomic_load_explicit(&done, memory_order_relaxed)) {
        const uint64_t resident = resident_bytes();
        if (resident > highest_now())
            atomic_store_explicit(&highest, resident, memory_order_relaxed);
        (void)nanosleep(&(struct timespec){.tv_nsec = 3 * MILLISECOND}, NULL);
    }
    return unused;
}

/* ---- the work ---- */

static char *part_addr(size_t part)
{
    return regions[part / (REGION / PART)] + part % (REGION / PART) * PART;
}

static uint64_t part_seed(size_t part)
{
    return part << 32 | versions[part];
}

static void part_write(size_t part)
{
    contents_write(part_addr(part), PART, part_seed(part));
}

static void part_check(size_t part)
{
    EXPECT_INTACT(part_addr(part), PART, part_seed(part));
}

static void check_all(void)
{
    for (size_t part = 0; part < PARTS; part++)
        part_check(part);
}

static void change_some(void)
{
    uint64_t state = 1;
    for (unsigned i = 0; i < RANDOM; i++) {
        const size_t part = contents_mix(state++) % PARTS;
        part_check(part);
        versions[part]++;
        part_write(part);
    }
}

/* Stores the word that is there already: as fast as pages come. */
static void touch_all(void)
{
    for (size_t i = 0; i < REGIONS; i++) {
        for (size_t at = 0; at < REGION; at += tn_os_page_bytes()) {
            volatile uint64_t *word = (volatile uint64_t *)(void *)(regions[i] + at);
            *word = *word;
        }
    }
}

static void report(const char *what, uint64_t start_ns, uint64_t bytes)
{
    const double seconds = (double)(tn_os_clock_ns() - start_ns) / 1e9;
    printf("  %-28s %6.0f MB/s, at most %4llu MiB in memory\n", what, (double)bytes / seconds / 1e6,
           (unsigned long long)(highest_now() / TN_MIB));
}

/* Parts of the work that are alike for the space and for the plain file. */
static void read_and_change(void)
{
    uint64_t start_ns = tn_os_clock_ns();
    check_all();
    report("read in order", start_ns, DATA);
    start_ns = tn_os_clock_ns();
    touch_all();
    report("change a word of each page", start_ns, DATA);
    start_ns = tn_os_clock_ns();
    change_some();
    report("read and change at random", start_ns, (uint64_t)RANDOM * PART);
    check_all();
}

static void on_scratch_space(void)
{
    const uint64_t start_ns = tn_os_clock_ns();
    for (size_t i = 0; i < REGIONS; i++) {
        struct terrane_region region;
        EXPECT(terrane_region_acquire(space, REGION, &region) == 0);
        regions[i] = region.data;
        for (size_t part = 0; part < REGION / PART; part++)
            part_write(i * (REGION / PART) + part);
    }
    report("fill", start_ns, DATA);
    read_and_change();
}

/* Whether the bound was kept. */
static bool with_budget(void)
{
    const struct terrane_space_options options = {.backing = TERRANE_BACKING_SCRATCH,
                                                  .window_bytes = 16 * TN_GIB,
                                                  .scratch_dir = scratch_dir()};
    EXPECT(terrane_space_create(&options, &space) == 0);
    const int error = terrane_pool_set_resident_budget(space, BUDGET);
    if (error == -ENOTSUP)
        test_skip("%s is not on a disk", scratch_dir());
    EXPECT(error == 0);
    memset(versions, 0, sizeof(versions));
    memset(regions, 0, sizeof(regions));
    atomic_store_explicit(&done, false, memory_order_relaxed);
    atomic_store_explicit(&highest, 0, memory_order_relaxed);
    printf("scratch space with a budget of %zu MiB:\n", (size_t)(BUDGET / TN_MIB));
    const pthread_t sampler = thread_start(sample, NULL);
    on_scratch_space();
    atomic_store_explicit(&done, true, memory_order_relaxed);
    thread_join(sampler);
    struct terrane_pool_stats stats;
    terrane_pool_stats(space, &stats);
    EXPECT(stats.budget_bytes == BUDGET);
    EXPECT(stats.evicted_bytes >= DATA - BUDGET);
    EXPECT(terrane_space_destroy(space) == 0);
    EXPECT_THAT(highest_now() >= BUDGET / 2, "%llu MiB",
                (unsigned long long)(highest_now() / TN_MIB));
    return highest_now() <= BOUND;
}

static void on_plain_file(void)
{
    int fd;
    void *pages;
    memset(versions, 0, sizeof(versions));
    EXPECT(tn_os_file_scratch(scratch_dir(), &fd) == 0);
    EXPECT(tn_os_file_resize(fd, DATA) == 0);
    EXPECT(tn_os_file_reserve(fd, 0, DATA) == 0);
    EXPECT(tn_os_file_map_shared(fd, DATA, &pages) == 0);
    for (size_t i = 0; i < REGIONS; i++)
        regions[i] = (char *)pages + i * REGION;
    puts("plain shared mapping of a file:");
    atomic_store_explicit(&highest, DATA, memory_order_relaxed);
    const uint64_t start_ns = tn_os_clock_ns();
    for (size_t part = 0; part < PARTS; part++)
        part_write(part);
    report("fill", start_ns, DATA);
    read_and_change();
    EXPECT(tn_os_release(pages, DATA) == 0);
    tn_os_file_close(fd);
}

int main(void)
{
    struct statvfs disk;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (statvfs(scratch_dir(), &disk) != 0 || disk.f_bavail * disk.f_frsize < 2 * DATA)
        test_skip("too little room in %s", scratch_dir());
    unsigned runs = 1;
    while (!with_budget())
        EXPECT_THAT(++runs <= RUNS, "never at most %llu MiB in %d runs",
                    (unsigned long long)(BOUND / TN_MIB), RUNS);
    on_plain_file();
    terrane_worker_stop();
    return 0;
}
