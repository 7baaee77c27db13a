/* realloc keeps the contents up to the smaller size, from every size to every other, across all
 * classes and the border to large blocks; in long growth and in arrays that grow in turn. */
#include "malloc_calls.h"

#define SIZES_MAX 200
#define ARRAYS    4

static size_t sizes[SIZES_MAX];
static size_t sizes_count;

static void *resized(void *block, size_t from, size_t to, uint64_t seed)
{
    void *moved = hidden(realloc(block, hidden_size(to)));
    EXPECT_THAT(moved != NULL, "realloc from %zu to %zu", from, to);
    EXPECT_THAT(is_aligned(moved, MALLOC_ALIGN), "%p", moved);
    EXPECT(malloc_usable_size(moved) >= to);
    const size_t kept = from < to ? from : to;
    EXPECT_THAT(contents_intact(moved, kept, seed), "from %zu to %zu, wrong from %zu on", from, to,
                contents_wrong(moved, kept, seed));
    contents_write_range(moved, kept, to, seed);
    return moved;
}

static void every_pair(void)
{
    for (size_t from = 0; from < sizes_count; from++) {
        for (size_t to = 0; to < sizes_count; to++) {
            const uint64_t seed = from * SIZES_MAX + to;
            void *block = get_block(sizes[from], seed);
            block = resized(block, sizes[from], sizes[to], seed);
            block = resized(block, sizes[to], sizes[from], seed);
            put_block(block, sizes[to] < sizes[from] ? sizes[to] : sizes[from], seed);
        }
    }
}

static void in_turn(size_t step, size_t limit)
{
    void *arrays[ARRAYS] = {NULL};
    size_t size = 0;
    while (size < limit) {
        const size_t next = size + step;
        for (size_t i = 0; i < ARRAYS; i++) {
            arrays[i] = hidden(realloc(arrays[i], next));
            EXPECT(arrays[i] != NULL);
            contents_write_range(arrays[i], size, next, i);
        }
        size = next;
    }
    for (size_t i = 0; i < ARRAYS; i++)
        put_block(arrays[i], size, i);
}

static void grow_and_shrink_slowly(void)
{
    void *block = get_block(1, 5);
    size_t size = 1;
    while (size < (size_t)20 << 20) {
        const size_t next = size + size / 16 + 1;
        block = resized(block, size, next, 5);
        size = next;
    }
    while (size > 1) {
        const size_t next = size - size / 16 - 1;
        block = resized(block, size, next, 5);
        size = next;
    }
    free(block);
}

int main(void)
{
    sizes[sizes_count++] = 1;
    for (size_t power = 16; power <= (size_t)1 << 20; power *= 2) {
        sizes[sizes_count++] = power - 1;
        sizes[sizes_count++] = power;
        sizes[sizes_count++] = power + 1;
        sizes[sizes_count++] = power + power / 2;
    }
    sizes[sizes_count++] = (size_t)5 << 20;
    every_pair();
    grow_and_shrink_slowly();
    in_turn(24, 20000);
    in_turn(4096, (size_t)8 << 20);
    in_turn(65536, (size_t)32 << 20);
    return 0;
}
