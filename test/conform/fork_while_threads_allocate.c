/* fork in a process whose other threads are inside malloc at that moment: the child can allocate,
 * free what it inherited (from any thread), start threads and fork again; contents of both stay
 * apart. Handlers of pthread_atfork may allocate too. */
#include "malloc_calls.h"
#include "process.h"
#include "seeds.h"
#include "test_threads.h"

#include <stdatomic.h>

#define THREADS 4
#define FORKS   60
#define SLOTS   64
#define SIZE    700

static atomic_bool stop;
static void *inherited[SLOTS];

static void churn(struct seeds *seeds, unsigned rounds)
{
    void *blocks[32] = {NULL};
    size_t sizes[32];
    for (unsigned i = 0; i < rounds; i++) {
        const size_t slot = (size_t)seeds_below(seeds, 32);
        if (blocks[slot] != NULL)
            put_block(blocks[slot], sizes[slot], slot);
        sizes[slot] = seeds_size(seeds, 18);
        blocks[slot] = get_block(sizes[slot], slot);
    }
    for (size_t slot = 0; slot < 32; slot++) {
        if (blocks[slot] != NULL)
            put_block(blocks[slot], sizes[slot], slot);
    }
}

static void *allocate_until_stop(void *context)
{
    struct seeds seeds = {(uintptr_t)context};
    while (!atomic_load(&stop))
        churn(&seeds, 100);
    return NULL;
}

static void *allocate_a_little(void *context)
{
    struct seeds seeds = {(uintptr_t)context};
    churn(&seeds, 200);
    return NULL;
}

static void handler_allocates(void)
{
    free(get_block(100, 1));
}

static void grandchild(void *context)
{
    allocate_a_little(context);
}

static void child(void *context)
{
    struct seeds seeds = {(uintptr_t)context};
    for (size_t i = 0; i < SLOTS; i++)
        put_block(inherited[i], SIZE, i);
    churn(&seeds, 300);
    thread_run(allocate_a_little, context);
    const int status = child_run(grandchild, context);
    EXPECT_THAT(status == 0, "grandchild's wait status 0x%x", (unsigned)status);
}

static void *inherit(void *context)
{
    const size_t first = (size_t)(uintptr_t)context;
    for (size_t i = first; i < SLOTS; i += 2)
        inherited[i] = get_block(SIZE, i);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    EXPECT(pthread_atfork(handler_allocates, handler_allocates, handler_allocates) == 0);
    inherit((void *)0);
    thread_run(inherit, (void *)1);
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = thread_start(allocate_until_stop, (void *)(i + 1));
    for (uintptr_t i = 0; i < FORKS; i++) {
        const int status = child_run(child, (void *)(i + 100));
        EXPECT_THAT(status == 0, "child %lu: wait status 0x%x", (unsigned long)i, (unsigned)status);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    for (size_t i = 0; i < SLOTS; i++)
        put_block(inherited[i], SIZE, i);
    return 0;
}
