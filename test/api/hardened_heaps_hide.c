/* What a hardened heap does beyond dying of crimes (test/misuse): a page behind large objects that
 * cannot be touched, freed contents that cannot be read, addresses that cannot be guessed. */
#include "api_test.h"

static struct terrane_heap *hardened_heap(void)
{
    struct terrane_heap *heap = NULL;
    const struct terrane_heap_options options = {.hardened = true};
    EXPECT(terrane_heap_create(NULL, &options, &heap) == 0);
    return heap;
}

static void write_behind(void *context)
{
    const size_t *size = context;
    signal(SIGSEGV, SIG_DFL); /* cmocka would catch it */
    char *object = terrane_heap_alloc(hardened_heap(), *size);
    EXPECT(object != NULL);
    contents_write(object, terrane_usable_size(object), 1);
    *(volatile char *)(object + terrane_usable_size(object)) = 1;
}

static void read_behind(void *context)
{
    const size_t *size = context;
    signal(SIGSEGV, SIG_DFL);
    char *object = terrane_heap_alloc(hardened_heap(), *size);
    EXPECT(object != NULL);
    (void)*(volatile char *)(object + terrane_usable_size(object));
}

static void test_guard_behind_large_objects(void **state)
{
    (void)state;
    size_t sizes[] = {40000, 100 * KIB, MIB, 5 * MIB + 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const int wrote = child_run(write_behind, &sizes[i]);
        const int read = child_run(read_behind, &sizes[i]);
        assert_true(WIFSIGNALED(wrote) && WTERMSIG(wrote) == SIGSEGV);
        assert_true(WIFSIGNALED(read) && WTERMSIG(read) == SIGSEGV);
    }
}

/* Nothing of an object's contents can be read once it is freed: neither through the old pointer nor
 * by whoever gets the memory next. */
static void test_freed_contents_are_gone(void **state)
{
    (void)state;
    struct terrane_heap *heap = hardened_heap();
    for (size_t size = 16; size <= 30000; size *= 3) {
        unsigned char *object = object_in(heap, size);
        const unsigned char *old = hidden(object);
        terrane_free(object);
        size_t same = 0;
        for (size_t i = 0; i < size; i++)
            same += old[i] == (unsigned char)(contents_word(size, i / 8) >> (i % 8 * 8));
        assert_true(same <= size / 16 + 4);
    }
    terrane_heap_destroy(heap);
}

/* A freed slot is not the next to be handed out, and two runs of the same program differ. */
static void test_addresses_vary(void **state)
{
    (void)state;
    struct terrane_heap *heap = hardened_heap();
    size_t repeats = 0, steps = 0;
    for (int i = 0; i < 200; i++) {
        void *object = object_in(heap, 64);
        void *const old = hidden(object);
        terrane_free(object);
        void *next = object_in(heap, 64);
        void *after = object_in(heap, 64);
        repeats += next == old;
        steps += (char *)after - (char *)next == 80;
    }
    assert_int_equal(repeats, 0);
    assert_true(steps < 100);
    terrane_heap_destroy(heap);
}

static void test_works_like_others(void **state)
{
    (void)state;
    struct terrane_heap *heap = hardened_heap();
    for (size_t size = 0; size < 3 * MIB; size = size * 2 + 1) {
        void *object = object_in(heap, size);
        object = terrane_heap_resize(heap, object, size + 5000);
        assert_non_null(object);
        assert_contents(object, size, size);
        contents_write(object, terrane_usable_size(object), 2);
        object = terrane_heap_resize(heap, object, size / 2);
        assert_non_null(object);
        assert_contents(object, size / 2, 2);
        terrane_free(object);
        unsigned char *zeroed = terrane_heap_alloc_zeroed(heap, size);
        assert_non_null(zeroed);
        assert_int_equal(contents_nonzero(zeroed, size), size);
        terrane_free(zeroed);
        void *aligned = terrane_heap_alloc_aligned(heap, 8192, size);
        assert_non_null(aligned);
        assert_true(((uintptr_t)aligned & 8191) == 0);
        contents_write(aligned, terrane_usable_size(aligned), 3);
        terrane_free(aligned);
    }
    terrane_heap_audit(heap);
    terrane_heap_destroy(heap);
}

/* Objects go from a hardened heap to an ordinary one and back. */
static void test_moves_to_and_from(void **state)
{
    (void)state;
    struct terrane_heap *hard = hardened_heap(), *soft = heap_in(NULL);
    for (size_t size = 1; size < 3 * MIB; size = size * 3 + 1) {
        void *object = object_in(hard, size);
        assert_int_equal(terrane_heap_move(soft, &object), 0);
        assert_contents(object, size, size);
        object = terrane_heap_resize(soft, object, size * 2 + 100);
        assert_non_null(object);
        assert_contents(object, size, size);
        assert_int_equal(terrane_heap_move(hard, &object), 0);
        assert_contents(object, size, size);
        assert_ptr_equal(terrane_heap_of(object), hard);
        terrane_free(object);
    }
    terrane_heap_audit(hard);
    terrane_heap_audit(soft);
    terrane_heap_destroy(hard);
    terrane_heap_destroy(soft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard_behind_large_objects),
        cmocka_unit_test(test_freed_contents_are_gone),
        cmocka_unit_test(test_addresses_vary),
        cmocka_unit_test(test_works_like_others),
        cmocka_unit_test(test_moves_to_and_from),
    };
    return RUN_TESTS(tests);
}
