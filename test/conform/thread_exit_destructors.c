/* Destructors of thread-specific data and of C++ thread_local objects allocate, resize and free, in
 * every round of destructors, also after the malloc's own has run; and some threads call malloc for
 * the very first time there. */
#include "malloc_calls.h"
#include "test_threads.h"

#include <limits.h>

#define THREADS 300

/* What the C++ compiler calls for a thread_local object with a destructor. */
extern int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *library);
extern char __dso_handle __attribute__((visibility("hidden")));

struct life {
    int rounds;
    void *block; /* 1000 bytes, seeded by rounds */
};

static pthread_key_t early_key, late_key;
static __thread struct life life;
static int destructions;

static void in_destructor(struct life *mine)
{
    if (mine->block != NULL)
        put_block(mine->block, 1000, (uint64_t)mine->rounds);
    mine->rounds++;
    void *other = get_block(40, 7);
    mine->block = get_block(1000, (uint64_t)mine->rounds);
    other = hidden(realloc(other, 100000));
    EXPECT(other != NULL);
    put_block(other, 40, 7);
    __atomic_add_fetch(&destructions, 1, __ATOMIC_RELAXED);
}

/* Comes back in each round that POSIX promises; the last one gives the block up. */
static void destroy(pthread_key_t key, struct life *mine)
{
    in_destructor(mine);
    if (mine->rounds < 2 * PTHREAD_DESTRUCTOR_ITERATIONS - 1) {
        EXPECT(pthread_setspecific(key, mine) == 0);
        return;
    }
    if (mine->block != NULL)
        put_block(mine->block, 1000, (uint64_t)mine->rounds);
    mine->block = NULL;
}

static void early_destroy(void *context)
{
    destroy(early_key, context);
}

static void late_destroy(void *context)
{
    destroy(late_key, context);
}

static void object_destroy(void *context)
{
    free(context);
    free(get_block(300, 1));
}

static void *set_keys(void *context)
{
    const bool allocates_first = context != NULL;
    if (allocates_first) {
        void *object = get_block(80, 1);
        EXPECT(__cxa_thread_atexit_impl(object_destroy, object, &__dso_handle) == 0);
    }
    EXPECT(pthread_setspecific(early_key, &life) == 0);
    EXPECT(pthread_setspecific(late_key, &life) == 0);
    return NULL;
}

int main(void)
{
    EXPECT(pthread_key_create(&early_key, early_destroy) == 0);
    free(get_block(10, 1)); /* by now the malloc has a key, if it wants one */
    EXPECT(pthread_key_create(&late_key, late_destroy) == 0);
    for (int i = 0; i < THREADS; i++)
        thread_run(set_keys, i % 2 == 0 ? &early_key : NULL);
    EXPECT_THAT(destructions >= THREADS * PTHREAD_DESTRUCTOR_ITERATIONS, "%d", destructions);
    return 0;
}
