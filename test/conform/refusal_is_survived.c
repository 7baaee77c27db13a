/* Memory that is refused (RLIMIT_AS, set before the program starts): NULL and ENOMEM, no crash, all
 * live blocks whole; once something is freed, allocation succeeds again. What the malloc reserves
 * must leave addresses for others: thread stacks and mappings of the program's own. */
#include "malloc_calls.h"
#include "process.h"
#include "test_threads.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define LIMIT     ((size_t)512 << 20)
#define MAX_COUNT 200000

static void *blocks[MAX_COUNT];

/* Allocates until refused; how many there are. */
static size_t exhaust(size_t size)
{
    for (size_t i = 0; i < MAX_COUNT; i++) {
        errno = 0;
        blocks[i] = hidden(malloc(hidden_size(size)));
        if (blocks[i] == NULL) {
            EXPECT(errno == ENOMEM);
            return i;
        }
        contents_write(blocks[i], size, i);
    }
    expect_failed(__FILE__, __LINE__, "a refusal in %d blocks of %zu", MAX_COUNT, size);
}

static void release(size_t from, size_t to, size_t size)
{
    for (size_t i = from; i < to; i++)
        put_block(blocks[i], size, i);
}

static void *thread_body(void *context)
{
    put_block(get_block(5000, 1), 5000, 1);
    return context;
}

static void others_find_room(void)
{
    void *mine =
        mmap(NULL, (size_t)64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(mine != MAP_FAILED);
    thread_run(thread_body, NULL);
    EXPECT(munmap(mine, (size_t)64 << 20) == 0);
}

static void exhaust_and_recover(size_t size)
{
    const size_t first = exhaust(size);
    EXPECT_THAT(first * size >= LIMIT / 8, "only %zu blocks of %zu", first, size);
    errno = 0;
    void *grown = hidden(realloc(blocks[0], LIMIT));
    EXPECT(grown == NULL && errno == ENOMEM);
    EXPECT(hidden(calloc(1, LIMIT)) == NULL && errno == ENOMEM);
    EXPECT(hidden(aligned_alloc(4096, LIMIT)) == NULL && errno == ENOMEM);
    release(first / 2, first, size);
    void *again = hidden(malloc(size));
    EXPECT_THAT(again != NULL, "malloc(%zu) after %zu were freed", size, first - first / 2);
    free(again);
    release(0, first / 2, size);
    const size_t second = exhaust(size);
    EXPECT_THAT(second >= first - first / 8, "%zu, then %zu blocks of %zu", first, second, size);
    release(0, second, size);
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        const struct rlimit limit = {LIMIT, LIMIT};
        EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
        run_again_with((char *[]){argv[0], (char[]){"limited"}, NULL}, "LIMITED", "1");
    }
    others_find_room();
    exhaust_and_recover((size_t)1 << 20);
    exhaust_and_recover((size_t)10 << 20);
    exhaust_and_recover(50000);
    exhaust_and_recover(5000);
    others_find_room();
    return 0;
}
