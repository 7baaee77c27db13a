/* A program that locks all its memory keeps what it has touched in RAM, and the malloc's untouched
 * addresses take none. */
#include "malloc_calls.h"
#include "process.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define ADDRESSES ((size_t)512 << 20) /* bounds the harm if this fails */
#define SIZE      ((size_t)1 << 20)
#define SMALL     ((size_t)64 << 20)

static void limit_and_run_again(char **argv)
{
    const struct rlimit limit = {ADDRESSES, ADDRESSES};
    EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
    run_again_with(argv, "TEST_LIMITED", "1");
}

int main(int argc, char **argv)
{
    (void)argc;
    if (getenv("TEST_LIMITED") == NULL)
        limit_and_run_again(argv);
    void *before = get_block(SIZE, 1);
    EXPECT(mlockall(0) == -1 && errno == EINVAL);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        EXPECT(errno == EPERM || errno == ENOMEM);
        test_skip("mlockall is not allowed here");
    }
    void *behind = get_block(SIZE, 2);
    EXPECT_THAT(resident_bytes() < SMALL, "%zu bytes", resident_bytes());
    for (size_t size = SIZE; size <= 64 * SIZE; size *= 2)
        free(hidden(malloc(hidden_size(size)))); /* maps runs afresh */
    EXPECT_THAT(resident_bytes() < SMALL, "%zu bytes", resident_bytes());
    EXPECT(status_bytes("VmLck:") >= 2 * SIZE);
    put_block(before, SIZE, 1);
    put_block(behind, SIZE, 2);
    malloc_trim(0);
    EXPECT(munlockall() == 0);
    return 0;
}
