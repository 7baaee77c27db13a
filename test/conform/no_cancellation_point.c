/* The family holds no cancellation point: a thread with a cancellation pending gets through all of
 * it, and ends at the first real one. */
#include "malloc_calls.h"
#include "test_threads.h"

#include <unistd.h>

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

int main(void)
{
    bool passed = false;
    EXPECT(thread_run(cancelled_thread, &passed) == PTHREAD_CANCELED);
    EXPECT(passed);
    return 0;
}
