/* malloc_usable_size: at least what was asked for, at most a quarter or a page more, the same each
 * time, all of it writable without harm to others, and all of it kept by realloc. 0 for NULL. */
#include "malloc_calls.h"

#define NEIGHBOURS 40

static void expect_tight(size_t asked, size_t usable)
{
    EXPECT_THAT(usable >= asked, "%zu for %zu", usable, asked);
    const size_t slack = asked / 4 > 4096 ? 4096 : asked / 4;
    EXPECT_THAT(usable <= asked + (slack < 16 ? 16 : slack), "%zu for %zu", usable, asked);
}

/* All of every neighbour is written to its very end before any is looked at. */
static void whole_block_is_mine(size_t size)
{
    void *blocks[NEIGHBOURS];
    const size_t count = size > 100000 ? 4 : NEIGHBOURS;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = hidden(malloc(hidden_size(size)));
        EXPECT(blocks[i] != NULL);
        expect_tight(size, malloc_usable_size(blocks[i]));
        contents_write(blocks[i], malloc_usable_size(blocks[i]), i);
    }
    for (size_t i = 0; i < count; i++) {
        const size_t usable = malloc_usable_size(blocks[i]);
        EXPECT_INTACT(blocks[i], usable, i);
        void *same = hidden(realloc(blocks[i], usable));
        EXPECT(same != NULL);
        put_block(same, usable, i);
    }
}

int main(void)
{
    EXPECT(malloc_usable_size(NULL) == 0);
    for (size_t size = 0; size <= 70000; size += size / 64 + 1)
        whole_block_is_mine(size);
    for (size_t size = 70000; size <= (size_t)32 << 20; size += size / 2 + 12345)
        whole_block_is_mine(size);
    return 0;
}
