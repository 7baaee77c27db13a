/* Counts the system calls of a process and its descendants by tracing them.
 *
 * A tracer sees two stops for each call and slows the program down, so this is done in the warm-up
 * round only. The count is exact for one thread; with several it differs a little from run to run,
 * as waiting does. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* Set at the stop of each system call, to tell it from a trap of the program's own. */
#define CALL_STOP (SIGTRAP | 0x80)

static const long trace_options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                                  PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;

static bool is_entry(pid_t pid)
{
    struct __ptrace_syscall_info info;
    const long size = ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
    return size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

/* The signal to hand on to a tracee that stopped; 0 for the stops that tracing causes. */
static int signal_to_pass(int status)
{
    const int stop = WSTOPSIG(status);
    const bool is_event = status >> 16 != 0;
    if (is_event || stop == SIGTRAP || stop == SIGSTOP || stop == CALL_STOP)
        return 0;
    return stop;
}

int bench_syscalls_count(int pid, uint64_t *count)
{
    *count = 0;
    ptrace(PTRACE_SETOPTIONS, pid, 0, trace_options);
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    for (;;) {
        int status = 0;
        const pid_t stopped = waitpid(-1, &status, __WALL);
        if (stopped < 0 && errno == EINTR)
            continue;
        if (stopped < 0)
            return -1;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (stopped == pid)
                return status;
            continue;
        }
        if (WSTOPSIG(status) == CALL_STOP && is_entry(stopped))
            ++*count;
        ptrace(PTRACE_SYSCALL, stopped, 0, signal_to_pass(status));
    }
}
