/* The id of a space that is being destroyed stays taken until its destroyer has woken: he would
 * take the visitors of the next space of that id for those that he waits for, and nobody would wake
 * him when they leave. */
#include "os/os.h"
#include "space/space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint32_t visited = UINT32_MAX; /* id of the space that somebody looks at */
static struct terrane_space *next;

static struct terrane_space *make(void)
{
    struct terrane_space *space;
    const struct terrane_space_options options = {.window_bytes = 16 * TN_MIB};
    assert_int_equal(terrane_space_create(&options, &space), 0);
    return space;
}

/* The visitor leaves and another space is made, after the destroyer has looked and before he
 * sleeps. */
void __real_tn_os_wait(const _Atomic uint32_t *word, uint32_t expected_value);
void __wrap_tn_os_wait(const _Atomic uint32_t *word, uint32_t expected_value);
void __wrap_tn_os_wait(const _Atomic uint32_t *word, uint32_t expected_value)
{
    const uint32_t id = visited;
    visited = UINT32_MAX;
    if (id != UINT32_MAX) {
        tn_space_leave(id);
        next = make();
        assert_int_not_equal(next->id, id);
    }
    __real_tn_os_wait(word, expected_value);
}

static void test_id_stays_taken(void **state)
{
    (void)state;
    struct terrane_space *space = make();
    const uint32_t id = space->id;
    assert_ptr_equal(tn_space_visit(id), space);
    visited = id;
    assert_int_equal(terrane_space_destroy(space), 0);
    assert_non_null(next);
    struct terrane_space *last = make();
    assert_int_equal(last->id, id); /* free again */
    assert_int_equal(terrane_space_destroy(last), 0);
    assert_int_equal(terrane_space_destroy(next), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_id_stays_taken)};
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
