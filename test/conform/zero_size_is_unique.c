/* A request for nothing gives a block of its own: not NULL, unlike any other, to be freed. */
#include "malloc_calls.h"

#define EACH  200
#define WAYS  7
#define TOTAL ((size_t)EACH * WAYS)

static void *get_nothing(int way)
{
    void *block = NULL;
    switch (way) {
    case 0:
        return malloc(hidden_size(0));
    case 1:
        return calloc(hidden_size(0), 8);
    case 2:
        return calloc(8, hidden_size(0));
    case 3:
        return realloc(NULL, hidden_size(0));
    case 4:
        return reallocarray(NULL, hidden_size(0), 8);
    case 5:
        return aligned_alloc(64, hidden_size(0));
    default:
        EXPECT(posix_memalign(&block, 64, hidden_size(0)) == 0);
        return block;
    }
}

static int by_address(const void *a, const void *b)
{
    const uintptr_t left = (uintptr_t) * (void *const *)a;
    const uintptr_t right = (uintptr_t) * (void *const *)b;
    return (left > right) - (left < right);
}

int main(void)
{
    static void *blocks[TOTAL];
    for (size_t i = 0; i < TOTAL; i++) {
        blocks[i] = hidden(get_nothing((int)(i % WAYS)));
        EXPECT_THAT(blocks[i] != NULL, "way %zu", i % WAYS);
        EXPECT(is_aligned(blocks[i], MALLOC_ALIGN));
    }
    qsort(blocks, TOTAL, sizeof(blocks[0]), by_address);
    for (size_t i = 1; i < TOTAL; i++)
        EXPECT_THAT(blocks[i - 1] != blocks[i], "%p twice", blocks[i]);
    for (size_t i = 0; i < TOTAL; i++)
        free(blocks[i]);
    return 0;
}
