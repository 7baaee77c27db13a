/* Visits: a space that somebody looks at is not destroyed until he has left, its id is not given to
 * another one meanwhile, and visitors that a child of fork does not have keep nothing there. */
#include "process.h"
#include "space/space.h"
#include "test_threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/pool.h>

#include <cmocka.h>

static struct terrane_space *make(void)
{
    struct terrane_space *space;
    const struct terrane_space_options options = {.window_bytes = 16 * TN_MIB};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    return space;
}

static atomic_bool destroyed;

static void *destroy(void *space)
{
    EXPECT(terrane_space_destroy(space) == 0);
    atomic_store(&destroyed, true);
    return NULL;
}

static void wait_until_removed(uint32_t id)
{
    for (unsigned i = 0; tn_space_at(id) != NULL; i++) {
        EXPECT(i < 10000);
        usleep(1000);
    }
}

static void test_destroy_waits(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    const uint32_t id = space->id;
    assert_ptr_equal(tn_space_visit(id), space);
    assert_ptr_equal(tn_space_visit(id), space);
    atomic_store(&destroyed, false);
    const pthread_t thread = thread_start(destroy, space);
    wait_until_removed(id);
    assert_null(tn_space_visit(id)); /* no new visitors */
    struct terrane_space *other = make();
    assert_int_not_equal(other->id, id);
    tn_space_leave(id);
    usleep(50000);
    assert_false(atomic_load(&destroyed));
    assert_int_equal(space->block_count, 16 * TN_MIB >> TN_BLOCK_SHIFT); /* still there */
    tn_space_leave(id);
    thread_join(thread);
    assert_true(atomic_load(&destroyed));
    assert_int_equal(terrane_space_destroy(other), 0);
}

/* ---- fork ---- */

static atomic_bool visiting, finished;

static void *visit_until_finished(void *space)
{
    const uint32_t id = ((struct terrane_space *)space)->id;
    EXPECT(tn_space_visit(id) == space);
    atomic_store(&visiting, true);
    while (!atomic_load(&finished))
        usleep(1000);
    tn_space_leave(id);
    return NULL;
}

static void destroy_in_child(void *space)
{
    EXPECT(terrane_space_destroy(space) == 0);
}

static void test_child_is_alone(void **state)
{
    (void)state;
    struct terrane_space *space = make();

    tn_atfork_need();
    const pthread_t thread = thread_start(visit_until_finished, space);
    while (!atomic_load(&visiting))
        usleep(1000);
    assert_int_equal(child_run(destroy_in_child, space), 0);
    atomic_store(&finished, true);
    thread_join(thread);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* ---- many ---- */

#define SPACES 300

static atomic_bool stop;

static void *visit_all(void *context)
{
    (void)context;
    while (!atomic_load(&stop)) {
        for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
            const struct terrane_space *space = tn_space_visit(id);
            if (space == NULL)
                continue;
            EXPECT(space->id == id && space->block_count == 16 * TN_MIB >> TN_BLOCK_SHIFT);
            tn_space_leave(id);
        }
    }
    return NULL;
}

/* Touches all spaces, too. */
static void *limit_all(void *context)
{
    (void)context;
    while (!atomic_load(&stop)) {
        terrane_pool_set_process_limit(TN_GIB);
        terrane_pool_set_process_limit(0);
    }
    return NULL;
}

static void test_births_and_deaths(void **state)
{
    (void)state;
    const pthread_t threads[] = {
        thread_start(visit_all, NULL),
        thread_start(visit_all, NULL),
        thread_start(limit_all, NULL),
    };
    for (unsigned i = 0; i < SPACES; i++)
        assert_int_equal(terrane_space_destroy(make()), 0);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < TN_ARRAY_COUNT(threads); i++)
        thread_join(threads[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destroy_waits),
        cmocka_unit_test(test_child_is_alone),
        cmocka_unit_test(test_births_and_deaths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
