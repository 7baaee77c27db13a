/* What parent and child of fork may do with the spaces of the parent, backing by backing, and that
 * the child can go on however busy the parent's threads were. */
#include "api_test.h"
#include "seeds.h"
#include "test_threads.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define BYTES (3 * MIB)
#define SMALL ((size_t)700)
#define LARGE (200 * KIB)

/* What the parent holds when it forks. */
struct held {
    struct terrane_space *space;
    struct terrane_heap *heap;
    struct terrane_region region;
    void *small;
    void *large;
};

static struct held held_in(struct terrane_space *space)
{
    struct held held = {.space = space, .heap = heap_in(space)};
    assert_int_equal(terrane_region_acquire(space, BYTES, &held.region), 0);
    contents_write(held.region.data, BYTES, BYTES);
    held.small = object_in(held.heap, SMALL);
    held.large = object_in(held.heap, LARGE);
    /* warm memory of each kind, which a child could take by mistake */
    struct terrane_region warm;
    assert_int_equal(terrane_region_acquire(space, BYTES, &warm), 0);
    terrane_region_release(&warm);
    for (unsigned i = 0; i < 100; i++)
        terrane_free(object_in(held.heap, SMALL));
    terrane_free(object_in(held.heap, LARGE));
    return held;
}

static bool is_whole(const struct held *held)
{
    return contents_wrong(held->region.data, BYTES, BYTES) == BYTES &&
           contents_wrong(held->small, SMALL, SMALL) == SMALL &&
           contents_wrong(held->large, LARGE, LARGE) == LARGE;
}

static void let_go(struct held *held)
{
    terrane_region_release(&held->region);
    terrane_free(held->small);
    terrane_free(held->large);
    terrane_heap_destroy(held->heap);
}

static void begin_child(void)
{
    if (!CHILD_STARTS_THREADS)
        terrane_worker_stop();
}

/* The parent goes on as if nothing had been. */
static void go_on(struct held *held)
{
    assert_true(is_whole(held));
    struct terrane_region regions[8];
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(terrane_region_acquire(held->space, BYTES, &regions[i]), 0);
        contents_write(regions[i].data, BYTES, i);
    }
    void *object = object_in(held->heap, LARGE);
    assert_true(is_whole(held));
    for (unsigned i = 0; i < 8; i++) {
        assert_contents(regions[i].data, BYTES, i);
        terrane_region_release(&regions[i]);
    }
    terrane_free(object);
    assert_true(is_whole(held));
}

/* ---- the first question for the default space ---- */

static void *ask_for_default(void *context)
{
    struct terrane_region region;
    EXPECT(terrane_region_acquire(NULL, 1, &region) == 0);
    terrane_region_release(&region);
    return context;
}

static void child_asks(void *context)
{
    (void)ask_for_default(context);
}

/* A process without a default space: one thread makes it while another forks. */
static void fork_meanwhile(void *delay_us)
{
    EXPECT(terrane_worker_start() == 0);
    const pthread_t thread = thread_start(ask_for_default, NULL);
    usleep((unsigned)(uintptr_t)delay_us);
    EXPECT(child_run(child_asks, NULL) == 0);
    thread_join(thread);
}

static void test_first_question(void **state)
{
    (void)state;
    for (uintptr_t delay_us = 0; CHILD_STARTS_THREADS && delay_us < 200; delay_us += 4)
        assert_int_equal(child_run(fork_meanwhile, (void *)delay_us), 0);
}

/* ---- private: a copy ---- */

static void use_copy(void *context)
{
    begin_child();
    struct held *held = context;
    struct terrane_region region;
    EXPECT(is_whole(held));
    EXPECT(terrane_region_acquire(held->space, BYTES, &region) == 0);
    contents_write(region.data, BYTES, 1);
    void *object = terrane_heap_alloc(held->heap, LARGE);
    EXPECT(object != NULL);
    contents_write(object, LARGE, 1);
    EXPECT(is_whole(held));
    EXPECT(terrane_region_resize(&held->region, 2 * BYTES) == 0);
    EXPECT(contents_wrong(held->region.data, BYTES, BYTES) == BYTES);
    memset(held->region.data, 1, BYTES);
    memset(held->small, 1, SMALL);
    let_go(held);
    terrane_region_release(&region);
    EXPECT(terrane_space_destroy(held->space) == 0);
}

static void test_private(void **state)
{
    (void)state;
    struct held held = held_in(space_of_backing(TERRANE_BACKING_PRIVATE));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(child_run(use_copy, &held), 0);
        go_on(&held);
    }
    let_go(&held);
    assert_int_equal(terrane_space_destroy(held.space), 0);
}

/* ---- shared: a stranger ---- */

