/* posix_memalign: a power of two that is a multiple of sizeof(void *), else EINVAL; the error is
 * the result, errno and the out-parameter are left alone when it fails. */
#include "malloc_calls.h"

static void good(size_t align, size_t size)
{
    void *block = NULL;
    errno = 77;
    const int error = posix_memalign(&block, hidden_size(align), hidden_size(size));
    EXPECT_THAT(error == 0 && block != NULL, "%d for %zu, %zu", error, align, size);
    EXPECT_THAT(is_aligned(block, align), "%p for %zu", block, align);
    EXPECT(errno == 77);
    contents_write(block, size, align);
    put_block(block, size, align);
}

static void bad(size_t align)
{
    void *out = &out;
    errno = 77;
    const int error = posix_memalign(&out, hidden_size(align), 100);
    EXPECT_THAT(error == EINVAL, "%d for alignment %zu", error, align);
    EXPECT(out == &out);
    EXPECT(errno == 77);
}

int main(void)
{
    for (size_t align = sizeof(void *); align <= (size_t)64 << 20; align *= 2) {
        for (size_t size = 0; size < 200000; size = size * 3 + 1)
            good(align, size);
    }
    static const size_t refused[] = {0,  1,  2,  3,  4,  5,   6,    7,   9,
                                     12, 20, 24, 40, 56, 100, 1000, 4104};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        bad(refused[i]);
    bad(SIZE_MAX);
    bad(SIZE_MAX - 7);
    return 0;
}
