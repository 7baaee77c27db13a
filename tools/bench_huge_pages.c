/* Huge pages for the contenders that need them: raised to what is asked for where this user may,
 * and put back when the command ends, interrupted or not.
 *
 * The machine's number of them is one for all: who changes it holds a lock on its folder, and takes
 * away in the end what it has added, no more. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define POOLS_MAX     2
#define LOCK_TRIES    200
#define LOCK_PAUSE_NS 100000000

struct pool {
    char *folder;
    uint64_t added;
    int lock;
};

static struct pool pools[POOLS_MAX];
static unsigned pool_count;

static uint64_t pool_figure(const struct pool *pool, const char *name)
{
    char *path = string_print("%s/%s", pool->folder, name);
    struct text said = {NULL, 0, 0};
    (void)text_read_file(&said, path);
    const uint64_t number = strtoull(text_string(&said), NULL, 10);
    text_free(&said);
    free(path);
    return number;
}

static void pool_set(const struct pool *pool, uint64_t number)
{
    char *path = string_print("%s/nr_hugepages", pool->folder);
    char *digits = string_print("%llu\n", (unsigned long long)number);
    (void)text_write_file(path, digits, strlen(digits)); /* what came of it is read afterwards */
    free(digits);
    free(path);
}

static void pool_restore(struct pool *pool)
{
    const uint64_t number = pool_figure(pool, "nr_hugepages");
    if (pool->added > 0)
        pool_set(pool, number > pool->added ? number - pool->added : 0);
    pool->added = 0;
    close(pool->lock);
    free(pool->folder);
}

static void restore_all(void)
{
    while (pool_count > 0)
        pool_restore(&pools[--pool_count]);
}

/* Somebody else changes the number, a test perhaps: it will be done soon, or not at all. */
static bool lock_in_time(int lock)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    for (unsigned tries = 0; flock(lock, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno != EWOULDBLOCK || tries == LOCK_TRIES)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

/* Locks the pool of these pages; false where there is none, or somebody else has it for long. */
static bool pool_open(struct pool *pool, size_t page_bytes)
{
    char *folder = string_print("/sys/kernel/mm/hugepages/hugepages-%zukB", page_bytes >> 10);
    const int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *pool = (struct pool){.folder = folder, .lock = lock};
    if (lock >= 0 && lock_in_time(lock))
        return true;
    if (lock >= 0)
        close(lock);
    free(folder);
    return false;
}

uint64_t bench_huge_pages_take(size_t page_bytes, uint64_t count)
{
    struct pool *pool = &pools[pool_count];
    if (pool_count == POOLS_MAX || !pool_open(pool, page_bytes))
        return 0;
    if (pool_count++ == 0)
        atexit(restore_all);
    bench_process_watch_signals(); /* or an interrupt would end this process as it stands */
    const uint64_t before = pool_figure(pool, "nr_hugepages");
    const uint64_t left = pool_figure(pool, "free_hugepages");
    if (left < count) {
        pool_set(pool, before + count - left);
        const uint64_t now = pool_figure(pool, "nr_hugepages");
        pool->added = now > before ? now - before : 0;
    }
    const uint64_t got = pool_figure(pool, "free_hugepages");
    return got < count ? got : count;
}
