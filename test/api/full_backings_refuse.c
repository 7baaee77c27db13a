/* Where there is no more room an acquire says so and everything else goes on: on a full disk (ext4
 * on a small loop device, and a small tmpfs), on an empty pool of huge pages, at a space's limit
 * and at the process's. Regions that are there keep their contents and can be stored to, release
 * makes room again, and no access ever ends in SIGBUS. Mounts are made in a name space of the
 * test's own, where the user may do so. */
#include "api_test.h"
#include "huge_pages.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define REGION_MAX 600
#define DISK_BYTES (48 * MIB)
#define LIMIT      (32 * MIB)
#define BUDGET     (16 * MIB)
#define HUGE_PAGES 16

static char folder[] = "/tmp/terrane-full-XXXXXX";
static char mount_point[sizeof(folder) + 8];
static char image[sizeof(folder) + 8];

/* ---- a full space ---- */

struct filled {
    struct terrane_region regions[REGION_MAX];
    size_t count;
    int error; /* what the last acquire said */
};
static struct filled filled;

static void fill(struct terrane_space *space, size_t bytes)
{
    const struct terrane_region none = {NULL, 0};
    for (;; filled.count++) {
        assert_true(filled.count < REGION_MAX);
        struct terrane_region *region = &filled.regions[filled.count];
        *region = none;
        filled.error = terrane_region_acquire(space, bytes, region);
        if (filled.error != 0) {
            assert_memory_equal(region, &none, sizeof(none)); /* a refusal changes nothing */
            return;
        }
        assert_true(region->capacity >= bytes);
        contents_write(region->data, region->capacity, filled.count);
    }
}

static void check_and_store_again(void)
{
    for (size_t i = 0; i < filled.count; i++) {
        const struct terrane_region *region = &filled.regions[i];
        assert_contents(region->data, region->capacity, i);
        contents_write(region->data, region->capacity, i);
    }
}

static void release_from(size_t first)
{
    while (filled.count > first)
        terrane_region_release(&filled.regions[--filled.count]);
}

/* Fills the space with regions of one size, makes room, and fills it again. */
static void full_with(struct terrane_space *space, size_t bytes, const int errors[2])
{
    filled.count = 0;
    fill(space, bytes);
    const size_t all = filled.count;
    assert_true(filled.error == errors[0] || filled.error == errors[1]);
    assert_true(all * bytes >= LIMIT / 2 && all > 3);
    check_and_store_again();

    struct terrane_region *first = &filled.regions[0];
    const struct terrane_region before = *first;
    const int error = terrane_region_resize(first, 2 * LIMIT);
    assert_true(error == errors[0] || error == errors[1]);
    assert_memory_equal(first, &before, sizeof(before));

    release_from(all / 2);
    check_and_store_again();
    fill(space, bytes);
    assert_true(filled.count >= all - all / 8);
    check_and_store_again();
    release_from(0);
    (void)terrane_pool_purge(space);
    struct terrane_pool_stats stats;
    terrane_pool_stats(space, &stats);
    assert_true(stats.refusals >= 3);
    assert_int_equal(stats.total.live_bytes, 0);
}

static void full_with_each_size(struct terrane_space *space, const int errors[2])
{
    full_with(space, 100 * KIB, errors);
    full_with(space, MIB, errors);
    full_with(space, 5 * MIB, errors);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* ---- disks ---- */

static size_t disk_free(void)
{
    struct statvfs stat;
    assert_int_equal(statvfs(mount_point, &stat), 0);
    return (size_t)stat.f_bfree * stat.f_frsize;
}

/* With a budget pages are dropped and read back while the disk is full. */
static void full_disk(bool in_memory)
{
    static const int errors[2] = {-ENOSPC, -ENOSPC};
    const size_t before = disk_free();
    struct terrane_space_options options = options_of(TERRANE_BACKING_SCRATCH);
    options.scratch_dir = mount_point;
    full_with_each_size(space_with(&options), errors);
    assert_true(disk_free() + MIB >= before);
    struct terrane_space *space = space_with(&options);
    assert_int_equal(terrane_pool_set_resident_budget(space, BUDGET), in_memory ? -ENOTSUP : 0);
    full_with(space, MIB, errors);
    assert_int_equal(terrane_space_destroy(space), 0);
    assert_true(disk_free() + MIB >= before);
    assert_int_equal(umount(mount_point), 0);
}

static void test_full_tmpfs(void **state)
{
    (void)state;
    if (mount("tmpfs", mount_point, "tmpfs", 0, "size=48m") != 0) {
        print_message("no right to mount a tmpfs: %s\n", strerror(errno));
        skip();
    }
    full_disk(true);
}

/* An ext4 in a file. */
static bool mount_ext4(void)
{
    char command[200];
    const int fd = open(image, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)DISK_BYTES), 0);
    close(fd);
    snprintf(command, sizeof(command),
             "mkfs.ext4 -q -m 0 %s >/dev/null 2>&1 && mount -o loop %s %s 2>/dev/null", image,
             image, mount_point);
    const bool mounted = system(command) == 0;
    unlink(image);
    return mounted;
}

