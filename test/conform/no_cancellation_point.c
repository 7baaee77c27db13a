/* The family holds no cancellation point: a thread with a cancellation pending gets through all of
 * it, and ends at the first real one. */
#include "malloc_calls.h"
#include "test_threads.h"

#include <stdatomic.h>
#include <unistd.h>

struct early {
    _Atomic bool cancelled;
    bool passed;
};

static void *cancelled_thread(void *context)
{
    bool *passed = context;
    EXPECT(pthread_cancel(pthread_self()) == 0);
    for (size_t size = 1; size < (size_t)100 << 20; size *= 3) {
        void *block = hidden(realloc(hidden(malloc(size)), size * 2));
        void *aligned = hidden(aligned_alloc(4096, size));
        free(hidden(calloc(3, size)));
        free(aligned);
        free(block);
    }
    malloc_trim(0);
    *passed = true;
    pthread_testcancel();
    return NULL;
}

/* What it calls first, it calls cancelled: its heap is made then, as no other thread has left one.
 */
static void *cancelled_early(void *context)
{
    struct early *early = context;
    while (!atomic_load(&early->cancelled))
        continue;
    free(hidden(malloc(hidden_size(100))));
    early->passed = true;
    pthread_testcancel();
    return NULL;
}

int main(void)
{
    struct early early = {.passed = false};
    const pthread_t thread = thread_start(cancelled_early, &early);
    EXPECT(pthread_cancel(thread) == 0);
    atomic_store(&early.cancelled, true);
    EXPECT(thread_join(thread) == PTHREAD_CANCELED);
    EXPECT(early.passed);
    bool passed = false;
    EXPECT(thread_run(cancelled_thread, &passed) == PTHREAD_CANCELED);
    EXPECT(passed);
    return 0;
}
