/* Adds up what the processes of a run have left, and works out how each of them ended.
 *
 * Times and faults of the whole come from the kernel's account of the program and of the
 * descendants that were waited for, which includes those that could not be preloaded; calls and
 * bytes are sums over the pages. Memory of the whole at one time is the sum over the processes, cut
 * into PIECES equal pieces of the run; its peak is therefore a mean over 1/PIECES of the run,
 * except that no single process's exact peak may exceed it. */
#include "run.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define PIECES 480u

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_start(const void *left, const void *right)
{
    const struct run_process *a = left;
    const struct run_process *b = right;
    const int order = compare(a->start_ns, b->start_ns);
    return order != 0 ? order : compare(a->pid, b->pid);
}

static int by_pid(const void *left, const void *right)
{
    const struct run_process *a = left;
    const struct run_process *b = right;
    const int order = compare(a->pid, b->pid);
    return order != 0 ? order : compare(a->start_ns, b->start_ns);
}

/* ---- ends ---- */

/* An image that a later one of the same process follows was replaced by it; a fork is a process of
 * its own, which got the number of an older one. */
static void find_replaced(struct run_process *processes, size_t count)
{
    qsort(processes, count, sizeof(processes[0]), by_pid);
    for (size_t i = 0; i + 1 < count; i++) {
        const struct run_process *next = &processes[i + 1];
        if (processes[i].pid != next->pid || next->forked || processes[i].end == RUN_EXITED)
            continue;
        processes[i].end = RUN_REPLACED;
        processes[i].wall_ns = next->start_ns - processes[i].start_ns;
    }
    qsort(processes, count, sizeof(processes[0]), by_start);
}

/* Of the program itself the kernel has told us the end. */
static void end_of_program(struct run_process *process, const struct run_end *end)
{
    if (WIFSIGNALED(end->status)) {
        process->end = RUN_SIGNALED;
        process->exit_status = WTERMSIG(end->status);
    } else {
        process->end = RUN_EXITED;
        process->exit_status = WEXITSTATUS(end->status);
    }
    if (end->end_ns > process->start_ns)
        process->wall_ns = end->end_ns - process->start_ns;
}

static void find_ends(struct run_report *report)
{
    struct run_process *program = NULL;
    if (report->processes_count > 0)
        find_replaced(report->processes, report->processes_count);
    for (size_t i = 0; i < report->processes_count; i++) {
        if ((int)report->processes[i].pid == report->end.pid)
            program = &report->processes[i];
    }
    if (program != NULL)
        end_of_program(program, &report->end);
}

/* ---- sums ---- */

/* Both structs are counters only, so they are added word by word. */
static void add_words(void *sum, const void *other, size_t size)
{
    uint64_t *to = sum;
    const uint64_t *from = other;
    for (size_t i = 0; i < size / sizeof(uint64_t); i++)
        to[i] += from[i];
}

static uint64_t microseconds(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000u + (uint64_t)time->tv_usec;
}

static void sum_whole(struct run_report *report)
{
    _Static_assert(sizeof(struct run_counts) % sizeof(uint64_t) == 0, "words only");
    const struct rusage *usage = &report->end.usage;
    report->wall_ns = report->end.end_ns - report->end.start_ns;
    report->user_us = microseconds(&usage->ru_utime);
    report->system_us = microseconds(&usage->ru_stime);
    report->minor_faults = (uint64_t)usage->ru_minflt;
    report->major_faults = (uint64_t)usage->ru_majflt;
    report->resident_peak = (uint64_t)usage->ru_maxrss * 1024;
    for (size_t i = 0; i < report->processes_count; i++) {
        const struct run_process *process = &report->processes[i];
        add_words(&report->counts, &process->counts, sizeof(report->counts));
        add_words(&report->stats, &process->stats, sizeof(report->stats));
    }
    report->stats.version = TERRANE_STATS_VERSION;
    report->allocator_ns = (uint64_t)((double)report->counts.ticks * report->ns_per_tick);
}

/* ---- memory over time ---- */

/* Spreads one stretch [from, to) of a process, in nanoseconds since the start of the run, over the
 * pieces that it touches, in proportion. */
static void spread(struct run_report *report, uint64_t from, uint64_t to,
                   const struct run_point *point)
{
    const uint64_t piece_ns = report->wall_ns / PIECES + 1;
    for (uint64_t i = from / piece_ns; i < PIECES && i * piece_ns < to; i++) {
        const uint64_t start = from > i * piece_ns ? from : i * piece_ns;
        const uint64_t end = to < (i + 1) * piece_ns ? to : (i + 1) * piece_ns;
        const double share = (double)(end - start) / (double)piece_ns;
        report->points[i].live_mean += (uint64_t)((double)point->live_mean * share);
        report->points[i].resident += (uint64_t)((double)point->resident * share);
    }
}

static void spread_process(struct run_report *report, const struct run_process *process)
{
    if (process->start_ns < report->end.start_ns)
        return;
    const uint64_t offset = process->start_ns - report->end.start_ns;
    uint64_t from = offset;
    for (size_t i = 0; i < process->points_count; i++) {
        const uint64_t to = offset + process->points[i].end_ns;
        spread(report, from, to, &process->points[i]);
        from = to;
    }
}

static void sum_memory(struct run_report *report)
{
    report->points_count = PIECES;
    report->points = memory_get(PIECES * sizeof(report->points[0]));
    for (size_t i = 0; i < report->processes_count; i++) {
        spread_process(report, &report->processes[i]);
        if (report->live_peak < report->processes[i].live_peak)
            report->live_peak = report->processes[i].live_peak;
    }
    double area = 0;
    for (size_t i = 0; i < PIECES; i++) {
        struct run_point *point = &report->points[i];
        point->end_ns = (report->wall_ns / PIECES + 1) * (i + 1);
        point->live_peak = point->live_mean;
        area += (double)point->live_mean;
        if (report->live_peak < point->live_mean)
            report->live_peak = point->live_mean;
    }
    report->live_mean = (uint64_t)(area / PIECES);
}

void run_sum(struct run_report *report)
{
    find_ends(report);
    sum_whole(report);
    sum_memory(report);
}
