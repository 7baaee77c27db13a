/* The report page through its hooks: what another program reads from the file that a process left.
 */
#include "stats/report.h"
#include "stats/report_series.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* More threads than shards, so that some share one. */
#define THREADS          24
#define CALLS_PER_THREAD 20000

static char directory[] = "/tmp/terrane-counting-XXXXXX";

/* Reads the only page of process `pid`. */
static void page_read(int pid, struct tn_report_page *out)
{
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    int found = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (atoi(entry->d_name) != pid)
            continue;
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        assert_int_equal(fread(out, 1, sizeof(*out), file), sizeof(*out));
        assert_int_equal(fgetc(file), EOF);
        fclose(file);
        found++;
    }
    closedir(dir);
    assert_int_equal(found, 1);
}

#define SUM(page, field)                                                                           \
    ({                                                                                             \
        uint64_t sum_ = 0;                                                                         \
        for (unsigned i_ = 0; i_ < TN_REPORT_SHARDS; i_++)                                         \
            sum_ += (page)->shards[i_].field;                                                      \
        sum_;                                                                                      \
    })

static void test_classes(void **state)
{
    (void)state;
    for (unsigned i = 0; i + 1 < TN_REPORT_CLASSES; i++) {
        const uint64_t limit = tn_report_class_limit(i);
        assert_int_equal(tn_report_class(limit), i);
        assert_int_equal(tn_report_class(limit + 1), i + 1);
    }
    assert_int_equal(tn_report_class(0), 0);
    assert_int_equal(tn_report_class(TN_REPORT_FINE_MAX), TN_REPORT_FINE_CLASSES - 1);
    assert_int_equal(tn_report_class(SIZE_MAX), TN_REPORT_CLASSES - 1);
}

/* Before anything is opened the hooks are harmless, and a missing directory is an error. */
static void test_closed(void **state)
{
    (void)state;
    assert_false(tn_report_active());
    tn_report_alloc(1, 16);
    tn_report_free(16);
    tn_report_sample(NULL);
    tn_report_fork_child();
    tn_report_end(0);
    assert_int_equal(tn_report_open("/nonexistent/terrane"), -ENOENT);
    assert_false(tn_report_active());
}

static uint64_t moves_so_far = 7;

static void stats_fill(struct terrane_stats *out)
{
    memset(out, 0, sizeof(*out));
    out->version = TERRANE_STATS_VERSION;
    out->moves = moves_so_far;
    out->run_bytes = 65536;
}

static void test_open(void **state)
{
    (void)state;
    char *arguments[] = {(char[]){"prog"}, (char[]){"-x"}, NULL};
    assert_int_equal(tn_report_open(directory), 0);
    tn_report_command(2, arguments);
    tn_report_stats_from(stats_fill);
    struct tn_report_page page;
    page_read(getpid(), &page);
    assert_int_equal(page.magic, TN_REPORT_MAGIC);
    assert_int_equal(page.version, TN_REPORT_VERSION);
    assert_int_equal(page.size_bytes, sizeof(page));
    assert_int_equal(page.pid, getpid());
    assert_int_equal(page.state, TN_REPORT_RUNNING);
    assert_int_equal(page.forked, 0);
    assert_string_equal(page.command, "prog -x");
}

static pthread_barrier_t all_alive;

static void *count_calls(void *context)
{
    (void)context;
    tn_report_alloc(48, 48);
    pthread_barrier_wait(&all_alive); /* so each has chosen its shard while all others live */
    for (unsigned i = 0; i < CALLS_PER_THREAD; i++) {
        tn_report_alloc(100, 112);
        tn_report_resize(112, 200, 224, TN_RESIZE_COPIED);
        tn_report_free(224);
    }
    tn_report_thread_end();
    return NULL;
}

/* Nothing is lost, with more threads than shards, and what is live is right to the byte. */
static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    assert_int_equal(pthread_barrier_init(&all_alive, NULL, THREADS), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_calls, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&all_alive);
    struct tn_report_page page;
    page_read(getpid(), &page);
    const uint64_t calls = (uint64_t)THREADS * CALLS_PER_THREAD;
    assert_int_equal(SUM(&page, allocs), calls + THREADS);
    assert_int_equal(SUM(&page, frees), calls);
    assert_int_equal(SUM(&page, resizes[TN_RESIZE_COPIED]), calls);
    assert_int_equal(SUM(&page, resizes[TN_RESIZE_MOVED]), 0);
    assert_int_equal(SUM(&page, resize_bytes[TN_RESIZE_COPIED]), calls * 112);
    assert_int_equal(SUM(&page, alloc_bytes), calls * 300 + THREADS * 48);
    assert_int_equal(SUM(&page, freed_bytes), calls * 224);
    assert_int_equal(SUM(&page, classes[tn_report_class(100)]), calls);
    assert_int_equal(SUM(&page, classes[tn_report_class(200)]), calls);
    assert_int_equal(tn_series_live(&page), THREADS * 48);
    assert_true(page.shards[0].allocs > 0);
}

static void *end_of_thread(void *context)
{
    (void)context;
    tn_report_alloc(16, 16);
    tn_report_thread_end();
    return NULL;
}

/* Ended threads leave their shards to later ones: many in turn never fall back to the shared one.
 */
