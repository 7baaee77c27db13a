/* Objects asked for as zero are zero after any history of their memory: written to the last usable
 * byte, shrunk, grown, moved between places and given back. Afterwards a trim leaves
 * no warm memory over. Private memory besides: moves take mappings from the budget and give them
 * back when the memory that was moved is given back. */
#include "api_test.h"
#include "seeds.h"

#define OBJECTS      24
#define STEPS        6000
#define STEPS_SHARED 300 /* files are slow to give pages back */

static uint64_t seed;

static size_t some_size(struct seeds *seeds)
{
    const size_t pages = 9 + seeds_below(seeds, seeds_chance(seeds, 12) ? 900 : 90);
    return pages * 4096 - (seeds_chance(seeds, 50) ? seeds_below(seeds, 4096) : 0);
}

/* Writes all that may be written, so that recycled memory cannot be zero by luck. */
static void soil(void *object)
{
    memset(object, 0xa5, terrane_usable_size(object));
}

static void *zeroed(struct terrane_heap *heap, size_t size)
{
    char *object = terrane_heap_alloc_zeroed(heap, size);
    assert_non_null(object);
    if (object[0] != 0 || memcmp(object, object + 1, size - 1) != 0)
        fail_msg("%zu bytes at %p are not all zero", size, (void *)object);
    return object;
}

static void step(struct terrane_heap *heap, void **object, struct seeds *seeds)
{
    const size_t size = some_size(seeds);
    const size_t usable = terrane_usable_size(*object);
    switch (seeds_below(seeds, 6)) {
    case 0:
    case 1:
        terrane_free(*object);
        *object = zeroed(heap, size);
        break;
    case 2:
        terrane_free(*object);
        *object = terrane_heap_alloc(heap, size);
        break;
    case 3:
        *object = terrane_heap_resize(heap, *object, usable / 2 + 1);
        break;
    case 4:
        *object = terrane_heap_resize(heap, *object, size);
        break;
    default:
        *object = terrane_heap_resize(heap, *object, usable > 8 * MIB ? size : usable * 3);
    }
    assert_non_null(*object);
    soil(*object);
}

static void history(struct terrane_space *space, enum terrane_backing backing)
{
    struct terrane_heap *heap = heap_in(space);
    struct seeds seeds = seeds_stream(seed, (uint64_t)backing);
    const int steps = backing == TERRANE_BACKING_PRIVATE ? STEPS : STEPS_SHARED;
    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++)
        soil(objects[i] = zeroed(heap, some_size(&seeds)));
    for (int i = 0; i < steps; i++)
        step(heap, &objects[seeds_below(&seeds, OBJECTS)], &seeds);
    terrane_heap_audit(heap);
    for (size_t i = 0; i < OBJECTS; i++)
        terrane_free(objects[i]);
    terrane_heap_destroy(heap);
    assert_true(terrane_space_trim(space) > 0);
    assert_int_equal(stats_of(space).dirty_bytes, 0);
    assert_int_equal(stats_of(space).run_bytes, 0);
}

static void test_history(void **state)
{
    (void)state;
    on_each_backing(history);
}

/* Two objects that grow in turn move each other out of the way, again and again. */
static void test_mappings_come_back(void **state)
{
    (void)state;
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_heap *heap = heap_in(space);
    for (int round = 0; round < 200; round++) {
        void *objects[2] = {object_in(heap, 300 * KIB), object_in(heap, 300 * KIB)};
        for (size_t size = 450 * KIB; size < 20 * MIB; size += size / 2) {
            for (size_t i = 0; i < 2; i++)
                assert_non_null(objects[i] = terrane_heap_resize(heap, objects[i], size));
        }
        terrane_free(objects[0]);
        terrane_free(objects[1]);
    }
    assert_true(stats_of(space).moves > 400);
    assert_true(stats_of(space).mappings < 40);
    terrane_heap_destroy(heap);
    (void)terrane_space_trim(space);
    assert_int_equal(stats_of(space).mappings, 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static int mappings_of_process(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    int lines = 0;
    for (int c; (c = getc(maps)) != EOF;)
        lines += c == '\n';
    (void)fclose(maps);
    return lines;
}

/* What the space has given back the kernel has back too, also of objects that moved and shrank. */
static void test_shrunk_after_moves(void **state)
{
    (void)state;
    struct terrane_space_options options = options_of(TERRANE_BACKING_PRIVATE);
    options.move_min_bytes = 128 * KIB;
    struct terrane_space *space = space_with(&options);
    struct terrane_heap *heap = heap_in(space);
    const int before = mappings_of_process();
    enum { COUNT = 200 };
    void *shrunk[COUNT], *walls[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        shrunk[i] = object_in(heap, 250000);
        walls[i] = object_in(heap, 250000);
        assert_non_null(shrunk[i] = terrane_heap_resize(heap, shrunk[i], 900000));
        assert_non_null(shrunk[i] = terrane_heap_resize(heap, shrunk[i], 70000));
    }
    assert_true(stats_of(space).moves >= COUNT / 2);
    for (size_t i = 0; i < COUNT; i++) {
        terrane_free(shrunk[i]);
        terrane_free(walls[i]);
    }
    (void)terrane_space_trim(space);
    assert_int_equal(stats_of(space).mappings, 0);
    assert_true(mappings_of_process() < before + 20);
    terrane_heap_destroy(heap);
    assert_int_equal(terrane_space_destroy(space), 0);
}

int main(void)
{
    seed = seeds_announce("zeroed_objects_are_zero");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_mappings_come_back),
        cmocka_unit_test(test_shrunk_after_moves),
    };
    return RUN_TESTS(tests);
}
