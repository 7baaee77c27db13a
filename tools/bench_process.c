/* Runs one worker process and brings back what it reports.
 *
 * The worker gets a process group of its own, so that a time limit or an interrupt ends whatever it
 * has started, and it is the first to go when memory runs out, not its neighbours. A preloaded
 * malloc serves the worker only; under `measure` it serves the measured program only. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define ERROR_TAIL_MAX 400

static volatile sig_atomic_t running_group;
static volatile sig_atomic_t was_interrupted;
static volatile sig_atomic_t was_too_slow;

static void on_signal(int number)
{
    if (number == SIGALRM)
        was_too_slow = 1;
    else
        was_interrupted = 1;
    if (running_group > 0)
        kill(-(pid_t)running_group, SIGKILL);
}

void bench_process_watch_signals(void)
{
    static const int watched[] = {SIGALRM, SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
        sigaction(watched[i], &action, NULL);
}

/* The worker's arguments: a NULL-terminated array of strings that are not copied, except the one
 * that names the library, which is returned in *made for the caller to free. */
static char **make_arguments(const struct bench_launch *launch, char **made)
{
    static char result_argument[] = "fd=3";
    _Static_assert(BENCH_RESULT_FD == 3, "the argument names the descriptor");
    char **given = launch->what->argv;
    size_t given_count = 0;
    while (given[given_count] != NULL)
        given_count++;
    char **arguments = memory_get((given_count + 4) * sizeof(char *));
    size_t count = 0;
    arguments[count++] = launch->contender->worker != NULL ? launch->contender->worker : given[0];
    arguments[count++] = result_argument;
    *made = NULL;
    if (launch->what->is_measured && launch->contender->preload != NULL) {
        *made = string_print("preload=%s", launch->contender->preload);
        arguments[count++] = *made;
    } else if (launch->contender->argument != NULL) {
        *made = string_copy(launch->contender->argument);
        arguments[count++] = *made;
    }
    memcpy(arguments + count, given + 1, given_count * sizeof(char *));
    return arguments;
}

static void make_last_to_stay(void)
{
    const int descriptor = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    (void)!write(descriptor, "1000", 4);
    close(descriptor);
}

static void set_environment(const struct bench_launch *launch)
{
    setenv("LC_ALL", "C", 1);
    unsetenv("LD_PRELOAD");
    if (launch->contender->preload != NULL && !launch->what->is_measured)
        setenv("LD_PRELOAD", launch->contender->preload, 1);
    if (launch->contender->environment != NULL)
        putenv(string_copy(launch->contender->environment));
}

/* In the child: never returns. */
static _Noreturn void become_worker(const struct bench_launch *launch, char **arguments, int result,
                                    int error)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    make_last_to_stay();
    const int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    dup2(error, STDERR_FILENO);
    dup2(result, BENCH_RESULT_FD);
    if (launch->what->directory != NULL && chdir(launch->what->directory) != 0) {
        dprintf(STDERR_FILENO, "cannot enter %s: %s", launch->what->directory, strerror(errno));
        _exit(127);
    }
    set_environment(launch);
    if (launch->count_system_calls && ptrace(PTRACE_TRACEME, 0, 0, 0) == 0)
        raise(SIGSTOP);
    execv(arguments[0], arguments);
    dprintf(STDERR_FILENO, "cannot run %s: %s", arguments[0], strerror(errno));
    _exit(127);
}

/* Waits for the child to end; returns its wait status. */
static int wait_for(pid_t pid, const struct bench_launch *launch, struct bench_outcome *outcome)
{
    int status = 0;
    for (;;) {
        const pid_t changed = waitpid(pid, &status, launch->count_system_calls ? WUNTRACED : 0);
        if (changed < 0 && errno == EINTR)
            continue;
        if (changed < 0)
            return -1;
        if (!WIFSTOPPED(status))
            return status;
        outcome->has_system_calls = true;
        return bench_syscalls_count(pid, &outcome->system_calls);
    }
}

static void read_descriptor(int descriptor, struct text *out)
{
    char bytes[4096];
    for (;;) {
        const ssize_t count = read(descriptor, bytes, sizeof(bytes));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return;
        text_append(out, bytes, (size_t)count);
    }
}

/* Says why a process failed, with the end of what it wrote to standard error. */
static void describe_failure(int status, int error_descriptor, struct bench_outcome *outcome)
{
    struct text said = {NULL, 0, 0};
    lseek(error_descriptor, 0, SEEK_SET);
    read_descriptor(error_descriptor, &said);
    while (said.length > 0 && said.bytes[said.length - 1] == '\n')
        said.bytes[--said.length] = '\0';
    if (was_too_slow)
        text_print(&outcome->error, "not done within its time limit");
    else if (WIFSIGNALED(status))
        text_print(&outcome->error, "killed by signal %d (%s)", WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
    else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        text_print(&outcome->error, "exit status %d", WEXITSTATUS(status));
    else if (outcome->line.length == 0)
        text_print(&outcome->error, "reported nothing");
    if (outcome->error.length > 0 && said.length > 0) {
        const size_t skip = said.length > ERROR_TAIL_MAX ? said.length - ERROR_TAIL_MAX : 0;
        text_print(&outcome->error, ": %s", said.bytes + skip);
    }
    text_free(&said);
}

void bench_process_run(const struct bench_launch *launch, struct bench_outcome *outcome)
{
    *outcome = (struct bench_outcome){.interrupted = false};
    bench_process_watch_signals();
    int result[2];
    const int error = memfd_create("standard error", MFD_CLOEXEC);
    if (error < 0 || pipe2(result, O_CLOEXEC | O_NONBLOCK) != 0) {
        text_print(&outcome->error, "cannot make a pipe: %s", strerror(errno));
        return;
    }
    char *made = NULL;
    char **arguments = make_arguments(launch, &made);
    was_too_slow = 0;
    const pid_t pid = fork();
    if (pid == 0)
        become_worker(launch, arguments, result[1], error);
    close(result[1]);
    if (pid < 0) {
        text_print(&outcome->error, "cannot start a process: %s", strerror(errno));
    } else {
        setpgid(pid, pid);
        running_group = pid;
        alarm(launch->what->limit_s);
        const int status = wait_for(pid, launch, outcome);
        alarm(0);
        running_group = 0;
        kill(-pid, SIGKILL); /* what it may have left behind */
        read_descriptor(result[0], &outcome->line);
        describe_failure(status, error, outcome);
    }
    outcome->interrupted = was_interrupted != 0;
    close(result[0]);
    close(error);
    free(made);
    free(arguments);
}

void bench_outcome_free(struct bench_outcome *outcome)
{
    text_free(&outcome->line);
    text_free(&outcome->error);
}

/* Touches `bytes` in huge pages or in ordinary ones, and gives them back. */
static void touch_once(size_t bytes, int advice)
{
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    (void)madvise(memory, bytes, advice);
    for (size_t at = 0; at < bytes; at += 4096)
        *(volatile char *)(memory + at) = 1;
    munmap(memory, bytes);
}

void bench_process_warm_memory(size_t bytes)
{
    const pid_t pid = fork();
    if (pid == 0) {
        make_last_to_stay();
        touch_once(bytes, MADV_HUGEPAGE);
        touch_once(bytes, MADV_NOHUGEPAGE);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}
