/* The deque among real threads: the owner pushes and pops at random, thieves steal, and every
 * element is taken by exactly one of them. What an element stands for is written before it is
 * pushed and read after it is taken, without atomics: the thread sanitizer sees it if the deque
 * does not order the two. */
#include "pool/deque.h"
#include "seeds.h"
#include "test_threads.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define THIEVES  3
#define ELEMENTS 300000u
#define BURST    (UINT64_C(2) * TN_DEQUE_SLOTS) /* pushes or pops in a row, less one */

static struct tn_deque deque;
static uint32_t meaning[ELEMENTS];      /* of an element; plain */
static _Atomic uint8_t taken[ELEMENTS]; /* how often */
static _Atomic bool closed;             /* the owner has ended */
static _Atomic uint64_t stolen;

static void element_take(uint32_t element)
{
    EXPECT(element < ELEMENTS);
    EXPECT_THAT(meaning[element] == ~element, "element %u means %u", element, meaning[element]);
    meaning[element] = 0;
    EXPECT(atomic_fetch_add(&taken[element], 1) == 0);
}

/* Elements arrive at a thief in the order in which they were pushed. */
static void *steal_all(void *context)
{
    (void)context;
    uint32_t element = 0;
    uint64_t count = 0;
    int64_t last = -1;
    for (;;) {
        const bool last_round = closed;
        const enum tn_steal got = tn_deque_steal(&deque, &element);
        if (got == TN_STEAL_TAKEN) {
            EXPECT_THAT(element > last, "%u after %lld", element, (long long)last);
            last = element;
            element_take(element);
            count++;
        } else if (got == TN_STEAL_EMPTY && last_round) {
            break;
        }
    }
    stolen += count;
    return NULL;
}

/* One round of the owner: some pushes, then some pops, the newest first. Returns the next element.
 */
static uint32_t own_some(struct seeds *seeds, uint32_t next)
{
    uint32_t element = 0, before = UINT32_MAX;
    const uint64_t pushes = seeds_below(seeds, BURST);
    for (uint64_t i = 0; i < pushes && next < ELEMENTS; i++) {
        meaning[next] = ~next;
        if (!tn_deque_push(&deque, next))
            break;
        next++;
    }
    for (uint64_t pops = seeds_below(seeds, BURST); pops > 0 && next < ELEMENTS; pops--) {
        if (!tn_deque_pop(&deque, &element))
            break;
        EXPECT_THAT(element < before, "%u after %u", element, before);
        before = element;
        element_take(element);
    }
    return next;
}

static void test_each_is_taken_once(void **state)
{
    (void)state;
    struct seeds seeds = {seeds_announce("deque_threads")};
    pthread_t thieves[THIEVES];
    for (unsigned i = 0; i < THIEVES; i++)
        thieves[i] = thread_start(steal_all, NULL);
    for (uint32_t next = 0; next < ELEMENTS;)
        next = own_some(&seeds, next);
    closed = true;
    for (unsigned i = 0; i < THIEVES; i++)
        thread_join(thieves[i]);
    for (uint32_t element = 0; element < ELEMENTS; element++)
        assert_int_equal(taken[element], 1);
    assert_int_equal(tn_deque_count(&deque), 0);
    printf("deque_threads: %llu of %u stolen\n", (unsigned long long)stolen, ELEMENTS);
    assert_true(stolen > 0);
}

/* Alone, the owner finds a stack, and thieves a queue, as large as there are slots. */
static void test_order_and_bounds(void **state)
{
    (void)state;
    struct tn_deque own = {0};
    uint32_t element = 0;
    assert_false(tn_deque_pop(&own, &element));
    assert_int_equal(tn_deque_steal(&own, &element), TN_STEAL_EMPTY);
    for (uint32_t round = 0; round < 3 * TN_DEQUE_SLOTS; round++) {
        for (uint32_t i = 0; i < TN_DEQUE_SLOTS; i++)
            assert_true(tn_deque_push(&own, round + i));
        assert_false(tn_deque_push(&own, 0));
        assert_int_equal(tn_deque_count(&own), TN_DEQUE_SLOTS);
        assert_int_equal(tn_deque_steal(&own, &element), TN_STEAL_TAKEN);
        assert_int_equal(element, round);
        for (uint32_t i = TN_DEQUE_SLOTS - 1; i > 0; i--) {
            assert_true(tn_deque_pop(&own, &element));
            assert_int_equal(element, round + i);
        }
        assert_false(tn_deque_pop(&own, &element));
        assert_int_equal(tn_deque_count(&own), 0);
    }
}

/* The owner of the parent was frozen by fork after it had taken the last element and before it put
 * bottom back. */
static void test_adopted_after_fork(void **state)
{
    (void)state;
    struct tn_deque frozen = {.top = 5, .bottom = 4};
    uint32_t element = 0;
    assert_int_equal(tn_deque_steal(&frozen, &element), TN_STEAL_EMPTY);
    assert_int_equal(tn_deque_count(&frozen), 0);
    tn_deque_adopt(&frozen);
    assert_true(tn_deque_push(&frozen, 7));
    assert_int_equal(tn_deque_count(&frozen), 1);
    tn_deque_adopt(&frozen);
    assert_true(tn_deque_pop(&frozen, &element));
    assert_int_equal(element, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_taken_once),
        cmocka_unit_test(test_order_and_bounds),
        cmocka_unit_test(test_adopted_after_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