static void refused_regions(struct held *held)
{
    struct terrane_region region = {NULL, 0};
    for (size_t bytes = 1; bytes <= 4 * BYTES; bytes *= 4)
        EXPECT(terrane_region_acquire(held->space, bytes, &region) == -EPERM);
    EXPECT(terrane_region_acquire(held->space, BYTES, &region) == -EPERM);
    EXPECT(region.data == NULL);
    region = held->region;
    EXPECT(terrane_region_resize(&region, 2 * BYTES) == -EPERM);
    EXPECT(terrane_region_resize(&region, BYTES / 2) == -EPERM);
    EXPECT(terrane_region_advise(&region, 0, BYTES, TERRANE_ADVICE_DEAD) == -EPERM);
    EXPECT(region.data == held->region.data && region.capacity == held->region.capacity);
}

static void refused_objects(struct held *held)
{
    const size_t sizes[] = {16, SMALL, 30 * KIB, LARGE, 5 * MIB};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        errno = 0;
        EXPECT(terrane_heap_alloc(held->heap, sizes[i]) == NULL && errno == EPERM);
        errno = 0;
        EXPECT(terrane_heap_alloc_zeroed(held->heap, sizes[i]) == NULL && errno == EPERM);
        errno = 0;
        EXPECT(terrane_heap_alloc_aligned(held->heap, 4096, sizes[i]) == NULL && errno == EPERM);
    }
    errno = 0;
    EXPECT(terrane_heap_resize(held->heap, held->large, 4 * LARGE) == NULL && errno == EPERM);
    EXPECT(terrane_heap_resize(held->heap, held->small, 8 * SMALL) == NULL && errno == EPERM);
    struct terrane_heap *heap;
    EXPECT(terrane_heap_create(held->space, NULL, &heap) == 0);
    EXPECT(terrane_heap_alloc(heap, SMALL) == NULL && errno == EPERM);
}

/* Everything that could take memory from the parent. */
static void take_it_all(struct held *held)
{
    terrane_free(held->small);
    terrane_free(held->large);
    terrane_region_release(&held->region);
    refused_objects(held);
    struct terrane_region region;
    EXPECT(terrane_region_acquire(held->space, BYTES, &region) == -EPERM);
    EXPECT(terrane_space_trim(held->space) == 0);
    (void)terrane_pool_purge(held->space);
    terrane_pool_set_cache(held->space, 64 * MIB);
    terrane_pool_set_decay(held->space, 0);
    usleep(100000); /* a worker of this process would look now */
    EXPECT(terrane_region_acquire(held->space, BYTES, &region) == -EPERM);
    terrane_heap_trim(held->heap);
    terrane_heap_destroy(held->heap);
    EXPECT(terrane_space_destroy(held->space) == 0);
}

static void own_space_works(void)
{
    struct held own = held_in(space_of_backing(TERRANE_BACKING_MEMFD));
    go_on(&own);
    let_go(&own);
    EXPECT(terrane_space_destroy(own.space) == 0);
}

static void look_on(void *context)
{
    begin_child();
    struct held *held = context;
    EXPECT(is_whole(held));
    struct held before = *held;
    refused_regions(held);
    refused_objects(held);
    own_space_works();
    struct terrane_region copy = held->region; /* to a space of its own it may take it along */
    EXPECT(terrane_region_move(&copy, NULL) == 0);
    EXPECT(contents_wrong(copy.data, BYTES, BYTES) == BYTES);
    terrane_region_release(&copy);
    EXPECT(is_whole(&before));
    contents_write(held->large, LARGE, 77); /* the parent sees this */
    before.region.data = NULL;
    *held = before;
    take_it_all(held);
}

static void grandchild_of(void *context)
{
    EXPECT(child_run(look_on, context) == 0);
}

static void test_memfd(void **state)
{
    (void)state;
    struct held held = held_in(space_of_backing(TERRANE_BACKING_MEMFD));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(child_run(i % 2 == 0 ? look_on : grandchild_of, &held), 0);
        assert_contents(held.large, LARGE, 77);
        contents_write(held.large, LARGE, LARGE);
        go_on(&held);
    }
    let_go(&held);
    assert_int_equal(terrane_space_destroy(held.space), 0);
}

/* ---- scratch: nothing there ---- */

static void touch(void *context)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGSEGV, SIG_DFL);
    *(volatile char *)context = 1;
}

static void see_nothing(void *context)
{
    begin_child();
    struct held *held = context;
    refused_regions(held);
    refused_objects(held);
    own_space_works();
    struct terrane_region copy = held->region;
    EXPECT(terrane_region_seal(&copy) == -EPERM);
    EXPECT(terrane_region_move(&copy, NULL) == -EPERM);
    EXPECT(copy.data == held->region.data && copy.capacity == held->region.capacity);
    take_it_all(held);
}

