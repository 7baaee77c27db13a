/* Thousands of threads, one after the other and in crowds, leave nothing behind: what a thread kept
 * for itself serves later ones, also when its blocks are freed by others after its end, and when it
 * called malloc first in a destructor. Resident memory and mappings stay bounded. */
#include "malloc_calls.h"
#include "process.h"
#include "test_threads.h"

#define WARM_UP 400
#define THREADS 6000
#define CROWD   40
#define LEFT    8

static pthread_key_t key;

static void touch_many_sizes(void)
{
    void *blocks[40];
    size_t size = 16;
    for (size_t i = 0; i < 40; i++, size += size / 4)
        blocks[i] = get_block(size, i);
    size = 16;
    for (size_t i = 0; i < 40; i++, size += size / 4)
        put_block(blocks[i], size, i);
}

static void at_exit_of_thread(void *context)
{
    (void)context;
    touch_many_sizes();
}

static void *only_at_exit(void *context)
{
    EXPECT(pthread_setspecific(key, &key) == 0);
    return context;
}

/* Its blocks outlive it. */
static void *leave_blocks(void *context)
{
    void **left = context;
    touch_many_sizes();
    for (size_t i = 0; i < LEFT; i++)
        left[i] = get_block((size_t)200 << i, i);
    return NULL;
}

static void crowd(void)
{
    pthread_t threads[CROWD];
    static void *left[CROWD][LEFT];
    for (size_t i = 0; i < CROWD; i++)
        threads[i] = thread_start(leave_blocks, left[i]);
    for (size_t i = 0; i < CROWD; i++)
        thread_join(threads[i]);
    for (size_t i = 0; i < CROWD; i++) {
        for (size_t j = 0; j < LEFT; j++)
            put_block(left[i][j], (size_t)200 << j, j);
    }
}

static void *nothing(void *context)
{
    return context;
}

static void many(int count)
{
    for (int i = 0; i < count; i += CROWD) {
        crowd();
        thread_run(only_at_exit, NULL);
        thread_run(nothing, NULL);
    }
}

int main(void)
{
    EXPECT(pthread_key_create(&key, at_exit_of_thread) == 0);
    many(WARM_UP);
    const size_t resident = resident_bytes();
    const size_t mappings = mappings_count();
    many(THREADS);
    /* A heap for each thread of a crowd, however many happened to run at once in the warm-up. */
    EXPECT_THAT(resident_bytes() < resident + (size_t)CROWD * (512 << 10), "from %zu to %zu",
                resident, resident_bytes());
    EXPECT_THAT(mappings_count() < mappings + 50, "from %zu to %zu", mappings, mappings_count());
    return 0;
}
