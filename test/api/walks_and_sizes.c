/* terrane_heap_walk visits each live object once and nothing else; usable sizes and owners are told
 * of any object, whoever asks; what is no object has no heap. */
#include "api_test.h"
#include "model.h"
#include "test_threads.h"

#define SLOTS 2000

static struct model_block blocks[SLOTS];

struct visit {
    struct model *model;
    unsigned char seen[SLOTS];
    size_t count;
};

static int visit_object(void *object, size_t usable, void *context)
{
    struct visit *visit = context;
    for (size_t slot = 0; slot < SLOTS; slot++) {
        if (blocks[slot].address != object)
            continue;
        EXPECT(usable == terrane_usable_size(object) && usable >= blocks[slot].size);
        EXPECT(visit->seen[slot]++ == 0);
        visit->count++;
        return 0;
    }
    return 1;
}

static void fill(struct model *model, struct terrane_heap *heap)
{
    for (size_t slot = 0; slot < SLOTS; slot++) {
        const size_t size = seeds_size(&model->seeds, slot % 50 == 0 ? 20 : 12);
        void *object = terrane_heap_alloc(heap, size);
        assert_non_null(object);
        model_add(model, slot, object, size);
    }
}

static void *free_every_third(void *context)
{
    struct model *model = context;
    for (size_t slot = 0; slot < SLOTS; slot += 3)
        terrane_free(model_remove(model, slot).address);
    return NULL;
}

static void expect_walk(struct terrane_heap *heap, struct model *model, size_t live)
{
    static struct visit visit;
    memset(&visit, 0, sizeof(visit));
    visit.model = model;
    assert_int_equal(terrane_heap_walk(heap, visit_object, &visit), 0);
    assert_int_equal(visit.count, live);
}

static void walk(struct terrane_space *space, enum terrane_backing backing)
{
    struct terrane_heap *heap = NULL, *other = heap_in(space);
    const struct terrane_heap_options options = {.hardened = backing == TERRANE_BACKING_MEMFD};
    assert_int_equal(terrane_heap_create(space, &options, &heap), 0);
    struct model model = model_make(blocks, SLOTS, (struct seeds){(uint64_t)backing + 1}, 0);
    memset(blocks, 0, sizeof(blocks));
    expect_walk(heap, &model, 0);
    fill(&model, heap);
    object_in(other, 100);
    object_in(other, MIB);
    expect_walk(heap, &model, SLOTS);
    free_every_third(&model);
    expect_walk(heap, &model, SLOTS - (SLOTS + 2) / 3);
    for (size_t slot = 1; slot < SLOTS; slot += 3)
        terrane_free(model_remove(&model, slot).address);
    expect_walk(heap, &model, SLOTS - 2 * ((SLOTS + 2) / 3));
    model_check(&model);
    terrane_heap_trim(heap);
    expect_walk(heap, &model, SLOTS - 2 * ((SLOTS + 2) / 3));
    terrane_heap_audit(heap);
}

static void test_walk(void **state)
{
    (void)state;
    on_each_backing(walk);
}

/* Objects that others freed are not visited once the owner has collected them. */
static void walk_after_remote_frees(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    struct model model = model_make(blocks, SLOTS, (struct seeds){7}, 0);
    memset(blocks, 0, sizeof(blocks));
    fill(&model, heap);
    thread_run(free_every_third, &model);
    terrane_heap_trim(heap);
    expect_walk(heap, &model, SLOTS - (SLOTS + 2) / 3);
    terrane_heap_audit(heap);
}

static void test_walk_after_remote_frees(void **state)
{
    (void)state;
    on_each_backing(walk_after_remote_frees);
}

static int stop_at_third(void *object, size_t usable, void *context)
{
    unsigned *left = context;
    (void)object, (void)usable;
    return --*left == 0 ? 42 : 0;
}

static void test_walk_can_be_ended(void **state)
{
    (void)state;
    struct terrane_heap *heap = heap_in(NULL);
    for (size_t i = 0; i < 10; i++)
        object_in(heap, i * 10000);
    unsigned left = 3;
    assert_int_equal(terrane_heap_walk(heap, stop_at_third, &left), 42);
    assert_int_equal(left, 0);
    terrane_heap_destroy(heap);
}

static void *ask_about(void *context)
{
    const size_t usable = terrane_usable_size(context);
    return (void *)usable;
}

static void sizes_and_owners(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    assert_int_equal(terrane_usable_size(NULL), 0);
    for (size_t size = 0; size < 20 * MIB; size += size / 5 + 1) {
        void *object = object_in(heap, size);
        const size_t usable = terrane_usable_size(object);
        assert_true(usable >= size);
        const size_t slack = size / 4 < 4096 ? size / 4 : 4096;
        assert_true(usable <= size + (slack < 16 ? 16 : slack));
        assert_int_equal((size_t)thread_run(ask_about, object), usable);
        contents_write(object, usable, size);
        assert_contents(object, usable, size);
        assert_ptr_equal(terrane_heap_of(object), heap);
        assert_null(terrane_heap_of((char *)object + 1));
        terrane_free(object);
    }
}

static void test_sizes_and_owners(void **state)
{
    (void)state;
    int local = 0;
    assert_null(terrane_heap_of(NULL));
    assert_null(terrane_heap_of(&local));
    assert_null(terrane_heap_of((void *)16));
    assert_null(terrane_heap_of((void *)(SIZE_MAX - 15)));
    on_each_backing(sizes_and_owners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_walk_after_remote_frees),
        cmocka_unit_test(test_walk_can_be_ended),
        cmocka_unit_test(test_sizes_and_owners),
    };
    return RUN_TESTS(tests);
}
