/* Objects freed by threads that do not own their heap come back to it: the owner's memory does not
 * grow while others free what it allocates, and all is free in the end. */
#include "api_test.h"
#include "seeds.h"
#include "test_threads.h"

#include <stdatomic.h>

#define FREERS 3
#define RING   512
#define ROUNDS 200000

/* Slots that the owner fills and the others empty. */
static _Atomic(void *) ring[RING];
static atomic_bool finished;

/* An object that tells its own size, followed by as many bytes of its low part. */
static void *telling_object(struct terrane_heap *heap, size_t size)
{
    size_t *object = terrane_heap_alloc(heap, sizeof(size_t) + size);
    EXPECT(object != NULL);
    *object = size;
    memset(object + 1, (int)(size & 0xff), size);
    return object;
}

static void expect_telling(const void *object)
{
    const size_t size = *(const size_t *)object;
    const unsigned char *bytes = (const unsigned char *)object + sizeof(size_t);
    for (size_t i = 0; i < size; i++)
        EXPECT_THAT(bytes[i] == (unsigned char)size, "byte %zu of %zu at %p", i, size, object);
}

static void *freer(void *context)
{
    struct seeds seeds = {(uintptr_t)context};
    for (;;) {
        const bool last = atomic_load(&finished);
        bool found = false;
        for (size_t i = 0; i < RING; i++) {
            const size_t slot = (size_t)seeds_below(&seeds, RING);
            void *object = atomic_exchange(&ring[last ? i : slot], NULL);
            if (object == NULL)
                continue;
            found = true;
            expect_telling(object);
            terrane_free(object);
        }
        if (last && !found)
            return NULL;
    }
}

static void produce(struct terrane_heap *heap, struct seeds *seeds, size_t rounds)
{
    for (size_t i = 0; i < rounds; i++) {
        void *none = NULL;
        void *object = telling_object(heap, seeds_size(seeds, i % 200 == 0 ? 17 : 11));
        const size_t slot = (size_t)seeds_below(seeds, RING);
        if (!atomic_compare_exchange_strong(&ring[slot], &none, object))
            terrane_free(object);
    }
}

static int fail_if_any(void *object, size_t usable, void *context)
{
    (void)usable, (void)context;
    return object != NULL;
}

static void run(struct terrane_space *space, enum terrane_backing backing)
{
    (void)backing;
    struct terrane_heap *heap = heap_in(space);
    struct seeds seeds = {99};
    pthread_t threads[FREERS];
    atomic_store(&finished, false);
    for (uintptr_t i = 0; i < FREERS; i++)
        threads[i] = thread_start(freer, (void *)(i + 1));
    produce(heap, &seeds, ROUNDS / 4);
    const uint64_t early = stats_of(space).run_bytes_peak;
    produce(heap, &seeds, ROUNDS);
    atomic_store(&finished, true);
    for (size_t i = 0; i < FREERS; i++)
        thread_join(threads[i]);
    assert_true(stats_of(space).run_bytes_peak <= 2 * early + 8 * MIB);
    assert_true(stats_of(space).remote_frees > 0);
    terrane_heap_trim(heap);
    assert_int_equal(terrane_heap_walk(heap, fail_if_any, NULL), 0);
    assert_int_equal(stats_of(space).run_bytes, 0);
    terrane_heap_audit(heap);
}

static void test_remote_frees(void **state)
{
    (void)state;
    on_each_backing(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_remote_frees)};
    return RUN_TESTS(tests);
}
