/* A kernel that counts every accessible page (vm.overcommit_memory 2), as Linux does: a page is
 * charged when it becomes writable, and stays so until it is mapped anew, also when access to it is
 * taken away. What is given back is charged no more. */
#include "base/base.h"
#include "os/os.h"
#include "space/space.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <terrane/terrane.h>

#include <cmocka.h>

#define WINDOW_BYTES (256 * TN_MIB)
#define LIMIT_BYTES  (64 * TN_MIB)
#define PAGES        (WINDOW_BYTES / 4096)

/* ---- the fake kernel ---- */

static char *window;
static bool charged[PAGES];

/* Charges a range, or lets go of it, as far as it lies in the window. */
static void charge(const char *addr, size_t bytes, bool on)
{
    if (window == NULL || addr < window || addr >= window + WINDOW_BYTES)
        return;
    memset(charged + (size_t)(addr - window) / 4096, on, bytes / 4096);
}

static size_t charged_bytes(void)
{
    size_t pages = 0;
    for (size_t i = 0; i < PAGES; i++)
        pages += charged[i];
    return pages * 4096;
}

int __real_tn_os_commit(void *addr, size_t size);
int __wrap_tn_os_commit(void *addr, size_t size);
int __wrap_tn_os_commit(void *addr, size_t size)
{
    const int error = size > LIMIT_BYTES ? -ENOMEM : __real_tn_os_commit(addr, size);
    if (error == 0)
        charge(addr, size, true);
    return error;
}

int __real_tn_os_map_private(void *addr, size_t size);
int __wrap_tn_os_map_private(void *addr, size_t size);
int __wrap_tn_os_map_private(void *addr, size_t size)
{
    const int error = __real_tn_os_map_private(addr, size);
    if (error == 0)
        charge(addr, size, true);
    return error;
}

int __real_tn_os_vacate(void *addr, size_t size);
int __wrap_tn_os_vacate(void *addr, size_t size);
int __wrap_tn_os_vacate(void *addr, size_t size)
{
    const int error = __real_tn_os_vacate(addr, size);
    if (error == 0)
        charge(addr, size, false);
    return error;
}

/* ---- tests ---- */

static struct terrane_space *make(void)
{
    struct terrane_space *space;
    const struct terrane_space_options options = {.window_bytes = WINDOW_BYTES};
    memset(charged, 0, sizeof(charged));
    assert_int_equal(terrane_space_create(&options, &space), 0);
    assert_true(space->lazy_commit);
    window = space->base;
    return space;
}

static void expect_none_charged(struct terrane_space *space)
{
    (void)terrane_pool_purge(space);
    assert_int_equal(charged_bytes(), 0);
    window = NULL;
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_released_regions(void **state)
{
    (void)state;
    const size_t sizes[] = {1, TN_BLOCK_BYTES, 3 * TN_MIB, 17 * TN_MIB};
    struct terrane_region regions[TN_ARRAY_COUNT(sizes)];
    struct terrane_space *space = make();
    size_t total = 0;
    for (size_t i = 0; i < TN_ARRAY_COUNT(sizes); i++) {
        assert_int_equal(terrane_region_acquire(space, sizes[i], &regions[i]), 0);
        memset(regions[i].data, 1, regions[i].capacity);
        total += regions[i].capacity;
    }
    assert_int_equal(charged_bytes(), total);
    for (size_t i = 0; i < TN_ARRAY_COUNT(sizes); i++)
        terrane_region_release(&regions[i]);
    expect_none_charged(space);
}

static void test_shrunk_region(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    struct terrane_region region;
    assert_int_equal(terrane_region_acquire(space, TN_MIB, &region), 0);
    assert_int_equal(terrane_region_resize(&region, TN_BLOCK_BYTES), 0);
    terrane_region_release(&region);
    expect_none_charged(space);
}

int main(void)
{
    if (tn_os_page_bytes() != 4096) {
        print_message("made for pages of 4 KiB\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_released_regions),
        cmocka_unit_test(test_shrunk_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
