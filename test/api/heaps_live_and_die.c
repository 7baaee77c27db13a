/* Heaps: created in a space, used by their owner, abandoned, adopted, destroyed with all they hold;
 * kinds, options, and objects of every size and alignment. */
#include "api_test.h"
#include "test_threads.h"

static void every_size(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    static void *objects[3000];
    for (size_t size = 0; size < 3000; size++)
        objects[size] = object_in(heap, size);
    for (size_t size = 0; size < 3000; size++) {
        assert_contents(objects[size], size, size);
        assert_ptr_equal(terrane_heap_of(objects[size]), heap);
        terrane_free(objects[size]);
    }
    for (size_t size = 3000; size < 40 * MIB; size += size / 3) {
        void *object = object_in(heap, size);
        assert_contents(object, size, size);
        terrane_free(object);
    }
    terrane_heap_audit(heap);
}

static void test_every_size(void **state)
{
    (void)state;
    on_each_backing(every_size);
}

static void zeroed_and_aligned(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    for (size_t size = 1; size < 3 * MIB; size = size * 2 + 1) {
        for (int round = 0; round < 3; round++) {
            unsigned char *object = terrane_heap_alloc_zeroed(heap, size);
            assert_non_null(object);
            assert_int_equal(contents_nonzero(object, size), size);
            memset(object, 0xee, terrane_usable_size(object));
            terrane_free(object);
        }
        for (size_t align = 1; align <= 32 * MIB; align *= 4) {
            void *object = terrane_heap_alloc_aligned(heap, align, size);
            assert_non_null(object);
            assert_true(((uintptr_t)object & (align - 1)) == 0);
            contents_write(object, size, align);
            assert_contents(object, size, align);
            terrane_free(object);
        }
    }
    assert_null(terrane_heap_alloc_aligned(heap, 2 * GIB, 1));
    void *object = terrane_heap_alloc_aligned(heap, GIB, 1);
    assert_non_null(object);
    assert_true(((uintptr_t)object & (GIB - 1)) == 0);
    terrane_heap_audit(heap);
}

static void test_zeroed_and_aligned(void **state)
{
    (void)state;
    on_each_backing(zeroed_and_aligned);
}

