/* Sizes that cannot be had, most of all those near SIZE_MAX and PTRDIFF_MAX where arithmetic wraps:
 * NULL and ENOMEM from every call that takes a size, and the block given to realloc is untouched.
 * Products that overflow are refused in calloc and reallocarray. */
#include "malloc_calls.h"

#define KEPT_SMALL 100
#define KEPT_LARGE ((size_t)3 << 20)

static void *kept_small;
static void *kept_large;

#define EXPECT_REFUSED(call, size)                                                                 \
    do {                                                                                           \
        errno = 0;                                                                                 \
        void *const got_ = hidden(call);                                                           \
        EXPECT_THAT(got_ == NULL && errno == ENOMEM, "%s with %zu gave %p", #call, (size_t)(size), \
                    got_);                                                                         \
    } while (0)

static void refused_by_posix_memalign(size_t align, size_t size)
{
    void *out = &out;
    errno = 77;
    const int error = posix_memalign(&out, align, size);
    EXPECT_THAT(error == ENOMEM, "%d for %zu", error, size);
    EXPECT(out == &out);
    EXPECT(errno == 77);
}

static void refused_by_all(size_t size)
{
    size = hidden_size(size);
    EXPECT_REFUSED(malloc(size), size);
    EXPECT_REFUSED(calloc(1, size), size);
    EXPECT_REFUSED(calloc(size, 1), size);
    EXPECT_REFUSED(realloc(NULL, size), size);
    EXPECT_REFUSED(realloc(kept_small, size), size);
    EXPECT_REFUSED(realloc(kept_large, size), size);
    EXPECT_REFUSED(reallocarray(kept_small, 1, size), size);
    EXPECT_REFUSED(reallocarray(kept_large, size, 1), size);
    for (size_t align = 8; align <= (size_t)1 << 21; align *= 8) {
        EXPECT_REFUSED(aligned_alloc(align, size), size);
        EXPECT_REFUSED(memalign(align, size), size);
        refused_by_posix_memalign(align, size);
    }
    EXPECT_REFUSED(valloc(size), size);
    EXPECT_REFUSED(pvalloc(size), size);
    EXPECT_INTACT(kept_small, KEPT_SMALL, 1);
    EXPECT_INTACT(kept_large, KEPT_LARGE, 2);
}

/* Every pair's product is beyond SIZE_MAX, and most wrap to something small. */
static void overflow_refused(size_t count, size_t size)
{
    count = hidden_size(count);
    size = hidden_size(size);
    EXPECT_REFUSED(calloc(count, size), count);
    EXPECT_REFUSED(calloc(size, count), count);
    EXPECT_REFUSED(reallocarray(NULL, count, size), count);
    EXPECT_REFUSED(reallocarray(kept_small, size, count), count);
    EXPECT_REFUSED(reallocarray(kept_large, count, size), count);
    EXPECT_INTACT(kept_small, KEPT_SMALL, 1);
    EXPECT_INTACT(kept_large, KEPT_LARGE, 2);
}

int main(void)
{
    kept_small = get_block(KEPT_SMALL, 1);
    kept_large = get_block(KEPT_LARGE, 2);
    for (size_t below = 0; below < 300; below++)
        refused_by_all(SIZE_MAX - below);
    for (size_t below = 300; below < SIZE_MAX / 2; below += below / 3)
        refused_by_all(SIZE_MAX - below);
    for (size_t near = 0; near < 64; near++) {
        refused_by_all((size_t)PTRDIFF_MAX + near);
        refused_by_all((size_t)PTRDIFF_MAX - near);
    }
    for (unsigned order = 48; order < 64; order++)
        refused_by_all((size_t)1 << order);
    for (unsigned order = 1; order < 64; order++) {
        overflow_refused((size_t)1 << order, (size_t)1 << (64 - order));
        overflow_refused(((size_t)1 << order) + 1, SIZE_MAX >> order);
        overflow_refused((size_t)1 << order, SIZE_MAX);
    }
    put_block(kept_small, KEPT_SMALL, 1);
    put_block(kept_large, KEPT_LARGE, 2);
    return 0;
}
