/* Resident memory follows the program's: large blocks cost what was touched, give their tail back
 * when they shrink, and most of what was freed is gone after malloc_trim; nothing is executable. */
#include "malloc_calls.h"
#include "process.h"

#define GIB ((size_t)1 << 30)
#define MIB ((size_t)1 << 20)

static void untouched_is_free(void)
{
    const size_t before = resident_bytes();
    void *block = hidden(malloc(4 * GIB));
    void *zeroed = hidden(calloc(4, GIB));
    EXPECT(block != NULL && zeroed != NULL);
    EXPECT_THAT(resident_bytes() < before + 4 * MIB, "%zu more", resident_bytes() - before);
    EXPECT_ZERO((char *)zeroed + 4 * GIB - 5000, 5000);
    free(block);
    free(zeroed);
}

static void shrinking_gives_back(void)
{
    const size_t before = resident_bytes();
    void *block = get_block(200 * MIB, 1);
    block = hidden(realloc(block, MIB));
    EXPECT(block != NULL);
    malloc_trim(0);
    EXPECT_THAT(resident_bytes() < before + 12 * MIB, "%zu more", resident_bytes() - before);
    put_block(block, MIB, 1);
}

static void small_ones_go_back(void)
{
    enum { COUNT = 200000 };
    static void *blocks[COUNT];
    const size_t before = resident_bytes();
    for (size_t i = 0; i < COUNT; i++)
        blocks[i] = get_block(500, i);
    for (size_t i = 0; i < COUNT; i++)
        put_block(blocks[i], 500, i);
    malloc_trim(0);
    EXPECT_THAT(resident_bytes() < before + 12 * MIB, "%zu more", resident_bytes() - before);
}

/* Looks through /proc/self/maps for pages that may be written and run. */
static void nothing_is_executable(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    EXPECT(maps != NULL);
    while (fgets(line, sizeof(line), maps) != NULL)
        EXPECT_THAT(strstr(line, " rwx") == NULL, "%s", line);
    fclose(maps);
}

int main(void)
{
    untouched_is_free();
    shrinking_gives_back();
    small_ones_go_back();
    nothing_is_executable();
    return 0;
}