static void test_thread_ends(void **state)
{
    (void)state;
    struct tn_report_page before;
    page_read(getpid(), &before);
    for (unsigned i = 0; i < 3 * TN_REPORT_SHARDS; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, end_of_thread, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    struct tn_report_page after;
    page_read(getpid(), &after);
    assert_int_equal(after.shards[0].allocs, before.shards[0].allocs);
    assert_int_equal(SUM(&after, allocs) - SUM(&before, allocs), 3 * TN_REPORT_SHARDS);
}

static void test_sample(void **state)
{
    (void)state;
    tn_report_alloc(100 * 1000 * 1000, 100 * 1000 * 1000);
    tn_report_sample(NULL);
    struct tn_report_page page;
    page_read(getpid(), &page);
    assert_true(page.live_peak >= 100 * 1000 * 1000);
    assert_true(page.usage.resident_peak > 0);
    assert_true(page.slots_count >= 1);
    assert_true(page.slots[page.slots_count - 1].resident_bytes > 0);
    assert_true(page.last_ns > page.start_ns);
    tn_report_free(100 * 1000 * 1000);
}

/* Whatever the mix, the weights of the measured calls add up to the calls. */
static void test_time(void **state)
{
    (void)state;
    assert_int_equal(tn_report_time_weight(1 << 20), 1);
    const unsigned calls = 1000000;
    uint64_t stand_for = 0;
    unsigned measured = 0;
    for (unsigned i = 0; i < calls; i++) {
        const uint32_t weight = tn_report_time_weight(16);
        stand_for += weight;
        measured += weight != 0;
    }
    assert_in_range(stand_for, calls - calls / 50, calls + calls / 50);
    assert_in_range(measured, calls / 70, calls / 58);
    struct tn_report_page before;
    page_read(getpid(), &before);
    tn_report_time(1 << 16, 64);
    struct tn_report_page after;
    page_read(getpid(), &after);
    /* Less what the measuring itself takes, which is not nothing but little. */
    const uint64_t ticks = SUM(&after, ticks) - SUM(&before, ticks);
    assert_in_range(ticks, 64 * ((1 << 16) - 8192), 64 << 16);
    assert_int_equal(SUM(&after, timed_calls) - SUM(&before, timed_calls), 1);
}

static int child_of_fork(void)
{
    tn_report_fork_child();
    moves_so_far += 4;
    tn_report_free(48);
    tn_report_alloc(3000, 3072);
    tn_report_end(3);
    return 0;
}

/* A child counts in a page of its own and starts with its parent's live bytes, but its space's
 * counters are of what it did itself. */
static void test_fork(void **state)
{
    (void)state;
    struct tn_report_page before;
    page_read(getpid(), &before);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(child_of_fork());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct tn_report_page child;
    page_read(pid, &child);
    assert_int_equal(child.forked, 1);
    assert_int_equal(child.parent_pid, getpid());
    assert_int_equal(child.state, TN_REPORT_ENDED);
    assert_int_equal(child.exit_status, 3);
    assert_string_equal(child.command, "prog -x");
    assert_int_equal(SUM(&child, frees), 1);
    assert_int_equal(tn_series_live(&child), tn_series_live(&before) - 48 + 3072);
    assert_int_equal(child.stats[offsetof(struct terrane_stats, moves) / 8], 4);
    assert_int_equal(child.stats[offsetof(struct terrane_stats, run_bytes) / 8], 65536);
    struct tn_report_page after;
    page_read(getpid(), &after);
    assert_int_equal(SUM(&after, frees), SUM(&before, frees));
}

/* What a killed process counted is in its page up to its last call. */
static void test_killed(void **state)
{
    (void)state;
    const pid_t pid = fork();
    if (pid == 0) {
        tn_report_fork_child();
        for (unsigned i = 0; i < 1000; i++)
            tn_report_alloc(20, 32);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    struct tn_report_page page;
    page_read(pid, &page);
    assert_int_equal(page.state, TN_REPORT_RUNNING);
    assert_int_equal(SUM(&page, allocs), 1000);
}

/* A fork that nobody was told of cannot end its parent's page. */
static void test_raw_fork(void **state)
{
    (void)state;
    const pid_t pid = fork();
    if (pid == 0) {
        tn_report_end(9);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    struct tn_report_page page;
    page_read(getpid(), &page);
    assert_int_equal(page.state, TN_REPORT_RUNNING);
}

/* A child that cannot have a page counts nowhere, least of all in its parent's. Runs last: it takes
 * the directory away. */
static void test_fork_without_directory(void **state)
{
    (void)state;
    struct tn_report_page before;
    page_read(getpid(), &before);
    char moved[sizeof(directory) + 2];
    snprintf(moved, sizeof(moved), "%s-", directory);
    assert_int_equal(rename(directory, moved), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        tn_report_fork_child();
        tn_report_alloc(20, 32);
        _exit(tn_report_active() ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(rename(moved, directory), 0);
    struct tn_report_page after;
    page_read(getpid(), &after);
    assert_int_equal(SUM(&after, allocs), SUM(&before, allocs));
}

static int directory_make(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int directory_remove(void **state)
{
    (void)state;
    DIR *dir = opendir(directory);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_thread_ends),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_raw_fork),
        cmocka_unit_test(test_fork_without_directory),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove) == 0 ? 0 : 1;
}
