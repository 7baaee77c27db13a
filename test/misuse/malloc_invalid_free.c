/* Pointers that never came from malloc, or not like that: the stack, constants, mappings, numbers;
 * the inside of a block, odd or aligned, just before it and just behind it. Always caught. */
#include "malloc_calls.h"
#include "misuse.h"

#include <sys/mman.h>

static int global;

static void stack(size_t size)
{
    char local[64];
    free(accused(local + size));
}

static void stack_realloc(size_t size)
{
    char local[64];
    free(hidden(realloc(accused(local + 16), size)));
}

static void global_variable(size_t size)
{
    (void)size;
    free(accused(&global));
}

static void mapping(size_t size)
{
    char *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(memory != MAP_FAILED);
    free(accused(memory + size));
}

static void number(size_t address)
{
    free(accused((void *)address));
}

static void number_realloc(size_t address)
{
    free(hidden(realloc(accused((void *)address), 100)));
}

static void number_usable_size(size_t address)
{
    printf("%zu\n", malloc_usable_size(accused((void *)address)));
}

/* Far behind everything that was ever allocated, where the malloc itself still has addresses. */
static void never_allocated(size_t size)
{
    char *block = get_block(size, 1);
    free(accused(block + ((size_t)3 << 30)));
}

/* The same where the kernel grants memory only step by step. */
static void never_allocated_step_by_step(size_t size)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they need far more */
    struct rlimit limit;
    EXPECT(getrlimit(RLIMIT_DATA, &limit) == 0);
    if (limit.rlim_cur == RLIM_INFINITY) {
        limit.rlim_cur = (size_t)256 << 20;
        EXPECT(setrlimit(RLIMIT_DATA, &limit) == 0);
        execl("/proc/self/exe", "malloc_invalid_free", "never-allocated-step-by-step", NULL);
    }
    EXPECT(limit.rlim_cur == (size_t)256 << 20);
#endif
    never_allocated(size);
}

static void odd(size_t size)
{
    char *block = get_block(size, 1);
    free(accused(block + 1));
}

static void next_sixteen(size_t size)
{
    char *block = get_block(size, 1);
    free(accused(block + 16));
}

static void middle(size_t size)
{
    char *block = get_block(size, 1);
    free(accused(block + (size / 2 & ~(size_t)15)));
}

static void last_byte(size_t size)
{
    char *block = get_block(size, 1);
    free(accused(block + size - 1));
}

static void middle_realloc(size_t size)
{
    char *block = get_block(size, 1);
    free(hidden(realloc(accused(block + size / 2), size)));
}

static void middle_sized(size_t size)
{
    char *block = get_block(size, 1);
    free_sized(accused(block + size / 2), size);
}

static void middle_usable_size(size_t size)
{
    char *block = get_block(size, 1);
    printf("%zu\n", malloc_usable_size(accused(block + size / 2)));
}

static void middle_of_aligned(size_t size)
{
    char *block = hidden(aligned_alloc(4096, size));
    free(accused(block + 48));
}

/* Eight bytes before a block lie in the one before it. */
static void before_the_start(size_t size)
{
    char *last = get_block(size, 1);
    for (int i = 0; i < 10; i++) {
        char *block = get_block(size, 1);
        last = block > last ? block : last;
    }
    free(accused(last - 8));
}

static const struct misuse_case cases[] = {
    {"stack", MESSAGE_FOREIGN, stack, 16, false},
    {"stack-odd", MESSAGE_FOREIGN, stack, 3, false},
    {"stack-realloc", MESSAGE_FOREIGN, stack_realloc, 100, false},
    {"stack-hardened", MESSAGE_FOREIGN, stack, 16, true},
    {"global", MESSAGE_FOREIGN, global_variable, 0, false},
    {"mapping", MESSAGE_FOREIGN, mapping, 0, false},
    {"mapping-inside", MESSAGE_FOREIGN, mapping, 4096, false},
    {"number-one", MESSAGE_FOREIGN, number, 1, false},
    {"number-sixteen", MESSAGE_FOREIGN, number, 16, false},
    {"number-last", MESSAGE_FOREIGN, number, SIZE_MAX - 15, false},
    {"number-noncanonical", MESSAGE_FOREIGN, number, (size_t)0xdead000000000000, false},
    {"number-realloc", MESSAGE_FOREIGN, number_realloc, 4096, false},
    {"number-usable-size", MESSAGE_FOREIGN, number_usable_size, 4096, false},
    {"never-allocated", MESSAGE_FOREIGN, never_allocated, SMALL, false},
    {"never-allocated-large", MESSAGE_FOREIGN, never_allocated, LARGE, false},
    {"never-allocated-step-by-step", MESSAGE_FOREIGN, never_allocated_step_by_step, SMALL, false},
    {"odd-small", MESSAGE_INSIDE, odd, SMALL, false},
    {"odd-medium", MESSAGE_INSIDE, odd, MEDIUM, false},
    {"odd-large", MESSAGE_INSIDE, odd, LARGE, false},
    {"odd-huge", MESSAGE_INSIDE, odd, HUGE_, false},
    {"next-sixteen-small", MESSAGE_INSIDE, next_sixteen, SMALL, false},
    {"next-sixteen-medium", MESSAGE_INSIDE, next_sixteen, MEDIUM, false},
    {"next-sixteen-large", MESSAGE_INSIDE, next_sixteen, LARGE, false},
    {"next-sixteen-hardened", MESSAGE_INSIDE, next_sixteen, SMALL, true},
    {"middle-medium", MESSAGE_INSIDE, middle, MEDIUM, false},
    {"middle-edge", MESSAGE_INSIDE, middle, EDGE, false},
    {"middle-large", MESSAGE_INSIDE, middle, LARGE, false},
    {"middle-huge", MESSAGE_INSIDE, middle, HUGE_, false},
    {"last-byte-small", MESSAGE_INSIDE, last_byte, SMALL, false},
    {"last-byte-large", MESSAGE_INSIDE, last_byte, LARGE, false},
    {"middle-realloc-small", MESSAGE_INSIDE, middle_realloc, SMALL, false},
    {"middle-realloc-large", MESSAGE_INSIDE, middle_realloc, LARGE, false},
    {"middle-sized-small", MESSAGE_INSIDE, middle_sized, SMALL, false},
    {"middle-sized-large", MESSAGE_INSIDE, middle_sized, LARGE, false},
    {"middle-usable-size-small", MESSAGE_INSIDE, middle_usable_size, SMALL, false},
    {"middle-usable-size-large", MESSAGE_INSIDE, middle_usable_size, LARGE, false},
    {"middle-aligned-small", MESSAGE_INSIDE, middle_of_aligned, MEDIUM, false},
    {"middle-aligned-large", MESSAGE_INSIDE, middle_of_aligned, LARGE, false},
    {"before-the-start-small", MESSAGE_INSIDE, before_the_start, SMALL, false},
};

MISUSE_MAIN(cases)
