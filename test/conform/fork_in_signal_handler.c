/* A signal handler that forks while the only thread is inside malloc or free. POSIX.1-2024 promises
 * nothing for fork there (only for _Fork), but programs do it and the C library's own malloc lets a
 * single-threaded one: neither process may hang, and the parent's heap stays whole. */
#include "malloc_calls.h"
#include "process.h"
#include "seeds.h"

#include <sys/time.h>

#define FORKS_WANTED 150

static volatile sig_atomic_t forks;
static volatile sig_atomic_t failures;

static void fork_now(int signal_number)
{
    (void)signal_number;
    const int saved = errno;
    const pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        failures = failures + 1;
    forks = forks + 1;
    errno = saved;
}

static void churn(struct seeds *seeds)
{
    void *blocks[64];
    size_t sizes[64];
    for (size_t i = 0; i < 64; i++) {
        sizes[i] = seeds_size(seeds, 20);
        blocks[i] = get_block(sizes[i], i);
    }
    for (size_t i = 0; i < 64; i++)
        put_block(blocks[i], sizes[i], i);
}

int main(void)
{
    struct seeds seeds = {seeds_announce("fork_in_signal_handler")};
    const struct sigaction action = {.sa_handler = fork_now, .sa_flags = SA_RESTART};
    const struct itimerval often = {{0, 2000}, {0, 2000}};
    alarm(CHILD_SECONDS);
    EXPECT(sigaction(SIGVTALRM, &action, NULL) == 0);
    EXPECT(setitimer(ITIMER_VIRTUAL, &often, NULL) == 0);
    while (forks < FORKS_WANTED)
        churn(&seeds);
    const struct itimerval never = {{0, 0}, {0, 0}};
    EXPECT(setitimer(ITIMER_VIRTUAL, &never, NULL) == 0);
    EXPECT_THAT(failures == 0, "%d of %d forks", (int)failures, (int)forks);
    return 0;
}
