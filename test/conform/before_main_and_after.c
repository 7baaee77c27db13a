/* malloc works before main (preinit and constructor functions), and after it: handlers of atexit
 * and on_exit, destructor functions; and a process may exit while its threads allocate. */
#include "malloc_calls.h"
#include "process.h"
#include "test_threads.h"

#include <stdatomic.h>

static void *from_preinit, *from_constructor, *from_main;
static int report = -1; /* descriptor that the last steps of a child write to */

static void preinit(void)
{
    from_preinit = get_block(3000, 1);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(void) = preinit;

__attribute__((constructor(101))) static void first_constructor(void)
{
    void *large = get_block((size_t)5 << 20, 2);
    from_constructor = get_block(500, 3);
    from_preinit = hidden(realloc(from_preinit, 9000));
    put_block(large, (size_t)5 << 20, 2);
}

static void tell(char step)
{
    if (report >= 0)
        EXPECT(write(report, &step, 1) == 1);
}

__attribute__((destructor(101))) static void last_destructor(void)
{
    if (report < 0)
        return;
    put_block(get_block(100000, 4), 100000, 4);
    put_block(from_main, 700, 5);
    tell('d');
}

static void at_exit(void)
{
    put_block(from_constructor, 500, 3);
    put_block(get_block(60, 6), 60, 6);
    tell('a');
}

static void on_exit_too(int status, void *block)
{
    EXPECT(status == 0);
    put_block(block, 800, 7);
    tell('o');
}

static void leave_main(void)
{
    char steps[16];
    int ends[2];
    EXPECT(pipe(ends) == 0);
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        report = ends[1];
        from_main = get_block(700, 5);
        EXPECT(atexit(at_exit) == 0);
        EXPECT(on_exit(on_exit_too, get_block(800, 7)) == 0);
        exit(0);
    }
    close(ends[1]);
    EXPECT_CHILD_PASSED(pid);
    const ssize_t count = read(ends[0], steps, sizeof(steps));
    EXPECT_THAT(count == 3 && memcmp(steps, "oad", 3) == 0, "%.*s", (int)count, steps);
    close(ends[0]);
}

static void *allocate_for_ever(void *context)
{
    for (size_t size = 1;; size = size % 100000 + 77)
        put_block(get_block(size, size), size, size);
    return context;
}

/* The exit races with threads inside malloc. */
static void exit_at_once(void *context)
{
    for (int i = 0; i < 3; i++)
        thread_start(allocate_for_ever, context);
    free(get_block(1000, 1));
    exit(0);
}

int main(void)
{
    EXPECT(from_preinit != NULL && from_constructor != NULL);
    put_block(from_preinit, 3000, 1);
    leave_main();
    for (int i = 0; i < 100; i++) {
        const int status = child_run(exit_at_once, NULL);
        EXPECT_THAT(status == 0, "wait status 0x%x", (unsigned)status);
    }
    put_block(from_constructor, 500, 3);
    return 0;
}
