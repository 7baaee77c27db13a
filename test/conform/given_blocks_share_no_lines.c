/* Two threads free blocks that lie side by side because a third one allocated them, and allocate
 * blocks of that size themselves: theirs must not share cache lines, or each would slow the other's
 * writes down. */
#include "malloc_calls.h"
#include "test_threads.h"

#define LINE    64
#define THREADS 2
#define GIVEN   100 /* to each thread */
#define OWN     20

struct worker {
    void *given[GIVEN];
    void *own[OWN];
    size_t size;
};

static struct worker workers[THREADS];
static pthread_barrier_t everyone;

static void *work(void *context)
{
    struct worker *worker = context;
    for (size_t i = 0; i < GIVEN; i++)
        free(worker->given[i]);
    for (size_t i = 0; i < OWN; i++) {
        worker->own[i] = hidden(malloc(worker->size));
        EXPECT(worker->own[i] != NULL);
    }
    pthread_barrier_wait(&everyone); /* none ends, and leaves its memory, before all have some */
    return NULL;
}

static bool share_line(const void *a, const void *b)
{
    return (uintptr_t)a / LINE == (uintptr_t)b / LINE;
}

static void expect_apart(size_t size)
{
    for (size_t i = 0; i < OWN; i++) {
        for (size_t j = 0; j < OWN; j++)
            EXPECT_THAT(!share_line(workers[0].own[i], workers[1].own[j]), "%p and %p of %zu bytes",
                        workers[0].own[i], workers[1].own[j], size);
    }
}

static void try_size(size_t size)
{
    pthread_t threads[THREADS];
    EXPECT(pthread_barrier_init(&everyone, NULL, THREADS) == 0);
    for (size_t i = 0; i < THREADS * GIVEN; i++) {
        void *block = hidden(malloc(size));
        EXPECT(block != NULL);
        workers[i % THREADS].given[i / THREADS] = block;
    }
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].size = size;
        threads[i] = thread_start(work, &workers[i]);
    }
    for (size_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    expect_apart(size);
    for (size_t i = 0; i < THREADS * OWN; i++)
        free(workers[i % THREADS].own[i / THREADS]);
    pthread_barrier_destroy(&everyone);
}

int main(void)
{
    try_size(8);
    try_size(24);
    try_size(40);
    return 0;
}
