/* The calls that describe or tune the heap: mallinfo2 and mallinfo follow what is allocated,
 * malloc_info writes well-formed XML, malloc_stats writes to standard error, malloc_trim gives
 * pages back, mallopt says 1 to what the C library's knows and 0 to nonsense. */
#include "malloc_calls.h"
#include "process.h"

#define HELD_COUNT 20000
#define HELD_SIZE  500

static void *held[HELD_COUNT];

static void hold(void)
{
    for (size_t i = 0; i < HELD_COUNT; i++)
        held[i] = get_block(HELD_SIZE, i);
}

static void let_go(void)
{
    for (size_t i = 0; i < HELD_COUNT; i++)
        put_block(held[i], HELD_SIZE, i);
}

static size_t in_use(void)
{
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void mallinfo_follows(void)
{
    const size_t total = (size_t)HELD_COUNT * HELD_SIZE;
    const size_t before = in_use();
    hold();
    const size_t during = in_use();
    EXPECT_THAT(during - before >= total && during - before < 2 * total, "%zu more",
                during - before);
    void *large = get_block((size_t)64 << 20, 3);
    EXPECT_THAT(in_use() - during >= (size_t)64 << 20, "%zu more", in_use() - during);
    put_block(large, (size_t)64 << 20, 3);
    let_go();
    EXPECT_THAT(in_use() < before + total / 2, "%zu stay", in_use() - before);
    const struct mallinfo2 info = mallinfo2();
    EXPECT(info.arena + info.hblkhd >= info.uordblks);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void mallinfo_of_old(void)
{
    void *block = get_block(1000, 1);
    const struct mallinfo old = mallinfo();
    EXPECT(old.uordblks > 0 || old.hblkhd > 0);
    EXPECT(old.uordblks >= 0 && old.fordblks >= 0);
    put_block(block, 1000, 1);
}
#pragma GCC diagnostic pop

/* Reads one tag at `*text`, which points behind a '<'; 1 opens, -1 closes, 0 is whole. */
static int tag_read(const char **text)
{
    const char *end = strchr(*text, '>');
    EXPECT(end != NULL);
    const int depth = (*text)[0] == '/' ? -1 : end[-1] == '/' || (*text)[0] == '?' ? 0 : 1;
    *text = end + 1;
    return depth;
}

static void malloc_info_is_xml(void)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    EXPECT(file != NULL);
    EXPECT(malloc_info(0, file) == 0);
    EXPECT(fclose(file) == 0);
    EXPECT_THAT(strncmp(text, "<malloc", 7) == 0, "%.20s", text);
    int depth = 0;
    const char *at = text;
    while ((at = strchr(at, '<')) != NULL) {
        at++;
        depth += tag_read(&at);
        EXPECT(depth > 0 || at[strspn(at, " \n")] == '\0');
    }
    EXPECT(depth == 0);
    free(text);
    EXPECT(malloc_info(1, stderr) != 0);
}

static void malloc_stats_to_stderr(void)
{
    char text[4096];
    int ends[2];
    EXPECT(pipe(ends) == 0);
    fflush(stderr);
    const int saved = dup(STDERR_FILENO);
    EXPECT(saved >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    malloc_stats();
    fflush(stderr);
    EXPECT(dup2(saved, STDERR_FILENO) >= 0);
    close(ends[1]);
    EXPECT(read(ends[0], text, sizeof(text)) > 20);
    close(ends[0]);
    close(saved);
}

/* Frees all but one block in a hundred, so that most pages are free. */
static void trim_gives_back(void)
{
    const size_t large = (size_t)32 << 20;
    void *block = get_block(large, 1);
    hold();
    put_block(block, large, 1);
    for (size_t i = 0; i < HELD_COUNT; i++) {
        if (i % 100 != 0)
            put_block(held[i], HELD_SIZE, i);
    }
    malloc_trim(0);
    EXPECT_THAT(resident_bytes() < (size_t)24 << 20, "%zu bytes stay resident", resident_bytes());
    for (size_t i = 0; i < HELD_COUNT; i += 100)
        put_block(held[i], HELD_SIZE, i);
    const int result = malloc_trim(0);
    EXPECT(result == 0 || result == 1);
    EXPECT(malloc_trim(1 << 20) == 0);
}

static void mallopt_answers(void)
{
    EXPECT(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
    EXPECT(mallopt(M_TRIM_THRESHOLD, 1 << 20) == 1);
    EXPECT(mallopt(M_TOP_PAD, 0) == 1);
    EXPECT(mallopt(M_MMAP_MAX, 100) == 1);
    EXPECT(mallopt(M_ARENA_MAX, 2) == 1);
    EXPECT(mallopt(M_PERTURB, 0) == 1);
    EXPECT(mallopt(12345, 1) == 0);
    EXPECT(mallopt(-12345, 1) == 0);
}

int main(void)
{
    mallinfo_follows();
    mallinfo_of_old();
    malloc_info_is_xml();
    malloc_stats_to_stderr();
    trim_gives_back();
    mallopt_answers();
    return 0;
}
