/* Starts the program and stands in for it until it ends.
 *
 * Whoever started `terrane run` must not see a difference to having started the program itself:
 *
 *   streams   the program inherits them. Our own copies of standard input and output are closed,
 *             or a reader would wait for an end of file, a writer for a broken pipe, in vain.
 *   signals   all are blocked here and fetched one by one. What a process sent us we send on. What
 *             the kernel sent (Ctrl-C, Ctrl-Z, a hangup) went to our whole process group, so the
 *             program has it already.
 *   stopping  when a terminal signal stops the program we stop as well, so that the shell gets
 *             its terminal back; when we are continued, so is the program.
 *   SIGKILL   cannot be passed on; the kernel kills the program when we die.
 *
 * No handler ever runs, here or in the program. */
#include "run.h"

#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What the program must find as we found it. */
struct inherited {
    sigset_t mask;
    struct sigaction child_action;
};

/* Blocks all signals, and makes sure that the end of a child is reported even if whoever started us
 * ignores that. */
static void signals_take(struct inherited *inherited, sigset_t *all)
{
    sigfillset(all);
    sigprocmask(SIG_BLOCK, all, &inherited->mask);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &standard, &inherited->child_action);
}

static void signals_give_back(const struct inherited *inherited)
{
    sigaction(SIGCHLD, &inherited->child_action, NULL);
    sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
}

/* In the new process. Tells the reason through `report` if exec fails; exec itself closes it. */
static _Noreturn void become_program(const struct run_command *command, pid_t parent, int report,
                                     const struct inherited *inherited)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        raise(SIGKILL);
    if (command->pid_text != NULL)
        snprintf(command->pid_text, RUN_PID_TEXT_BYTES, "%d", (int)getpid());
    signals_give_back(inherited);
    execve(command->path, command->arguments, command->environment);
    const int error = errno;
    (void)!write(report, &error, sizeof(error));
    _exit(RUN_FAILED);
}

/* Waits for exec: 0, or the errno with which it failed. */
static int exec_result(int report)
{
    int error = 0;
    ssize_t got;
    do {
        got = read(report, &error, sizeof(error));
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof(error) ? error : 0;
}

static int start(const struct run_command *command, const struct inherited *inherited, pid_t *pid)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        return -errno;
    const pid_t parent = getpid();
    *pid = fork();
    if (*pid == 0)
        become_program(command, parent, report[1], inherited);
    const int fork_error = errno;
    close(report[1]);
    int error = *pid < 0 ? fork_error : exec_result(report[0]);
    close(report[0]);
    if (error != 0 && *pid > 0)
        (void)waitpid(*pid, NULL, 0);
    return -error;
}

static void close_own_streams(void)
{
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0)
        return;
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    if (nothing > STDERR_FILENO)
        close(nothing);
}

/* A negative or zero si_code names a process as the sender. The program's own signals to its parent
 * are not sent back to it. */
static void pass_on(pid_t pid, int number, const siginfo_t *info)
{
    if (info->si_code <= 0 && info->si_pid == pid)
        return;
    /* After a stop of ours the program may be the only one that still sleeps. */
    if (info->si_code <= 0 || number == SIGCONT)
        kill(pid, number);
}

static bool is_terminal_stop(int number)
{
    return number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

/* Looks what became of the program; true when it has ended. */
static bool look_after(pid_t pid, struct run_end *end)
{
    int status;
    while (wait4(pid, &status, WNOHANG | WUNTRACED, &end->usage) == pid) {
        if (!WIFSTOPPED(status)) {
            end->status = status;
            end->end_ns = tn_os_clock_ns();
            return true;
        }
        if (is_terminal_stop(WSTOPSIG(status)))
            raise(SIGSTOP);
    }
    return false;
}

static void stand_in(const struct run_command *command, const sigset_t *all, struct run_end *end)
{
    const struct timespec second = {.tv_sec = 1};
    while (true) {
        siginfo_t info;
        const int number = sigtimedwait(all, &info, &second);
        if (number > 0 && number != SIGCHLD)
            pass_on(end->pid, number, &info);
        else if (look_after(end->pid, end))
            return;
        else if (number < 0)
            command->every_second(command->context);
    }
}

int run_child(const struct run_command *command, struct run_end *end)
{
    struct inherited inherited;
    sigset_t all;
    memset(end, 0, sizeof(*end));
    signals_take(&inherited, &all);
    end->start_ns = tn_os_clock_ns();
    const int error = start(command, &inherited, &end->pid);
    if (error != 0) {
        signals_give_back(&inherited);
        return error;
    }
    close_own_streams();
    stand_in(command, &all, end);
    return 0;
}

int run_end_alike(int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    const int number = WTERMSIG(status);
    /* One dump of memory is enough, and it is the program's. */
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, number);
    signal(number, SIG_DFL);
    fflush(NULL);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    return 128 + number;
}
