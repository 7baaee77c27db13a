/* A crime ends in abort, and a program may catch SIGABRT to say where it was: the handler can call
 * backtrace, allocate, free and fork, so the malloc must hold no lock when it aborts. */
#include "malloc_calls.h"
#include "process.h"

#include <execinfo.h>

#define HANDLED 7

static void describe(int signal_number)
{
    void *frames[32];
    (void)signal_number;
    alarm(10); /* a deadlock here is a failure */
    const int count = backtrace(frames, 32);
    char **names = backtrace_symbols(frames, count);
    if (count < 3 || names == NULL)
        _Exit(2);
    free(names);
    for (size_t size = 1; size < 4000000; size *= 2)
        put_block(get_block(size, size), size, size);
    const pid_t pid = fork();
    if (pid == 0)
        _Exit(0);
    EXPECT_CHILD_PASSED(pid);
    _Exit(HANDLED);
}

static void double_free_large(void)
{
    void *block = get_block((size_t)3 << 20, 1);
    free(hidden(block));
    free(hidden(block));
}

static void free_of_the_stack(void)
{
    int local = 0;
    free(hidden(&local));
}

static void free_of_inside(void)
{
    char *block = get_block(100, 1);
    free(hidden(block + 16));
}

static void free_of_wrong_size(void)
{
    free_sized(get_block(100, 1), 5000);
}

static void commit(void *context)
{
    void (*const *crime)(void) = context;
    const int null = open("/dev/null", O_WRONLY);
    EXPECT(null >= 0 && dup2(null, STDERR_FILENO) >= 0);
    EXPECT(signal(SIGABRT, describe) != SIG_ERR);
    (*crime)();
}

int main(void)
{
    static void (*const crimes[])(void) = {double_free_large, free_of_the_stack, free_of_inside,
                                           free_of_wrong_size};
    for (size_t i = 0; i < sizeof(crimes) / sizeof(crimes[0]); i++) {
        void (*crime)(void) = crimes[i];
        const int status = child_run(commit, &crime);
        EXPECT_THAT(WIFEXITED(status) && WEXITSTATUS(status) == HANDLED, "crime %zu: status 0x%x",
                    i, (unsigned)status);
    }
    return 0;
}
