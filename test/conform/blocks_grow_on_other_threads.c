/* Large blocks that one thread allocated are resized and freed by another while the first goes on
 * allocating: contents are kept, and in an audit build the first thread's audits find its heap in
 * order at any moment. */
#include "malloc_calls.h"
#include "test_threads.h"

#include <stdatomic.h>

#define PLACES 16
#define ROUNDS 20000
#define SMALL  64

static void *_Atomic places[PLACES];
static _Atomic bool done;

static void *grow(void *unused)
{
    static const size_t sizes[] = {200000, 500000, 70000};
    for (size_t i = 0; !done; i++) {
        void *block = atomic_exchange(&places[i % PLACES], NULL);
        if (block == NULL)
            continue;
        for (size_t step = 0; step < sizeof(sizes) / sizeof(sizes[0]); step++) {
            block = hidden(realloc(block, sizes[step]));
            EXPECT(block != NULL);
        }
        put_block(block, 70000, 1);
    }
    return unused;
}

int main(void)
{
    const pthread_t grower = thread_start(grow, NULL);
    for (size_t round = 0; round < ROUNDS; round++) {
        if (places[round % PLACES] == NULL)
            places[round % PLACES] = get_block(70000, 1);
        void *small[SMALL]; /* an audit build looks at the heap every so many refills */
        for (size_t i = 0; i < SMALL; i++)
            small[i] = hidden(malloc(2000));
        for (size_t i = 0; i < SMALL; i++)
            free(small[i]);
    }
    done = true;
    thread_join(grower);
    for (size_t i = 0; i < PLACES; i++)
        free(places[i]);
    return 0;
}
