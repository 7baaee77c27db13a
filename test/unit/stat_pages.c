/* The stat page: where it is, what is in it, who may write to it, and that no content of a page
 * harms its reader. */
#include "process.h"
#include "seeds.h"
#include "stats/stats.h"
#include "test_threads.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <terrane/terrane.h>

#include <cmocka.h>

#define SECOND_NS UINT64_C(1000000000)

static char folder[256]; /* of this test's files */

/* ---- finding and reading our own page ---- */

/* The descriptor of this process's memfd page; -1: there is none. */
static int page_descriptor(void)
{
    for (int fd = 3; fd < 1100; fd++) {
        char path[64], link[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        const ssize_t length = readlink(path, link, sizeof(link) - 1);
        if (length > 0 && strncmp(link, "/memfd:" TN_STAT_NAME " ", 20) == 0)
            return fd;
    }
    return -1;
}

static const char *page_path(int pid)
{
    static char path[300];
    snprintf(path, sizeof(path), "%s/" TN_STAT_NAME ".%d", folder, pid);
    return path;
}

static struct tn_stat_page *copy_of(int fd)
{
    struct tn_stat_page *page = calloc(1, sizeof(*page));
    assert_non_null(page);
    const ssize_t got = pread(fd, page, sizeof(*page), 0);
    assert_int_equal(got, sizeof(*page));
    return page;
}

static struct tn_stat_snapshot *snapshot_of(int fd)
{
    struct tn_stat_page *page = copy_of(fd);
    struct tn_stat_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    assert_non_null(snapshot);
    assert_int_equal(tn_stat_take(page, snapshot), TN_STAT_GOOD);
    free(page);
    return snapshot;
}

static uint64_t time_of_snapshot(int fd)
{
    struct tn_stat_snapshot *snapshot = snapshot_of(fd);
    const uint64_t time_ns = snapshot->time_ns;
    free(snapshot);
    return time_ns;
}

/* ---- where it is ---- */

static void test_memfd(void **state)
{
    (void)state;
    const size_t before = descriptors_count();
    assert_int_equal(page_descriptor(), -1);
    terrane_stats_refresh(); /* nothing happens */
    terrane_stats_unpublish();
    assert_false(tn_publish_active());
    assert_int_equal(terrane_stats_publish(NULL), 0);
    assert_true(tn_publish_active());
    assert_int_equal(terrane_stats_publish(NULL), -EALREADY);
    assert_int_equal(terrane_stats_publish(folder), -EALREADY);
    assert_int_equal(descriptors_count(), before + 1);
    const int fd = page_descriptor();
    assert_true(fd > 200);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    const int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(low < 100); /* the program's own keep their numbers */
    close(low);
    terrane_stats_unpublish();
    assert_int_equal(descriptors_count(), before);
    assert_int_equal(terrane_stats_publish(NULL), 0); /* and again */
    terrane_stats_unpublish();
}

/* A program that closes all descriptors, and opens its own at our number, keeps its own. */
static void test_foreign_descriptor(void **state)
{
    (void)state;
    assert_int_equal(terrane_stats_publish(NULL), 0);
    const int fd = page_descriptor();
    const int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup2(other, fd), fd);
    close(other);
    terrane_stats_refresh(); /* the mapping is all that it needs */
    terrane_stats_unpublish();
    assert_int_equal(fcntl(fd, F_GETFD), 0);
    close(fd);
}

