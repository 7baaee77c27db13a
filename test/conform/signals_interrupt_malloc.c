/* Signals that arrive inside malloc and free thousands of times, on a stack of their own and with
 * handlers that do what POSIX allows there: the heap stays whole and errno of the interrupted call
 * is right. */
#include "malloc_calls.h"
#include "process.h"
#include "seeds.h"
#include "test_threads.h"

#include <stdatomic.h>
#include <sys/time.h>

#define ROUNDS 400

static volatile sig_atomic_t signals;
static atomic_bool stop;

static void note(int signal_number)
{
    (void)signal_number;
    const int saved = errno;
    const int fd = open("/dev/null", O_RDONLY);
    close(fd);
    errno = EINTR;
    signals = signals + 1;
    errno = saved;
}

static void churn(struct seeds *seeds)
{
    void *blocks[40];
    size_t sizes[40];
    for (size_t i = 0; i < 40; i++) {
        sizes[i] = seeds_size(seeds, 21);
        blocks[i] = get_block(sizes[i], i);
        errno = 0;
        EXPECT(hidden(malloc(hidden_size(SIZE_MAX - i))) == NULL && errno == ENOMEM);
    }
    for (size_t i = 0; i < 40; i++)
        put_block(blocks[i], sizes[i], i);
}

static void *other_thread(void *context)
{
    struct seeds seeds = {9};
    while (!atomic_load(&stop))
        churn(&seeds);
    return context;
}

int main(void)
{
    static char handler_stack[65536];
    struct seeds seeds = {seeds_announce("signals_interrupt_malloc")};
    const stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof(handler_stack)};
    const struct sigaction action = {.sa_handler = note, .sa_flags = SA_ONSTACK | SA_RESTART};
    const struct itimerval often = {{0, 100}, {0, 100}};
    EXPECT(sigaltstack(&stack, NULL) == 0);
    EXPECT(sigaction(SIGALRM, &action, NULL) == 0);
    const pthread_t thread = thread_start(other_thread, NULL);
    EXPECT(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++)
        churn(&seeds);
    atomic_store(&stop, true);
    thread_join(thread);
    EXPECT_THAT(signals > 50, "only %d signals", (int)signals);
    return 0;
}