static void test_full_ext4(void **state)
{
    (void)state;
    if (!mount_ext4()) {
        print_message("mkfs.ext4 or mount -o loop does not work here\n");
        skip();
    }
    full_disk(false);
}

/* ---- memory ---- */

static void test_empty_pool_of_huge_pages(void **state)
{
    static const int errors[2] = {-ENOSPC, -ENOMEM};
    (void)state;
    if (!huge_pages_take(2 * MIB, HUGE_PAGES)) {
        print_message("%d huge pages cannot be set aside\n", HUGE_PAGES);
        skip();
    }
    const size_t pages = huge_pages_figure(&huge_pages_ours, "free_hugepages");
    assert_true(pages <= REGION_MAX);
    struct terrane_space_options options = options_of(TERRANE_BACKING_MEMFD);
    options.huge_page_bytes = 2 * MIB;
    struct terrane_space *space = space_with(&options);
    full_with(space, 2 * MIB, errors);
    assert_int_equal(terrane_space_destroy(space), 0);
    assert_int_equal(huge_pages_figure(&huge_pages_ours, "free_hugepages"), pages);
    huge_pages_give_back();
}

static void test_limit_of_space(struct terrane_space *space, enum terrane_backing backing)
{
    static const int errors[2] = {-ENOMEM, -ENOMEM};
    struct terrane_space *other = space_of_backing(backing);
    struct terrane_region free_of_it;
    terrane_pool_set_limit(space, LIMIT);
    full_with(space, 100 * KIB, errors);
    full_with(space, 5 * MIB, errors);
    assert_int_equal(terrane_region_acquire(other, 2 * LIMIT, &free_of_it), 0);
    terrane_pool_set_limit(space, 0);
    struct terrane_region large;
    assert_int_equal(terrane_region_acquire(space, 2 * LIMIT, &large), 0);
    terrane_region_release(&large);
    terrane_region_release(&free_of_it);
    assert_int_equal(terrane_space_destroy(other), 0);
}

static void test_limits_of_spaces(void **state)
{
    (void)state;
    on_each_backing(test_limit_of_space);
}

/* What one space holds is not there for the others. */
static void test_limit_of_process(void **state)
{
    static const int errors[2] = {-ENOMEM, -ENOMEM};
    (void)state;
    struct terrane_space *spaces[2] = {space_of_backing(TERRANE_BACKING_PRIVATE),
                                       space_of_backing(TERRANE_BACKING_MEMFD)};
    struct terrane_region half, more;
    assert_int_equal(terrane_region_acquire(spaces[0], LIMIT, &half), 0);
    contents_write(half.data, half.capacity, 1);
    terrane_pool_set_process_limit(2 * LIMIT);
    full_with(spaces[1], MIB, errors);
    assert_int_equal(terrane_region_acquire(spaces[1], LIMIT / 2, &more), 0);
    assert_int_equal(terrane_region_resize(&half, 2 * LIMIT), -ENOMEM);
    assert_contents(half.data, half.capacity, 1);
    terrane_region_release(&more);
    assert_int_equal(terrane_region_resize(&half, LIMIT + LIMIT / 2), 0);
    terrane_region_release(&half);
    terrane_pool_set_process_limit(0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(terrane_space_destroy(spaces[i]), 0);
}

static int make_folders(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(mount_point, sizeof(mount_point), "%s/mount", folder);
    snprintf(image, sizeof(image), "%s/image", folder);
    if (unshare(CLONE_NEWNS) == 0)
        (void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    return mkdir(mount_point, 0700);
}

static int remove_folders(void **state)
{
    (void)state;
    return rmdir(mount_point) | rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_tmpfs),
        cmocka_unit_test(test_full_ext4),
        cmocka_unit_test(test_empty_pool_of_huge_pages),
        cmocka_unit_test(test_limits_of_spaces),
        cmocka_unit_test(test_limit_of_process),
    };
    return cmocka_run_group_tests(tests, make_folders, remove_folders) == 0 ? 0 : 1;
}
