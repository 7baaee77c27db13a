/* Locks: mutual exclusion among threads that spin and that sleep, and the checks of their ranks,
 * which debug builds make. */
#include "os/lock.h"
#include "process.h"
#include "test_threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>

#include <cmocka.h>

#define THREADS 8
#define ROUNDS  20000

static struct tn_lock low = TN_LOCK_INIT(TN_RANK_HEAPS);
static struct tn_lock middle = TN_LOCK_INIT(TN_RANK_HEAP);
static struct tn_lock high = TN_LOCK_INIT(TN_RANK_SPACE);
static struct tn_lock high_peer = TN_LOCK_INIT(TN_RANK_SPACE);

/* ---- mutual exclusion ---- */

/* Guarded by `middle`, and not atomic: without exclusion additions are lost. */
static uint64_t shared_count;
static bool inside;

static void *add_many(void *context)
{
    const unsigned long self = (unsigned long)(uintptr_t)context;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i % 3 != 0 || !tn_lock_try(&middle))
            tn_lock_acquire(&middle);
        EXPECT(!inside);
        inside = true;
        shared_count++;
        if (self == 0 && i % 2000 == 0)
            usleep(2000); /* longer than anyone spins, so that the others sleep and are woken */
        inside = false;
        tn_lock_release(&middle);
    }
    return NULL;
}

static void test_exclusion(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = thread_start(add_many, (void *)i);
    for (unsigned i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    assert_int_equal(shared_count, (uint64_t)THREADS * ROUNDS);
    assert_int_equal(middle.state, 0);
}

static void *try_once(void *context)
{
    struct tn_lock *lock = context;
    const bool taken = tn_lock_try(lock);
    if (taken)
        tn_lock_release(lock);
    return taken ? lock : NULL;
}

static void test_try(void **state)
{
    (void)state;
    tn_lock_acquire(&middle);
    assert_null(thread_run(try_once, &middle));
    tn_lock_release(&middle);
    assert_non_null(thread_run(try_once, &middle));
    assert_true(tn_lock_try(&middle));
    assert_null(thread_run(try_once, &middle));
    tn_lock_release(&middle);
}

/* ---- ranks ---- */

static void rising(void *context)
{
    (void)context;
    tn_lock_acquire(&low);
    tn_lock_acquire(&middle);
    tn_lock_acquire(&high);
    tn_lock_fork_take(&high_peer); /* as fork does */
    tn_lock_fork_give(&high_peer);
    tn_lock_release(&low); /* in any order */
    tn_lock_release(&high);
    tn_lock_release(&middle);
    tn_lock_acquire(&low);
    tn_lock_release(&low);
}

static void falling(void *context)
{
    (void)context;
    tn_lock_acquire(&high);
    tn_lock_acquire(&low);
}

static void falling_by_try(void *context)
{
    (void)context;
    tn_lock_acquire(&high);
    (void)tn_lock_try(&middle);
}

static void same_rank(void *context)
{
    (void)context;
    tn_lock_acquire(&high);
    tn_lock_acquire(&high_peer);
}

static void not_held(void *context)
{
    (void)context;
    tn_lock_acquire(&low);
    tn_lock_release(&high);
}

struct crime {
    void (*commit)(void *context);
    int output;
};

static void commit_crime(void *context)
{
    const struct crime *crime = context;
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(crime->output, STDERR_FILENO);
    crime->commit(NULL);
}

/* Wait status of a child that runs `commit`, and what it said. */
static int said(void (*commit)(void *context), char *text, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct crime crime = {commit, ends[1]};
    const int status = child_run(commit_crime, &crime);
    close(ends[1]);
    const ssize_t got = read(ends[0], text, size - 1);
    close(ends[0]);
    assert_true(got >= 0);
    text[got] = '\0';
    return status;
}

static void test_right_order(void **state)
{
    (void)state;
    char text[512];
    assert_int_equal(said(rising, text, sizeof(text)), 0);
    assert_string_equal(text, "");
}

static void test_wrong_order(void **state)
{
    (void)state;
#ifdef TN_DEBUG
    void (*const crimes[])(void *) = {falling, falling_by_try, same_rank, not_held};
    for (size_t i = 0; i < sizeof(crimes) / sizeof(crimes[0]); i++) {
        char text[512];
        const int status = said(crimes[i], text, sizeof(text));
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        assert_non_null(strstr(text, "terrane: broken invariant: "));
        assert_non_null(strstr(text, "ranks_held"));
    }
#else
    (void)falling, (void)falling_by_try, (void)same_rank, (void)not_held;
    print_message("ranks are checked in debug builds only\n");
    skip();
#endif
}

/* What one thread holds is no other's order. */
static void test_ranks_of_threads(void **state)
{
    (void)state;
    tn_lock_acquire(&high);
    assert_non_null(thread_run(try_once, &low));
    tn_lock_release(&high);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exclusion),        cmocka_unit_test(test_try),
        cmocka_unit_test(test_right_order),      cmocka_unit_test(test_wrong_order),
        cmocka_unit_test(test_ranks_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
