/* What malloc finds out about the kernel it finds out when it first matters. A fork while another
 * thread is at it leaves a child that can do the same, and does not wait for that thread. */
#include "malloc_calls.h"
#include "test_threads.h"

#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS  120
#define LARGE   ((size_t)4 << 20)
#define SECONDS 20

static void *allocate_large(void *unused)
{
    put_block(get_block(LARGE, 1), LARGE, 1);
    return unused;
}

/* In a process that has not allocated anything large yet. */
static void fork_meanwhile(unsigned delay_us)
{
    const pthread_t thread = thread_start(allocate_large, NULL);
    usleep(delay_us);
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        alarm(SECONDS);
        (void)allocate_large(NULL);
        _exit(0);
    }
    int status = -1;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT_THAT(status == 0, "the child ended with status %#x", (unsigned)status);
    thread_join(thread);
}

int main(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        const pid_t fresh = fork();
        EXPECT(fresh >= 0);
        if (fresh == 0) {
            fork_meanwhile(round * 4);
            _exit(0);
        }
        int status = -1;
        EXPECT(waitpid(fresh, &status, 0) == fresh);
        EXPECT_THAT(status == 0, "round %u ended with status %#x", round, (unsigned)status);
    }
    return 0;
}
