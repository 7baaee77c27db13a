/* A stat page on a file system that fills up: spaces for whose slot there is no memory are counted
 * as missing, the others are shown, and no store goes where it would end the process. */
#include "expect.h"
#include "stats/stats.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <terrane/terrane.h>
#include <unistd.h>

#include <cmocka.h>

#define SPACES 6

static bool full;

int __real_tn_os_populate(void *addr, size_t size);
int __wrap_tn_os_populate(void *addr, size_t size);
int __wrap_tn_os_populate(void *addr, size_t size)
{
    return full ? -ENOMEM : __real_tn_os_populate(addr, size);
}

/* Of the file that is mapped, as a reader sees it. */
static struct tn_stat_snapshot *snapshot_of(const char *path)
{
    struct tn_stat_page *page = calloc(1, sizeof(*page));
    struct tn_stat_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, page, sizeof(*page), 0), sizeof(*page));
    close(fd);
    assert_int_equal(tn_stat_take(page, snapshot), TN_STAT_GOOD);
    free(page);
    return snapshot;
}

static void expect_shown(const char *path, size_t shown, size_t missing)
{
    terrane_stats_refresh();
    struct tn_stat_snapshot *snapshot = snapshot_of(path);
    size_t count = 0;
    for (size_t i = 0; i < TN_STAT_USED_WORDS; i++)
        count += (size_t)__builtin_popcountll(snapshot->used[i]);
    assert_int_equal(count, shown);
    assert_int_equal(snapshot->missing, missing);
    free(snapshot);
}

static void test_missing_spaces(void **state)
{
    (void)state;
    char folder[] = "/tmp/stat-page.XXXXXX", path[64];
    struct terrane_space *spaces[SPACES];
    const struct terrane_space_options options = {.window_bytes = TN_GIB};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/" TN_STAT_NAME ".%d", folder, (int)getpid());
    assert_int_equal(terrane_stats_publish(folder), 0);
    expect_shown(path, 0, 0);
    for (size_t i = 0; i < SPACES; i++) {
        full = i >= SPACES / 2;
        assert_int_equal(terrane_space_create(&options, &spaces[i]), 0);
        terrane_stats_refresh();
    }
    expect_shown(path, SPACES / 2, SPACES / 2); /* what has its slot keeps it */
    full = false;
    expect_shown(path, SPACES, 0);
    full = true;
    expect_shown(path, SPACES, 0);
    for (size_t i = 0; i < SPACES; i++)
        assert_int_equal(terrane_space_destroy(spaces[i]), 0);
    expect_shown(path, 0, 0);
    terrane_stats_unpublish();
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_missing_spaces)};
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
