/* Huge pages are wanted for who asked for them: addresses that go back are ordinary again, however
 * they were used, lest the next user gets 2 MiB for each page that he touches. */
#include "base/base.h"
#include "expect.h"
#include "os/os.h"
#include "space/space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <terrane/terrane.h>

#include <cmocka.h>

#define REGION_BYTES (4 * TN_MIB)

static struct terrane_space *make(void)
{
    struct terrane_space *space;
    const struct terrane_space_options options = {.window_bytes = TN_GIB};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    return space;
}

static struct terrane_region advised(struct terrane_space *space)
{
    struct terrane_region region;
    assert_int_equal(terrane_region_acquire(space, REGION_BYTES, &region), 0);
    memset(region.data, 1, region.capacity);
    assert_true(tn_space_any_huge(space, region.data, region.capacity));
    return region;
}

static void test_shrunk_region(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    struct terrane_region region = advised(space);
    char *data = region.data;
    assert_int_equal(terrane_region_resize(&region, TN_BLOCK_BYTES), 0);
    terrane_region_release(&region);
    (void)terrane_pool_purge(space);
    assert_false(tn_space_any_huge(space, data, REGION_BYTES));
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_shrunk_object(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    struct terrane_heap *heap;
    assert_int_equal(terrane_heap_create(space, NULL, &heap), 0);
    char *object = terrane_heap_alloc(heap, REGION_BYTES);
    assert_non_null(object);
    assert_true(tn_space_any_huge(space, object, REGION_BYTES));
    assert_ptr_equal(terrane_heap_resize(heap, object, TN_BLOCK_BYTES), object);
    terrane_free(object);
    (void)terrane_pool_purge(space);
    assert_false(tn_space_any_huge(space, object, REGION_BYTES));
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* A neighbour is in the way, so the pages move. */
static void test_moved_region(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    struct terrane_region region = advised(space), neighbour = advised(space);
    char *data = region.data;
    if (data > (char *)neighbour.data) {
        const struct terrane_region other = region;
        region = neighbour;
        neighbour = other;
        data = region.data;
    }
    assert_int_equal(terrane_region_resize(&region, 4 * REGION_BYTES), 0);
    assert_ptr_not_equal(region.data, data);
    (void)terrane_pool_purge(space);
    assert_false(tn_space_any_huge(space, data, REGION_BYTES));
    terrane_region_release(&region);
    terrane_region_release(&neighbour);
    assert_int_equal(terrane_space_destroy(space), 0);
}

int main(void)
{
    if (tn_os_features()->thp == TN_OS_THP_NEVER)
        test_skip("no transparent huge pages here");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shrunk_region),
        cmocka_unit_test(test_shrunk_object),
        cmocka_unit_test(test_moved_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
