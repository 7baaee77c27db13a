/* A scratch space on a file system that fills up: the allocation that finds no room is refused, no
 * access ever ends in SIGBUS, and room that is given back can be used again. Needs a small tmpfs,
 * which is mounted where the user may do so (in a name space of the test's own), else skipped. */
#include "api_test.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#define DISK "16m"

static char mount_point[] = "/tmp/terrane-disk-XXXXXX";

static size_t disk_free(void)
{
    struct statvfs stat;
    EXPECT(statvfs(mount_point, &stat) == 0);
    return (size_t)stat.f_bfree * stat.f_frsize;
}

static struct terrane_space *space_on_disk(void)
{
    struct terrane_space_options options = options_of(TERRANE_BACKING_SCRATCH);
    options.scratch_dir = mount_point;
    return space_with(&options);
}

/* Fills the disk with objects of one size, all of which are written to. */
static size_t fill_disk(struct terrane_heap *heap, void **objects, size_t most, size_t size)
{
    for (size_t i = 0; i < most; i++) {
        errno = 0;
        objects[i] = terrane_heap_alloc(heap, size);
        if (objects[i] == NULL) {
            assert_int_equal(errno, ENOMEM);
            return i;
        }
        contents_write(objects[i], size, i);
    }
    fail_msg("no refusal");
    return 0;
}

static void full_with(size_t size)
{
    enum { MOST = 5000 };
    static void *objects[MOST];
    struct terrane_space *space = space_on_disk();
    struct terrane_heap *heap = heap_in(space);
    const size_t count = fill_disk(heap, objects, MOST, size);
    assert_true(count * size >= 8 * MIB && count * size <= 16 * MIB);
    errno = 0;
    assert_null(terrane_heap_resize(heap, objects[0], 10 * MIB));
    assert_int_equal(errno, ENOMEM);
    for (size_t i = 0; i < count; i++)
        assert_contents(objects[i], size, i);
    for (size_t i = count / 2; i < count; i++)
        terrane_free(objects[i]);
    terrane_heap_trim(heap);
    terrane_space_trim(space);
    assert_true(disk_free() >= 4 * MIB);
    assert_true(fill_disk(heap, objects + count / 2, MOST - count / 2, size) >= count / 4);
    terrane_heap_audit(heap);
    assert_int_equal(terrane_space_destroy(space), 0);
    assert_true(disk_free() >= 15 * MIB);
}

static void test_full_disk(void **state)
{
    (void)state;
    full_with(5000);
    full_with(100 * KIB);
    full_with(MIB);
}

/* Growth in place and by moving meets the end of the disk as an error too. */
static void test_growth_on_full_disk(void **state)
{
    (void)state;
    struct terrane_space *space = space_on_disk();
    struct terrane_heap *heap = heap_in(space);
    size_t size = 100 * KIB;
    char *object = object_in(heap, size);
    for (char *grown; (grown = terrane_heap_resize(heap, object, size + 300 * KIB)) != NULL;) {
        object = grown;
        memset(object + size, 1, 300 * KIB);
        size += 300 * KIB;
        assert_true(size < 17 * MIB);
    }
    assert_true(size > 7 * MIB);
    assert_contents(object, 100 * KIB, 100 * KIB);
    const int error = terrane_resize_in_place(object, 17 * MIB);
    assert_true(error == -ENOMEM || error == -ENOSPC);
    assert_contents(object, 100 * KIB, 100 * KIB);
    terrane_heap_audit(heap);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static int mount_disk(void **state)
{
    (void)state;
    if (mkdtemp(mount_point) == NULL)
        return -1;
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", mount_point, "tmpfs", 0, "size=" DISK) == 0)
        return 0;
    const int error = errno;
    rmdir(mount_point);
    test_skip("no right to mount a small tmpfs: %s", strerror(error));
}

static int unmount_disk(void **state)
{
    (void)state;
    const int error = umount(mount_point);
    return error != 0 ? error : rmdir(mount_point);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_growth_on_full_disk),
    };
    return cmocka_run_group_tests(tests, mount_disk, unmount_disk) == 0 ? 0 : 1;
}
