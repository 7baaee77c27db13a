/* _Fork runs no handlers of pthread_atfork. Its child in a single-threaded process can allocate and
 * free; in a threaded one it may call what a signal handler may, and the parent is not disturbed.
 */
#include "malloc_calls.h"
#include "process.h"
#include "test_threads.h"

#include <stdatomic.h>

static atomic_bool stop;

static void *allocate_until_stop(void *context)
{
    while (!atomic_load(&stop))
        put_block(get_block(3000, 2), 3000, 2);
    return context;
}

static void single_threaded(void)
{
    void *inherited = get_block(5000, 3);
    for (int i = 0; i < 20; i++) {
        const pid_t pid = _Fork();
        EXPECT(pid >= 0);
        if (pid == 0) {
            alarm(CHILD_SECONDS);
            put_block(inherited, 5000, 3);
            for (size_t size = 1; size < 1000000; size *= 2)
                put_block(get_block(size, size), size, size);
            _Exit(0);
        }
        EXPECT_CHILD_PASSED(pid);
    }
    put_block(inherited, 5000, 3);
}

static void threaded(void)
{
    const pthread_t thread = thread_start(allocate_until_stop, NULL);
    for (int i = 0; i < 50; i++) {
        const pid_t pid = _Fork();
        EXPECT(pid >= 0);
        if (pid == 0)
            _exit(0);
        put_block(get_block(100, 4), 100, 4);
        EXPECT_CHILD_PASSED(pid);
    }
    atomic_store(&stop, true);
    thread_join(thread);
}

int main(void)
{
    single_threaded();
    threaded();
    return 0;
}
