/* aligned_alloc: any power of two with any size, multiple or not; what is no power of two is
 * refused with NULL and EINVAL. Alignments up to 1 GiB, and contents like any other block's. */
#include "malloc_calls.h"

#define ALIGN_MAX ((size_t)1 << 30)

static void *get_aligned(size_t align, size_t size)
{
    void *block = hidden(aligned_alloc(hidden_size(align), hidden_size(size)));
    EXPECT_THAT(block != NULL, "aligned_alloc(%zu, %zu)", align, size);
    EXPECT_THAT(is_aligned(block, align), "aligned_alloc(%zu, %zu) gave %p", align, size, block);
    EXPECT(is_aligned(block, MALLOC_ALIGN));
    EXPECT(malloc_usable_size(block) >= size);
    return block;
}

static void powers_of_two(void)
{
    static const size_t wanted[] = {0, 1, 7, 24, 100, 1000, 4096, 5000, 40000, 70000, 300000};
    for (size_t align = 1; align <= (size_t)4 << 20; align *= 2) {
        void *blocks[sizeof(wanted) / sizeof(wanted[0])];
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
            blocks[i] = get_aligned(align, wanted[i]);
            contents_write(blocks[i], wanted[i], align + i);
        }
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
            put_block(blocks[i], wanted[i], align + i);
    }
}

static void very_large_alignments(void)
{
    for (size_t align = (size_t)8 << 20; align <= ALIGN_MAX; align *= 2) {
        void *block = get_aligned(align, 200);
        contents_write(block, 200, align);
        put_block(block, 200, align);
    }
}

static void others_are_refused(void)
{
    static const size_t bad[] = {0, 3, 5, 6, 7, 9, 12, 15, 17, 24, 48, 65, 100, 1000, 4095, 4097};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        errno = 0;
        void *block = hidden(aligned_alloc(hidden_size(bad[i]), 240));
        EXPECT_THAT(block == NULL && errno == EINVAL, "aligned_alloc(%zu) gave %p", bad[i], block);
    }
    errno = 0;
    EXPECT(hidden(aligned_alloc(hidden_size(SIZE_MAX), 1)) == NULL && errno == EINVAL);
    errno = 0;
    EXPECT(hidden(aligned_alloc(hidden_size((SIZE_MAX >> 1) + 2), 1)) == NULL && errno == EINVAL);
}

/* Powers of two that no address space has room for. */
static void absurd_powers(void)
{
    for (unsigned order = 47; order < 64; order++) {
        errno = 0;
        EXPECT(hidden(aligned_alloc(hidden_size((size_t)1 << order), 8)) == NULL);
        EXPECT(errno == ENOMEM || errno == EINVAL);
    }
}

int main(void)
{
    powers_of_two();
    very_large_alignments();
    others_are_refused();
    absurd_powers();
    return 0;
}
