/* A scratch file on a disk that runs full in the middle of a reservation, and keeps what it found
 * until then, as ext4 and xfs do: what is refused takes no room afterwards. */
#include "base/base.h"
#include "contents.h"
#include "os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/terrane.h>

#include <cmocka.h>

#define REGION_BYTES (4 * TN_MIB)

/* Bytes that the next reservations find. */
static uint64_t room = UINT64_MAX;

int __real_tn_os_file_reserve(int fd, uint64_t offset_bytes, uint64_t size_bytes);
int __wrap_tn_os_file_reserve(int fd, uint64_t offset_bytes, uint64_t size_bytes);
int __wrap_tn_os_file_reserve(int fd, uint64_t offset_bytes, uint64_t size_bytes)
{
    const uint64_t found = tn_min(size_bytes, room);
    const int error = found == 0 ? 0 : __real_tn_os_file_reserve(fd, offset_bytes, found);
    room -= found;
    return error == 0 && found < size_bytes ? -ENOSPC : error;
}

static struct terrane_space *scratch_space(void)
{
    const char *dir = getenv("TMPDIR");
    struct terrane_space *space = NULL;
    const struct terrane_space_options options = {.backing = TERRANE_BACKING_SCRATCH,
                                                  .window_bytes = TN_GIB,
                                                  .scratch_dir = dir != NULL ? dir : "/tmp"};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    return space;
}

static uint64_t file_bytes(struct terrane_space *space)
{
    struct terrane_pool_stats stats;
    terrane_pool_stats(space, &stats);
    return stats.file_bytes;
}

static void test_refused_acquire(void **state)
{
    (void)state;
    struct terrane_space *space = scratch_space();
    struct terrane_region region = {NULL, 0};
    const uint64_t before = file_bytes(space);
    room = REGION_BYTES / 2;
    assert_int_equal(terrane_region_acquire(space, REGION_BYTES, &region), -ENOSPC);
    room = UINT64_MAX;
    assert_null(region.data);
    assert_int_equal(file_bytes(space), before);
    assert_int_equal(terrane_region_acquire(space, REGION_BYTES, &region), 0);
    assert_true(file_bytes(space) >= before + REGION_BYTES);
    contents_write(region.data, region.capacity, 1);
    assert_true(contents_intact(region.data, region.capacity, 1));
    terrane_region_release(&region);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_refused_growth(void **state)
{
    (void)state;
    struct terrane_space *space = scratch_space();
    struct terrane_region region;
    assert_int_equal(terrane_region_acquire(space, REGION_BYTES, &region), 0);
    contents_write(region.data, REGION_BYTES, 2);
    const uint64_t before = file_bytes(space);
    room = REGION_BYTES / 2;
    assert_int_equal(terrane_region_resize(&region, 2 * REGION_BYTES), -ENOSPC);
    room = UINT64_MAX;
    assert_int_equal(region.capacity, REGION_BYTES);
    assert_int_equal(file_bytes(space), before);
    assert_true(contents_intact(region.data, REGION_BYTES, 2));
    terrane_region_release(&region);
    (void)terrane_pool_purge(space); /* also what has been elsewhere and came back */
    assert_int_equal(file_bytes(space), 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* What was declared dead and could not be reserved again is not handed out without room. */
static void test_refused_after_dead(void **state)
{
    (void)state;
    struct terrane_space *space = scratch_space();
    struct terrane_region region;
    assert_int_equal(terrane_region_acquire(space, REGION_BYTES, &region), 0);
    room = 0;
    assert_int_equal(terrane_region_advise(&region, 0, REGION_BYTES, TERRANE_ADVICE_DEAD), -ENOSPC);
    terrane_region_release(&region);
    assert_int_equal(terrane_region_acquire(space, REGION_BYTES, &region), -ENOSPC);
    room = UINT64_MAX;
    assert_int_equal(terrane_region_acquire(space, REGION_BYTES, &region), 0);
    assert_true(file_bytes(space) >= REGION_BYTES);
    terrane_region_release(&region);
    assert_int_equal(terrane_space_destroy(space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_acquire),
        cmocka_unit_test(test_refused_growth),
        cmocka_unit_test(test_refused_after_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
