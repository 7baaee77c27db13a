/* The worker: memory fades while nobody calls, threads come and go as promised, and it disturbs
 * neither signals, nor forks, nor the end of a process, nor spaces that end while it looks. */
#include "api_test.h"
#include "process.h"
#include "test_threads.h"

#include <signal.h>
#include <stdio.h>
#include <terrane/terrane.h>

#define REGIONS      16
#define REGION_BYTES ((size_t)4 << 20)
#define DECAY_MS     200

/* ---- the thread, as the system sees it ---- */

/* Calls `see` with the folder of each thread of that name; how many there are. */
static unsigned workers(void (*see)(const char *folder))
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char folder[512], path[600], name[32] = "";
        snprintf(folder, sizeof(folder), "/proc/self/task/%s", entry->d_name);
        snprintf(path, sizeof(path), "%s/comm", folder);
        FILE *comm = fopen(path, "r");
        if (comm == NULL)
            continue;
        const bool ours =
            fgets(name, sizeof(name), comm) != NULL && strcmp(name, "terrane-worker\n") == 0;
        fclose(comm);
        count += ours;
        if (ours && see != NULL)
            see(folder);
    }
    closedir(tasks);
    return count;
}

static bool wait_for_workers(unsigned count, unsigned milliseconds)
{
    for (unsigned i = 0; workers(NULL) != count; i++) {
        if (i == milliseconds / 10)
            return false;
        usleep(10000);
    }
    return true;
}

/* ---- memory ---- */

static struct terrane_space *make(void)
{
    struct terrane_space *space;
    const struct terrane_space_options options = {.window_bytes = (size_t)1 << 30};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    terrane_pool_set_decay(space, DECAY_MS);
    return space;
}

/* Takes regions, writes to all of them, and gives them back. */
static void use(struct terrane_space *space)
{
    struct terrane_region regions[REGIONS];
    for (unsigned i = 0; i < REGIONS; i++) {
        assert_int_equal(terrane_region_acquire(space, REGION_BYTES, &regions[i]), 0);
        memset(regions[i].data, 0xa5, REGION_BYTES);
    }
    for (unsigned i = 0; i < REGIONS; i++)
        terrane_region_release(&regions[i]);
}

static uint64_t warm_bytes(struct terrane_space *space)
{
    struct terrane_pool_stats stats;
    terrane_pool_stats(space, &stats);
    return stats.total.cached_bytes + stats.total.dirty_bytes;
}

static bool fades(struct terrane_space *space, unsigned milliseconds)
{
    for (unsigned i = 0; warm_bytes(space) != 0; i++) {
        if (i == milliseconds / 10)
            return false;
        usleep(10000);
    }
    return true;
}

/* What the process has in memory, without what a sanitizer keeps about it. */
#if defined(__SANITIZE_THREAD__)
#define PROCESS_SHRINKS_TO(bytes) true
#else
#define PROCESS_SHRINKS_TO(bytes) (resident_bytes() <= (bytes))
#endif

