/* The old aligned calls. memalign rounds an alignment that is no power of two up to one, as the C
 * library does; valloc aligns to a page; pvalloc rounds the size up to whole pages too. */
#include "malloc_calls.h"

#include <unistd.h>

static void memalign_rounds_up(void)
{
    for (size_t align = 0; align <= 5000; align += align / 7 + 1) {
        size_t power = 1;
        while (power < align)
            power *= 2;
        void *block = hidden(memalign(hidden_size(align), 700));
        EXPECT_THAT(block != NULL, "memalign(%zu)", align);
        EXPECT_THAT(is_aligned(block, power), "memalign(%zu) gave %p", align, block);
        contents_write(block, 700, align);
        put_block(block, 700, align);
    }
    errno = 0;
    EXPECT(hidden(memalign(hidden_size(SIZE_MAX), 8)) == NULL && errno == EINVAL);
}

static void whole_pages(size_t page)
{
    for (size_t size = 0; size < 1000000; size = size * 2 + 1) {
        void *block = hidden(valloc(hidden_size(size)));
        EXPECT_THAT(block != NULL && is_aligned(block, page), "valloc(%zu) gave %p", size, block);
        contents_write(block, size, size);
        put_block(block, size, size);
        block = hidden(pvalloc(hidden_size(size)));
        EXPECT_THAT(block != NULL && is_aligned(block, page), "pvalloc(%zu) gave %p", size, block);
        const size_t whole = (size + page - 1) / page * page;
        EXPECT(malloc_usable_size(block) >= whole);
        contents_write(block, whole, size);
        put_block(block, whole, size);
    }
}

int main(void)
{
    memalign_rounds_up();
    whole_pages((size_t)sysconf(_SC_PAGESIZE));
    return 0;
}