static void test_options(void **state)
{
    (void)state;
    struct terrane_heap *heap = NULL;
    const struct terrane_heap_options wrong[] = {
        {.fresh_ratio = 101}, {.kind = (enum terrane_kind)3}, {.kind = (enum terrane_kind)77}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(terrane_heap_create(NULL, &wrong[i], &heap), -EINVAL);
    assert_null(heap);
    for (unsigned ratio = 0; ratio <= 100; ratio += 50) {
        const struct terrane_heap_options options = {.fresh_ratio = ratio};
        assert_int_equal(terrane_heap_create(NULL, &options, &heap), 0);
        for (size_t i = 0; i < 5000; i++)
            terrane_free(object_in(heap, i % 700));
        terrane_heap_audit(heap);
        terrane_heap_destroy(heap);
    }
    terrane_heap_destroy(NULL);
}

/* Spans that a fresh heap takes for `count` objects of which every other one was freed. */
static uint64_t bytes_after_refill(unsigned ratio)
{
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_heap *heap = NULL;
    const struct terrane_heap_options options = {.fresh_ratio = ratio};
    enum { COUNT = 20000 };
    static void *objects[COUNT];
    assert_int_equal(terrane_heap_create(space, &options, &heap), 0);
    for (size_t i = 0; i < COUNT; i++)
        objects[i] = object_in(heap, 200);
    for (size_t i = 0; i < COUNT; i += 2)
        terrane_free(objects[i]);
    terrane_heap_trim(heap);
    for (size_t i = 0; i < COUNT / 2; i++)
        object_in(heap, 200);
    const uint64_t bytes = stats_of(space).small_bytes;
    assert_int_equal(terrane_space_destroy(space), 0);
    return bytes;
}

/* Reuse first keeps the heap at its size; fresh first makes it grow. */
static void test_fresh_ratio(void **state)
{
    (void)state;
    const uint64_t reuse = bytes_after_refill(0), half = bytes_after_refill(50),
                   fresh = bytes_after_refill(100);
    assert_true(reuse < half);
    assert_true(half < fresh);
    assert_true(fresh * 10 >= reuse * 13);
}

static int count_object(void *object, size_t usable, void *context)
{
    size_t *count = context;
    assert_non_null(object);
    assert_true(usable > 0);
    ++*count;
    return 0;
}

static void test_destroy_takes_objects_along(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_heap *stays = heap_in(space);
    void *mine = object_in(stays, 2000), *large = object_in(stays, MIB);
    for (int round = 0; round < 20; round++) {
        struct terrane_heap *goes = heap_in(space);
        for (size_t i = 0; i < 500; i++)
            object_in(goes, i * 331 % 90000);
        terrane_heap_destroy(goes);
    }
    assert_contents(mine, 2000, 2000);
    assert_contents(large, MIB, MIB);
    size_t count = 0;
    assert_int_equal(terrane_heap_walk(stays, count_object, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(stats_of(space).heaps, 1);
    assert_true(stats_of(space).run_bytes < 3 * MIB);
    terrane_heap_audit(stays);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void *adopt_and_use(void *context)
{
    struct terrane_heap *heap = context;
    EXPECT(terrane_heap_adopt(heap) == 0);
    EXPECT(terrane_heap_adopt(heap) == -EBUSY);
    void *object = terrane_heap_alloc(heap, 3000);
    EXPECT(object != NULL);
    contents_write(object, 3000, 3000);
    terrane_heap_audit(heap);
    terrane_heap_abandon(heap);
    return object;
}

static void *try_to_adopt(void *context)
{
    EXPECT(terrane_heap_adopt(context) == -EBUSY);
    return NULL;
}

static void owners_change(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    void *objects[8];
    thread_run(try_to_adopt, heap);
    const struct terrane_stats before = stats_of(space);
    for (size_t i = 0; i < 8; i++) {
        terrane_heap_abandon(heap);
        objects[i] = thread_run(adopt_and_use, heap);
        assert_int_equal(terrane_heap_adopt(heap), 0);
        assert_contents(objects[i], 3000, 3000);
    }
    assert_int_equal(GROWN(space, before, adoptions), 16);
    for (size_t i = 0; i < 8; i++) {
        assert_ptr_equal(terrane_heap_of(objects[i]), heap);
        terrane_free(objects[i]);
    }
    terrane_heap_audit(heap);
}

static void test_owners_change(void **state)
{
    (void)state;
    on_each_backing(owners_change);
}

/* A thread that ends with its heap abandoned leaves objects that others use, resize and free. */
static void *leave_objects(void *context)
{
    void **objects = context;
    struct terrane_heap *heap = NULL;
    EXPECT(terrane_heap_create(NULL, NULL, &heap) == 0);
    for (size_t i = 0; i < 100; i++) {
        objects[i] = terrane_heap_alloc(heap, i * 700);
        EXPECT(objects[i] != NULL);
        contents_write(objects[i], i * 700, i);
    }
    terrane_heap_abandon(heap);
    return heap;
}

static void test_objects_outlive_their_owner(void **state)
{
    (void)state;
    void *objects[100];
    struct terrane_heap *left = thread_run(leave_objects, objects);
    struct terrane_heap *mine = heap_in(NULL);
    for (size_t i = 0; i < 100; i++) {
        assert_contents(objects[i], i * 700, i);
        if (i % 2 == 0) {
            objects[i] = terrane_heap_resize(mine, objects[i], i * 900 + 50000);
            assert_non_null(objects[i]);
            assert_contents(objects[i], i * 700, i);
        }
        terrane_free(objects[i]);
    }
    assert_int_equal(terrane_heap_adopt(left), 0);
    size_t count = 0;
    assert_int_equal(terrane_heap_walk(left, count_object, &count), 0);
    assert_int_equal(count, 0);
    terrane_heap_audit(left);
    terrane_heap_destroy(left);
    terrane_heap_destroy(mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_zeroed_and_aligned),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_fresh_ratio),
        cmocka_unit_test(test_destroy_takes_objects_along),
        cmocka_unit_test(test_owners_change),
        cmocka_unit_test(test_objects_outlive_their_owner),
    };
    return RUN_TESTS(tests);
}
