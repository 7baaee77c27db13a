/* Where no thread can be started, and no handler of fork be registered: regions work, the user is
 * told when he asks, and nobody else tries again and again. */
#include "contents.h"
#include "os/os.h"
#include "pool/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/pool.h>

#include <cmocka.h>

#define BYTES     (4 * TN_MIB)
#define SECOND_NS ((uint64_t)1000000000)

/* ---- the fake system ---- */

static bool refuse_threads = true;
static unsigned starts, registrations;
static uint64_t now_ns = 1000 * SECOND_NS;

int __real_tn_os_thread_start(struct tn_os_thread *thread, tn_os_thread_body *body,
                              const char *name);
int __wrap_tn_os_thread_start(struct tn_os_thread *thread, tn_os_thread_body *body,
                              const char *name);
int __wrap_tn_os_thread_start(struct tn_os_thread *thread, tn_os_thread_body *body,
                              const char *name)
{
    starts++;
    return refuse_threads ? -EAGAIN : __real_tn_os_thread_start(thread, body, name);
}

int __wrap_tn_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_tn_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    (void)prepare, (void)parent, (void)child;
    return ++registrations < 3 ? -ENOMEM : 0;
}

uint64_t __wrap_tn_os_clock_ns(void);
uint64_t __wrap_tn_os_clock_ns(void)
{
    return now_ns;
}

/* ---- tests ---- */

static struct terrane_space *make(void)
{
    struct terrane_space *space;
    const struct terrane_space_options options = {.window_bytes = TN_GIB};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    return space;
}

static void use(struct terrane_space *space, size_t bytes)
{
    struct terrane_region region;
    assert_int_equal(terrane_region_acquire(space, bytes, &region), 0);
    contents_write(region.data, 4096, 1);
    terrane_region_release(&region);
}

static uint64_t warm_bytes(struct terrane_space *space)
{
    struct terrane_pool_stats stats;
    terrane_pool_stats(space, &stats);
    return stats.total.cached_bytes + stats.total.dirty_bytes;
}

static void test_rides_on_calls(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    terrane_pool_set_cache(space, 0);
    for (unsigned i = 0; i < 100; i++)
        use(space, 4 * BYTES);
    assert_int_equal(starts, 1); /* once, and not again */
    assert_true(warm_bytes(space) >= 4 * BYTES);
    now_ns += SECOND_NS;
    for (unsigned i = 0; i < 100; i++) { /* calls that take a lock see that time has passed */
        use(space, TN_BLOCK_BYTES);
        now_ns += SECOND_NS / 20;
    }
    assert_true(warm_bytes(space) <= BYTES);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_asked_for(void **state)
{
    (void)state;
    starts = 0;
    assert_int_equal(terrane_worker_start(), -EAGAIN);
    assert_int_equal(terrane_worker_start(), -EAGAIN);
    assert_int_equal(starts, 2);
    terrane_worker_stop();
    refuse_threads = false;
    assert_int_equal(terrane_worker_start(), 0);
    assert_int_equal(starts, 3);
    terrane_worker_stop();
    assert_int_equal(terrane_worker_start(), 0);
    terrane_worker_stop();
}

/* Registered at last, and then never again. */
static void test_handlers(void **state)
{
    (void)state;
    struct terrane_heap *heap;
    for (unsigned i = 0; i < 10; i++) {
        struct terrane_space *space = make();
        assert_int_equal(terrane_heap_create(space, NULL, &heap), 0);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
    assert_int_equal(registrations, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rides_on_calls),
        cmocka_unit_test(test_asked_for),
        cmocka_unit_test(test_handlers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