static void test_file(void **state)
{
    (void)state;
    const size_t before = descriptors_count();
    struct stat about;
    assert_int_equal(terrane_stats_publish(folder), 0);
    assert_int_equal(descriptors_count(), before);
    assert_int_equal(stat(page_path(getpid()), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_true(about.st_blocks * 512 <= 64 << 10); /* sparse */
    const int fd = open(page_path(getpid()), O_RDONLY | O_CLOEXEC);
    terrane_stats_unpublish();
    assert_int_equal(access(page_path(getpid()), F_OK), -1);
    struct tn_stat_snapshot *last = snapshot_of(fd); /* whoever had it open sees the end */
    assert_true(last->ended);
    assert_int_equal(last->pid, getpid());
    free(last);
    close(fd);
}

static void test_refused_places(void **state)
{
    (void)state;
    char missing[300], longer[600];
    snprintf(missing, sizeof(missing), "%s/none", folder);
    memset(longer, 'a', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(terrane_stats_publish("stats"), -EINVAL);
    assert_int_equal(terrane_stats_publish(""), -EINVAL);
    assert_int_equal(terrane_stats_publish(longer), -ENAMETOOLONG);
    assert_int_equal(terrane_stats_publish(missing), -ENOENT);
    assert_false(tn_publish_active());
}

/* What lies there already is replaced, and a link is not followed. */
static void test_occupied_place(void **state)
{
    (void)state;
    char victim[300], text[8] = "";
    snprintf(victim, sizeof(victim), "%s/victim", folder);
    const int fd = open(victim, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "precious", 8), 8);
    assert_int_equal(symlink(victim, page_path(getpid())), 0);
    assert_int_equal(terrane_stats_publish(folder), 0);
    assert_int_equal(pread(fd, text, 8, 0), 8);
    assert_memory_equal(text, "precious", 8);
    terrane_stats_unpublish();
    close(fd);
    unlink(victim);
}

/* ---- what is in it ---- */

static void assert_shows(const struct tn_stat_snapshot *snapshot, struct terrane_space *space)
{
    struct tn_figures now;
    tn_figures_read(space, &now);
    const struct tn_figures *shown = &snapshot->spaces[space->id];
    assert_true((snapshot->used[space->id / 64] >> space->id % 64 & 1) != 0);
    assert_int_equal(shown->backing, now.backing);
    assert_memory_equal(&shown->space, &now.space, sizeof(now.space));
    assert_memory_equal(&shown->pool, &now.pool, sizeof(now.pool));
}

static size_t spaces_in(const struct tn_stat_snapshot *snapshot)
{
    size_t count = 0;
    for (size_t i = 0; i < TN_STAT_USED_WORDS; i++)
        count += (size_t)__builtin_popcountll(snapshot->used[i]);
    return count;
}

static void test_all_spaces(void **state)
{
    (void)state;
    enum { COUNT = 80 };
    struct terrane_space *spaces[COUNT];
    assert_int_equal(terrane_stats_publish(NULL), 0);
    const int fd = page_descriptor();
    for (size_t i = 0; i < COUNT; i++) {
        const struct terrane_space_options options = {
            .backing = i % 2 == 0 ? TERRANE_BACKING_PRIVATE : TERRANE_BACKING_MEMFD,
            .window_bytes = TN_GIB};
        struct terrane_heap *heap;
        assert_int_equal(terrane_space_create(&options, &spaces[i]), 0);
        assert_int_equal(terrane_heap_create(spaces[i], NULL, &heap), 0);
        assert_non_null(terrane_heap_alloc(heap, (i + 1) * 10000));
    }
    terrane_stats_refresh();
    struct tn_stat_snapshot *snapshot = snapshot_of(fd);
    for (size_t i = 0; i < COUNT; i++)
        assert_shows(snapshot, spaces[i]);
    const size_t count = spaces_in(snapshot);
    assert_int_equal(snapshot->missing, 0);
    free(snapshot);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(terrane_space_destroy(spaces[i]), 0);
    terrane_stats_refresh();
    snapshot = snapshot_of(fd);
    assert_int_equal(spaces_in(snapshot), count - COUNT);
    free(snapshot);
    terrane_stats_unpublish();
}

static void test_pace(void **state)
{
    (void)state;
    assert_int_equal(terrane_stats_publish(NULL), 0);
    const int fd = page_descriptor();
    const uint64_t first_ns = time_of_snapshot(fd);
    tn_publish_refresh(first_ns + SECOND_NS / 400);
    assert_int_equal(time_of_snapshot(fd), first_ns);
    tn_publish_refresh(first_ns + SECOND_NS / 200);
    assert_int_equal(time_of_snapshot(fd), first_ns + SECOND_NS / 200);
    errno = 4711;
    tn_publish_refresh(first_ns + SECOND_NS);
    assert_int_equal(errno, 4711);
    assert_int_equal(time_of_snapshot(fd), first_ns + SECOND_NS);
    terrane_stats_unpublish();
}

/* The pool's work brings the page up to date without anybody asking. */
static void test_pool_refreshes(void **state)
{
    (void)state;
    assert_int_equal(terrane_stats_publish(NULL), 0);
    const int fd = page_descriptor();
    struct terrane_heap *heap;
    assert_int_equal(terrane_heap_create(NULL, NULL, &heap), 0);
    const uint64_t start_ns = time_of_snapshot(fd);
    void *object = terrane_heap_alloc(heap, 100 * TN_KIB);
    assert_non_null(object);
    usleep(150000);
    object = terrane_heap_alloc(heap, TN_MIB);
    assert_true(time_of_snapshot(fd) >= start_ns + SECOND_NS / 200);
    const uint64_t second_ns = time_of_snapshot(fd);
    usleep(150000);
    terrane_free(object);
    assert_true(time_of_snapshot(fd) >= second_ns + SECOND_NS / 200);
    terrane_heap_destroy(heap);
    terrane_stats_unpublish();
}

/* ---- writer and reader at once ---- */

static void *refresh_on_and_on(void *context)
{
    _Atomic bool *stop = context;
    while (!atomic_load_explicit(stop, memory_order_relaxed)) {
        struct terrane_region region;
        if (terrane_region_acquire(NULL, 300000, &region) == 0)
            terrane_region_release(&region);
        terrane_stats_refresh();
        usleep(20);
    }
    return NULL;
}

/* The library makes `total` from the orders it hands over with it, so a copy in which they differ
 * was put together from two snapshots. */
static void assert_fits_together(const struct tn_stat_snapshot *snapshot)
{
    const struct terrane_pool_stats *pool = &snapshot->spaces[terrane_space_default()->id].pool;
    uint64_t acquires = 0, releases = 0;
    for (unsigned order = 0; order < TERRANE_POOL_ORDERS; order++) {
        acquires += pool->orders[order].acquires;
        releases += pool->orders[order].releases;
    }
    assert_int_equal(pool->total.acquires, acquires);
    assert_int_equal(pool->total.releases, releases);
}

static void test_writers_and_reader(void **state)
{
    (void)state;
    enum { WRITERS = 2, GOOD = 300 };
    _Atomic bool stop = false;
    pthread_t writers[WRITERS];
    assert_non_null(terrane_space_default());
    assert_int_equal(terrane_stats_publish(NULL), 0);
    const int fd = page_descriptor();
    struct tn_stat_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    for (size_t i = 0; i < WRITERS; i++)
        writers[i] = thread_start(refresh_on_and_on, &stop);
    uint64_t last_ns = 0;
    for (size_t good = 0, looks = 0; good < GOOD; looks++) {
        assert_true(looks < (size_t)1000 * GOOD);
        struct tn_stat_page *page = copy_of(fd);
        const enum tn_stat_verdict verdict = tn_stat_take(page, snapshot);
        free(page);
        assert_true(verdict == TN_STAT_GOOD || verdict == TN_STAT_TORN);
        if (verdict != TN_STAT_GOOD)
            continue;
        assert_fits_together(snapshot);
        assert_true(snapshot->time_ns >= last_ns);
        last_ns = snapshot->time_ns;
        good++;
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (size_t i = 0; i < WRITERS; i++)
        thread_join(writers[i]);
    free(snapshot);
    terrane_stats_unpublish();
}

/* ---- pages that nobody should have written ---- */

/* Whatever is changed in what the checksum covers is noticed, and nothing is believed of the rest.
 */
static void test_damaged_pages(void **state)
{
    (void)state;
    struct seeds seeds = {seeds_announce("stat_pages")};
    assert_non_null(terrane_space_default());
    assert_int_equal(terrane_stats_publish(NULL), 0);
    struct tn_stat_page *good = copy_of(page_descriptor());
    terrane_stats_unpublish();
    struct tn_stat_page *page = malloc(sizeof(*page));
    struct tn_stat_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    size_t verdicts[4] = {0};
    for (unsigned round = 0; round < 3000; round++) {
        *page = *good;
        const size_t most = round % 3 == 0 ? sizeof(*page) : 2 * (size_t)TN_STAT_SLOT_BYTES;
        for (uint64_t changes = 1 + seeds_below(&seeds, 8); changes > 0; changes--)
            ((unsigned char *)page)[seeds_below(&seeds, most)] ^=
                (unsigned char)(1u << seeds_below(&seeds, 8));
        const enum tn_stat_verdict verdict = tn_stat_take(page, snapshot);
        verdicts[verdict]++;
        struct tn_figures figures;
        for (uint32_t id = 0; verdict == TN_STAT_TORN && id < TN_SPACES_MAX; id++)
            (void)tn_stat_figures(snapshot, id, &figures);
    }
    assert_true(verdicts[TN_STAT_GOOD] > 0); /* changes where nothing stands */
    assert_true(verdicts[TN_STAT_TORN] > 100);
    assert_true(verdicts[TN_STAT_FOREIGN] > 0 && verdicts[TN_STAT_OTHER_VERSION] > 0);
    free(snapshot);
    free(page);
    free(good);
}

static void test_each_bit_counts(void **state)
{
    (void)state;
    struct terrane_space *space = terrane_space_default();
    assert_int_equal(terrane_stats_publish(NULL), 0);
    struct tn_stat_page *page = copy_of(page_descriptor());
    terrane_stats_unpublish();
    struct tn_stat_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    _Atomic uint64_t *words[] = {&page->head.sequence, &page->head.checksum, &page->head.time_ns,
                                 &page->head.missing};
    unsigned char *slot = (unsigned char *)&page->slots[space->id].slot;
    for (size_t i = 0; i < 4 * 64; i++) {
        *words[i / 64] ^= UINT64_C(1) << i % 64;
        assert_int_equal(tn_stat_take(page, snapshot), TN_STAT_TORN);
        *words[i / 64] ^= UINT64_C(1) << i % 64;
    }
    for (size_t i = 0; i < TN_SPACES_MAX; i++) {
        page->head.used[i / 64] ^= UINT64_C(1) << i % 64;
        assert_int_equal(tn_stat_take(page, snapshot), TN_STAT_TORN);
        page->head.used[i / 64] ^= UINT64_C(1) << i % 64;
    }
    for (size_t i = 0; i < sizeof(struct tn_stat_slot) * 8; i++) {
        slot[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_int_equal(tn_stat_take(page, snapshot), TN_STAT_TORN);
        slot[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    assert_int_equal(tn_stat_take(page, snapshot), TN_STAT_GOOD);
    free(snapshot);
    free(page);
}

static void test_noise(void **state)
{
    (void)state;
    struct seeds seeds = {seeds_announce("stat_pages")};
    struct tn_stat_page *page = calloc(1, sizeof(*page));
    struct tn_stat_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    assert_int_equal(tn_stat_take(page, snapshot), TN_STAT_FOREIGN);
    for (unsigned round = 0; round < 10; round++) {
        for (size_t i = 0; i < sizeof(*page) / 8; i++)
            ((uint64_t *)(void *)page)[i] = seeds_next(&seeds);
        assert_int_equal(tn_stat_take(page, snapshot), TN_STAT_FOREIGN);
        page->head.magic = TN_STAT_MAGIC;
        assert_int_equal(tn_stat_take(page, snapshot), TN_STAT_OTHER_VERSION);
        page->head.version = TN_STAT_VERSION;
        page->head.slots_max = TN_SPACES_MAX;
        page->head.stats_version = TERRANE_STATS_VERSION;
        page->head.pool_version = TERRANE_POOL_STATS_VERSION;
        page->head.space_words = TN_STAT_SPACE_WORDS;
        page->head.pool_words = TN_STAT_POOL_WORDS;
        assert_int_equal(tn_stat_take(page, snapshot), TN_STAT_TORN);
    }
    free(snapshot);
    free(page);
}

/* ---- fork ---- */

static void child_of_memfd(void *context)
{
    (void)context;
    tn_publish_refresh(tn_os_clock_ns() + SECOND_NS);
    EXPECT(!tn_publish_active());
    terrane_stats_refresh();
    EXPECT(page_descriptor() < 0);
    terrane_stats_unpublish();
    EXPECT(terrane_stats_publish(NULL) == 0);
    struct tn_stat_snapshot *own = snapshot_of(page_descriptor());
    EXPECT(own->pid == (uint32_t)getpid());
    free(own);
    terrane_stats_unpublish();
}

static void child_told_of_memfd(void *context)
{
    (void)context;
    tn_publish_fork_child();
    EXPECT(page_descriptor() < 0 && !tn_publish_active());
}

static void child_of_file(void *context)
{
    tn_publish_refresh(tn_os_clock_ns() + SECOND_NS);
    EXPECT(!tn_publish_active());
    EXPECT(access(page_path(getpid()), F_OK) != 0);
    terrane_stats_unpublish(); /* must not remove the parent's */
    EXPECT(access(page_path(*(int *)context), F_OK) == 0);
}

static void child_told_of_file(void *context)
{
    tn_publish_fork_child();
    EXPECT(tn_publish_active());
    EXPECT(access(page_path(getpid()), F_OK) == 0);
    EXPECT(access(page_path(*(int *)context), F_OK) == 0);
    terrane_stats_unpublish();
    EXPECT(access(page_path(getpid()), F_OK) != 0);
}

/* The parent's page is bit for bit what it was, and goes on being written by the parent. */
static void with_child(const char *dir, void (*child)(void *))
{
    int pid = getpid();
    assert_int_equal(terrane_stats_publish(dir), 0);
    const int fd = dir == NULL ? page_descriptor() : open(page_path(pid), O_RDONLY | O_CLOEXEC);
    struct tn_stat_page *before = copy_of(fd);
    assert_int_equal(child_run(child, &pid), 0);
    struct tn_stat_page *after = copy_of(fd);
    assert_memory_equal(before, after, sizeof(*before));
    free(before);
    free(after);
    const uint64_t time_ns = time_of_snapshot(fd);
    terrane_stats_refresh();
    assert_true(time_of_snapshot(fd) > time_ns);
    if (dir != NULL)
        close(fd);
    terrane_stats_unpublish();
}

static void test_fork(void **state)
{
    (void)state;
    with_child(NULL, child_of_memfd);
    with_child(NULL, child_told_of_memfd);
    with_child(folder, child_of_file);
    with_child(folder, child_told_of_file);
}

/* A child in the parent's own memory, as vfork makes it, takes nothing from the parent. */
static int in_parents_memory(void *context)
{
    tn_publish_refresh(*(uint64_t *)context);
    return 0;
}

static void test_vfork(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__) /* it takes parent and child for one thread */
    skip();
#endif
    static char stack[65536] __attribute__((aligned(64)));
    assert_int_equal(terrane_stats_publish(NULL), 0);
    const int fd = page_descriptor();
    const uint64_t first_ns = time_of_snapshot(fd);
    uint64_t later_ns = first_ns + SECOND_NS;
    const int pid = clone(in_parents_memory, stack + sizeof(stack),
                          CLONE_VM | CLONE_VFORK | SIGCHLD, &later_ns);
    assert_true(pid > 0);
    assert_int_equal(child_wait(pid), 0);
    assert_int_equal(time_of_snapshot(fd), first_ns);
    assert_true(tn_publish_active());
    tn_publish_refresh(later_ns + SECOND_NS);
    assert_int_equal(time_of_snapshot(fd), later_ns + SECOND_NS);
    terrane_stats_unpublish();
}

/* While other threads are in the middle of a snapshot. */
static void test_fork_amid_snapshots(void **state)
{
    (void)state;
    _Atomic bool stop = false;
    int pid = getpid();
    assert_int_equal(terrane_stats_publish(folder), 0);
    const pthread_t writer = thread_start(refresh_on_and_on, &stop);
    for (int i = 0; i < 30; i++)
        assert_int_equal(child_run(child_told_of_file, &pid), 0);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    thread_join(writer);
    const int fd = open(page_path(pid), O_RDONLY | O_CLOEXEC);
    free(snapshot_of(fd));
    close(fd);
    terrane_stats_unpublish();
}

static int set_up(void **state)
{
    (void)state;
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/stat-pages.XXXXXX",
             temporary == NULL || temporary[0] != '/' ? "/tmp" : temporary);
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder); /* nothing is left in it */
}

int main(void)
{
    terrane_worker_stop(); /* pages change only when a test does something */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memfd),
        cmocka_unit_test(test_foreign_descriptor),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_refused_places),
        cmocka_unit_test(test_occupied_place),
        cmocka_unit_test(test_all_spaces),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_pool_refreshes),
        cmocka_unit_test(test_writers_and_reader),
        cmocka_unit_test(test_damaged_pages),
        cmocka_unit_test(test_each_bit_counts),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_vfork),
        cmocka_unit_test(test_fork_amid_snapshots),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) == 0 ? 0 : 1;
}