static void test_fades_alone(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    const size_t before = resident_bytes();
    use(space);
    assert_true(warm_bytes(space) > 0);
    assert_true(resident_bytes() >= before + REGIONS * REGION_BYTES / 2);
    assert_true(fades(space, 10 * DECAY_MS));
    assert_true(PROCESS_SHRINKS_TO(before + REGION_BYTES));
    use(space); /* and again, after a rest */
    assert_true(fades(space, 10 * DECAY_MS));
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* What comes back late, from a cache without any lock, is noticed too. */
static void test_late_release(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    struct terrane_region region;
    assert_int_equal(terrane_region_acquire(space, REGION_BYTES, &region), 0);
    assert_true(wait_for_workers(0, 10000)); /* nothing to do: it ends */
    memset(region.data, 0xa5, REGION_BYTES);
    terrane_region_release(&region);
    assert_int_equal(workers(NULL), 1);
    assert_true(fades(space, 10 * DECAY_MS));
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* With no time to fade in there is nothing to be done later, by a worker or by anybody. */
static void test_at_once(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    terrane_worker_stop();
    use(space);
    assert_true(warm_bytes(space) > 0);
    terrane_pool_set_decay(space, 0);
    assert_int_equal(warm_bytes(space), 0);
    use(space);
    terrane_pool_set_cache(space, (size_t)1 << 30);
    use(space);
    assert_int_equal(warm_bytes(space), 0);
    terrane_free(object_in(heap_in(space), 60000)); /* of a single block, too */
    assert_int_equal(warm_bytes(space), 0);
    terrane_pool_set_decay(space, DECAY_MS);
    use(space);
    assert_true(warm_bytes(space) > 0);
    assert_int_equal(terrane_worker_start(), 0);
    assert_true(fades(space, 10 * DECAY_MS));
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* A region that is wanted all the time leaves the cache, too. */
static void test_hot_at_once(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    terrane_worker_stop();
    for (unsigned i = 0; i < REGIONS; i++) {
        struct terrane_region region;
        assert_int_equal(terrane_region_acquire(space, REGION_BYTES, &region), 0);
        terrane_region_release(&region);
    }
    terrane_pool_set_decay(space, 0);
    assert_int_equal(warm_bytes(space), 0);
    assert_int_equal(terrane_worker_start(), 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* ---- start and stop ---- */

static void test_stop(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    assert_int_equal(terrane_worker_start(), 0);
    assert_int_equal(terrane_worker_start(), 0);
    assert_true(wait_for_workers(1, 1000));
    terrane_worker_stop();
    terrane_worker_stop();
    assert_int_equal(workers(NULL), 0);
    use(space);
    assert_int_equal(workers(NULL), 0); /* regions do not start it again */
    const uint64_t warm = warm_bytes(space);
    usleep(2 * DECAY_MS * 1000);
    assert_int_equal(warm_bytes(space), warm);
    assert_int_equal(terrane_worker_start(), 0);
    assert_true(fades(space, 10 * DECAY_MS));
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void *start_and_stop(void *context)
{
    for (unsigned i = 0; i < 200; i++) {
        EXPECT(terrane_worker_start() == 0);
        if ((i + (unsigned)(uintptr_t)context) % 3 == 0)
            terrane_worker_stop();
    }
    return NULL;
}

static void test_stops_race(void **state)
{
    (void)state;
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        threads[i] = thread_start(start_and_stop, (void *)i);
    for (unsigned i = 0; i < 3; i++)
        thread_join(threads[i]);
    terrane_worker_stop();
    assert_int_equal(workers(NULL), 0);
    assert_int_equal(terrane_worker_start(), 0);
    assert_true(wait_for_workers(1, 1000));
}

/* ---- signals ---- */

static void see_signals_blocked(const char *folder)
{
    char path[600], line[256];
    unsigned long long blocked = 0;
    snprintf(path, sizeof(path), "%s/status", folder);
    FILE *status = fopen(path, "r");
    assert_non_null(status);
    while (fgets(line, sizeof(line), status) != NULL)
        (void)sscanf(line, "SigBlk: %llx", &blocked);
    fclose(status);
    for (int signal = 1; signal < 32; signal++) {
        if (signal != SIGKILL && signal != SIGSTOP)
            assert_true(blocked >> (signal - 1) & 1);
    }
}

static void test_signals_blocked(void **state)
{
    (void)state;
    assert_int_equal(terrane_worker_start(), 0);
    assert_true(wait_for_workers(1, 1000));
    assert_int_equal(workers(see_signals_blocked), 1);
    sigset_t own;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &own), 0);
    assert_false(sigismember(&own, SIGUSR1));
}

/* ---- fork and the end ---- */

static void child_goes_on(void *context)
{
    struct terrane_space *space = context;
    EXPECT(workers(NULL) == 0);
    use(space);
    EXPECT(workers(NULL) == 1);
    EXPECT(fades(space, 10 * DECAY_MS));
}

static void child_without_worker(void *context)
{
    use(context);
    EXPECT(workers(NULL) == 0);
}

static void test_fork(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    assert_int_equal(terrane_worker_start(), 0);
    for (unsigned i = 0; i < 10; i++) {
        use(space);
        usleep(i * 7000); /* in the middle of what the worker does */
        assert_int_equal(child_run(child_goes_on, space), 0);
    }
    assert_int_equal(workers(NULL), 1);
    terrane_worker_stop();
    assert_int_equal(child_run(child_without_worker, space), 0);
    assert_int_equal(terrane_worker_start(), 0);
    assert_true(fades(space, 10 * DECAY_MS));
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* This program again, to end in one way while the worker runs. */
static void end_by(void *way)
{
    char *arguments[] = {way, NULL};
    run_again_with(arguments, "ENDS_BY", way);
}

static void end_now(const char *way)
{
    struct terrane_space *space = make();
    use(space);
    if (strcmp(way, "exit") == 0)
        exit(7);
    pthread_exit(NULL);
}

/* Neither end waits for the worker for long: the second until memory has faded and it has rested.
 */
static void test_process_ends(void **state)
{
    (void)state;
    char by_exit[] = "exit", by_leaving[] = "pthread_exit";
    const int status = child_run(end_by, by_exit);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    if (CHILD_STARTS_THREADS) /* tsan's own thread stays */
        assert_int_equal(child_run(end_by, by_leaving), 0);
}

/* ---- spaces that end ---- */

static void test_spaces_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct terrane_space *space = make();
        terrane_pool_set_decay(space, 1);
        use(space);
        usleep(i * 50);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

int main(void)
{
    const char *ends_by = getenv("ENDS_BY");
    if (ends_by != NULL)
        end_now(ends_by);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fades_alone),  cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_stop),         cmocka_unit_test(test_signals_blocked),
        cmocka_unit_test(test_stops_race),   cmocka_unit_test(test_fork),
        cmocka_unit_test(test_spaces_end),   cmocka_unit_test(test_process_ends),
        cmocka_unit_test(test_late_release), cmocka_unit_test(test_hot_at_once),
    };
    return RUN_TESTS(tests);
}
