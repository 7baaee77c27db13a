/* malloc in a thread whose stack is as small as they come. */
#include "malloc_calls.h"
#include "test_threads.h"

#include <limits.h>

static void *allocate(void *context)
{
    for (size_t size = 1; size < (size_t)8 << 20; size *= 2) {
        void *block = hidden(realloc(get_block(size, size), size * 2));
        EXPECT(block != NULL);
        put_block(block, size, size);
        free(hidden(aligned_alloc(8192, size)));
    }
    return context;
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    EXPECT(pthread_attr_init(&attributes) == 0);
    EXPECT(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) == 0);
    for (int i = 0; i < 50; i++) {
        EXPECT(pthread_create(&thread, &attributes, allocate, NULL) == 0);
        thread_join(thread);
    }
    EXPECT(pthread_attr_destroy(&attributes) == 0);
    return 0;
}
