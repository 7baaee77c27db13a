/* A hardened heap on a kernel where each guard page costs mappings: when they are used up large
 * objects come without a guard, whole and usable, and are refused only when there is no memory. */
#include "contents.h"
#include "heap/heap.h"
#include "os/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define OBJECTS 40
#define SIZE    ((size_t)100000)

static void test_guards_run_out(void **state)
{
    (void)state;
    struct tn_os_features features = *tn_os_features();
    features.guard = false;
    tn_os_features_override(&features);
    const struct terrane_space_options space_options = {
        .backing = TERRANE_BACKING_PRIVATE, .window_bytes = TN_GIB, .mappings_budget = 20};
    const struct terrane_heap_options heap_options = {.hardened = true};
    struct terrane_space *space = NULL;
    struct terrane_heap *heap = NULL;
    assert_int_equal(terrane_space_create(&space_options, &space), 0);
    assert_int_equal(terrane_heap_create(space, &heap_options, &heap), 0);
    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = terrane_heap_alloc(heap, SIZE);
        assert_non_null(objects[i]);
        contents_write(objects[i], SIZE, i);
    }
    assert_true(tn_counted(space, TN_COUNT_BUDGET_REFUSALS) > 0);
    assert_int_equal(tn_counted(space, TN_COUNT_MAPPINGS), 20);
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = terrane_heap_resize(heap, objects[i], 2 * SIZE);
        assert_non_null(objects[i]);
        assert_int_equal(contents_wrong(objects[i], SIZE, i), SIZE);
        terrane_free(objects[i]);
    }
    assert_int_equal(tn_counted(space, TN_COUNT_MAPPINGS), 0);
    terrane_heap_audit(heap);
    terrane_heap_destroy(heap);
    assert_int_equal(terrane_space_destroy(space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_guards_run_out)};
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
