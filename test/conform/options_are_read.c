/* TERRANE_OPTIONS: names and numbers with commas or blanks between. What is unknown or malformed is
 * one line on standard error, changes nothing, and what stands beside it still counts. */
#include "malloc_calls.h"
#include "process.h"

#define FREES "realloc_zero_frees=1"

/* Runs this program again; what it printed to standard error goes to `text`, its status is
 * returned. */
static int run_with(char *program, const char *options, char *text, size_t room)
{
    int ends[2];
    EXPECT(pipe(ends) == 0);
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        EXPECT(dup2(ends[1], STDERR_FILENO) >= 0);
        run_again_with((char *[]){program, (char[]){"child"}, NULL}, "TERRANE_OPTIONS", options);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(ends[0], text + length, room - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = '\0';
    close(ends[0]);
    return child_wait(pid);
}

/* Status 2: realloc to nothing freed the block. */
static int child(void)
{
    void *block = hidden(realloc(get_block(100, 1), hidden_size(0)));
    free(block);
    return block == NULL ? 2 : 0;
}

static size_t lines_in(const char *text)
{
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void expect_options(char *program, const char *options, int status, size_t lines)
{
    char text[4096];
    const int got = run_with(program, options, text, sizeof(text));
    EXPECT_THAT(WIFEXITED(got) && WEXITSTATUS(got) == status, "wait status 0x%x with '%s'",
                (unsigned)got, options);
    EXPECT_THAT(lines_in(text) == lines, "'%s' with '%s'", text, options);
    for (const char *line = text; lines > 0; lines--, line = strchr(line, '\n') + 1)
        EXPECT_THAT(strncmp(line, "terrane: TERRANE_OPTIONS: ", 26) == 0, "'%s'", text);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return child();
    expect_options(argv[0], "", 0, 0);
    expect_options(argv[0], ", ,, ", 0, 0);
    expect_options(argv[0], FREES, 2, 0);
    expect_options(argv[0], "realloc_zero_frees=0", 0, 0);
    expect_options(argv[0], "hardened=0," FREES, 2, 0);
    expect_options(argv[0], "hardened=1 " FREES ",fresh_ratio=100,guard_sample=5", 2, 0);
    expect_options(argv[0], "nonsense=1," FREES, 2, 1);
    expect_options(argv[0], "hardened", 0, 1);
    expect_options(argv[0], "hardened=,hardened=2,hardened=x,hardened=1x,fresh_ratio=101", 0, 5);
    expect_options(argv[0], "hardened=-18446744073709551615,hardened=+1", 0, 2);
    expect_options(argv[0], "hardened=18446744073709551617", 0, 1);
    expect_options(argv[0], "=1," FREES, 2, 1);
    char long_word[300];
    memset(long_word, 'x', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    expect_options(argv[0], long_word, 0, 1);
    return 0;
}