static void test_scratch(void **state)
{
    (void)state;
    struct held held = held_in(space_of_backing(TERRANE_BACKING_SCRATCH));
    void *const places[] = {held.region.data, held.small, held.large};
    for (unsigned i = 0; i < 3; i++) {
        const int status = child_run(touch, places[i]);
        assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(child_run(see_nothing, &held), 0);
        go_on(&held);
    }
    let_go(&held);
    assert_int_equal(terrane_space_destroy(held.space), 0);
}

/* ---- fork in the middle of everything ---- */

#define THREADS 4
#define FORKS   24

static atomic_bool stop;

/* Takes and gives regions of many sizes, with contents that are checked. */
static void churn(struct terrane_space *space, struct seeds *seeds, unsigned rounds)
{
    struct terrane_region regions[8] = {{NULL, 0}};
    for (unsigned i = 0; i < rounds; i++) {
        struct terrane_region *region = &regions[seeds_below(seeds, 8)];
        if (region->data != NULL) {
            const size_t seed = region->capacity;
            EXPECT(contents_wrong(region->data, 4096, seed) == 4096);
            terrane_region_release(region);
        }
        EXPECT(terrane_region_acquire(space, seeds_size(seeds, 20), region) == 0);
        contents_write(region->data, 4096, region->capacity);
    }
    for (unsigned i = 0; i < 8; i++)
        terrane_region_release(&regions[i]);
}

static struct terrane_space *busy_space;

static void *churn_until_stop(void *context)
{
    struct seeds seeds = {(uintptr_t)context};
    while (!atomic_load(&stop))
        churn(busy_space, &seeds, 100);
    return NULL;
}

static void *churn_a_little(void *context)
{
    struct seeds seeds = {(uintptr_t)context};
    churn(busy_space, &seeds, 300);
    return NULL;
}

static void grandchild(void *context)
{
    churn_a_little(context);
}

static void child(void *context)
{
    begin_child();
    churn_a_little(context);
    if (CHILD_STARTS_THREADS)
        thread_run(churn_a_little, context);
    EXPECT(child_run(grandchild, context) == 0);
    (void)terrane_pool_purge(busy_space);
    struct terrane_pool_stats stats;
    terrane_pool_stats(busy_space, &stats);
    EXPECT(stats.total.cached_bytes + stats.total.dirty_bytes <= 64 * MIB);
    terrane_worker_stop();
}

static void fork_among_threads(struct terrane_space *space, void (*function)(void *context))
{
    pthread_t threads[THREADS];
    busy_space = space;
    terrane_pool_set_decay(space, 20);
    atomic_store(&stop, false);
    assert_int_equal(terrane_worker_start(), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = thread_start(churn_until_stop, (void *)(i + 1));
    for (uintptr_t i = 0; i < FORKS; i++)
        assert_int_equal(child_run(function, (void *)(i + 100)), 0);
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_among_threads(void **state)
{
    (void)state;
    fork_among_threads(space_of_backing(TERRANE_BACKING_PRIVATE), child);
}

static void stranger(void *context)
{
    struct terrane_region region;
    EXPECT(terrane_region_acquire(busy_space, 1 + (uintptr_t)context * 4096, &region) == -EPERM);
    begin_child();
    busy_space = NULL;
    churn_a_little(context); /* the default space */
}

/* The parent's threads check what they write: no child may change it. */
static void test_strangers_among_threads(void **state)
{
    (void)state;
    fork_among_threads(space_of_backing(TERRANE_BACKING_MEMFD), stranger);
}

/* Spaces come and go while the process forks: nobody forks in the middle of that. */
static void *spaces_until_stop(void *context)
{
    (void)context;
    while (!atomic_load(&stop)) {
        struct held held = held_in(space_of_backing(TERRANE_BACKING_PRIVATE));
        let_go(&held);
        EXPECT(terrane_space_destroy(held.space) == 0);
    }
    return NULL;
}

static void child_makes_space(void *context)
{
    (void)context;
    begin_child();
    own_space_works();
}

static void test_among_spaces(void **state)
{
    (void)state;
    atomic_store(&stop, false);
    const pthread_t first = thread_start(spaces_until_stop, NULL);
    const pthread_t second = thread_start(spaces_until_stop, NULL);
    for (unsigned i = 0; i < FORKS; i++)
        assert_int_equal(child_run(child_makes_space, NULL), 0);
    atomic_store(&stop, true);
    thread_join(first);
    thread_join(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_question), cmocka_unit_test(test_private),
        cmocka_unit_test(test_memfd),          cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_among_threads),  cmocka_unit_test(test_strangers_among_threads),
        cmocka_unit_test(test_among_spaces),
    };
    return RUN_TESTS(tests);
}
