/* The report as JSON. One object; sizes in bytes, times in seconds, counts as integers. Fields are
 * only ever added.
 *
 *   report        "terrane-run", version 1
 *   command       what was run
 *   exit_status   its exit status, or null when a signal ended it
 *   signal        the number of that signal, or null
 *   wall, user, system                  seconds; CPU times with all descendants waited for
 *   allocator_seconds                   estimate of the time inside the malloc family
 *   minor_faults, major_faults          with all descendants waited for
 *   resident_peak                       of the largest process, by the kernel
 *   live_peak, live_mean                usable bytes of live objects, all processes together
 *   calls         {allocations, frees, requested_bytes, freed_bytes, timed}
 *   resizes       {"same class"|"in place"|"remapped"|"copied": {count, bytes}}; bytes: contents
 * kept space         the fields of struct terrane_stats, summed over the processes sizes [{from,
 * to, count}]   requests by size class, classes without requests left out memory        [{time,
 * live, live_peak, resident}]   all processes; time: end of a stretch unreadable    report pages
 * that could not be used processes     in order of start: {pid, parent_pid (null unless forked),
 * forked, command, end
 *                 ("exit", "signal", "exec", "running", "unknown"), exit_status, signal, start,
 * wall, user, system, allocator_seconds, minor_faults, major_faults, resident_peak, live_peak,
 * live_mean, live_end, calls, resizes, space, sizes, memory}
 *
 * The memory of a process is given for at most SERIES_MAX processes, those that a reader would look
 * at first; it is null for the others. */
#include "json.h"
#include "report_render.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define SERIES_MAX ((size_t)64)

static double seconds_of_us(uint64_t microseconds)
{
    return (double)microseconds / 1e6;
}

/* json_string writes null for NULL. */
static void null(struct json *json, const char *key)
{
    json_string(json, key, NULL);
}

static void integer_or_null(struct json *json, const char *key, bool known, int value)
{
    if (known)
        json_integer(json, key, (uint64_t)value);
    else
        null(json, key);
}

static void write_calls(struct json *json, const struct run_counts *counts)
{
    json_begin_object(json, "calls");
    json_integer(json, "allocations", counts->allocs);
    json_integer(json, "frees", counts->frees);
    json_integer(json, "requested_bytes", counts->alloc_bytes);
    json_integer(json, "freed_bytes", counts->freed_bytes);
    json_integer(json, "timed", counts->timed_calls);
    json_end_object(json);
}

static void write_resizes(struct json *json, const struct run_counts *counts)
{
    json_begin_object(json, "resizes");
    for (unsigned i = 0; i < TN_RESIZE_WAYS; i++) {
        json_begin_object(json, words_resize(i));
        json_integer(json, "count", counts->resizes[i]);
        json_integer(json, "bytes", counts->resize_bytes[i]);
        json_end_object(json);
    }
    json_end_object(json);
}

static void write_space(struct json *json, const struct terrane_stats *stats)
{
    const struct tn_figure_rows *table = tn_figure_rows(TN_GROUP_SPACE);
    const uint64_t *words = (const uint64_t *)(const void *)stats;
    json_begin_object(json, "space");
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].name, "version") != 0)
            json_integer(json, table->rows[i].name, words[i]);
    }
    json_end_object(json);
}

static void write_sizes(struct json *json, const struct run_counts *counts)
{
    json_begin_array(json, "sizes");
    for (unsigned i = 0; i < TN_REPORT_CLASSES; i++) {
        if (counts->classes[i] == 0)
            continue;
        json_begin_object(json, NULL);
        json_integer(json, "from", i == 0 ? 0 : tn_report_class_limit(i - 1) + 1);
        json_integer(json, "to", tn_report_class_limit(i));
        json_integer(json, "count", counts->classes[i]);
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_memory(struct json *json, const struct run_point *points, size_t count)
{
    json_begin_array(json, "memory");
    for (size_t i = 0; i < count; i++) {
        json_begin_object(json, NULL);
        json_number(json, "time", (double)points[i].end_ns / 1e9);
        json_integer(json, "live", points[i].live_mean);
        json_integer(json, "live_peak", points[i].live_peak);
        json_integer(json, "resident", points[i].resident);
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_identity(struct json *json, const struct run_report *report,
                           const struct run_process *process)
{
    static const char *const ends[] = {
        [RUN_EXITED] = "exit",     [RUN_SIGNALED] = "signal", [RUN_REPLACED] = "exec",
        [RUN_RUNNING] = "running", [RUN_UNKNOWN] = "unknown",
    };
    json_integer(json, "pid", process->pid);
    integer_or_null(json, "parent_pid", process->forked, (int)process->parent_pid);
    json_bool(json, "forked", process->forked);
    json_string(json, "command", process->command);
    json_string(json, "end", ends[process->end]);
    integer_or_null(json, "exit_status", process->end == RUN_EXITED, process->exit_status);
    integer_or_null(json, "signal", process->end == RUN_SIGNALED, process->exit_status);
    json_number(json, "start", ((double)process->start_ns - (double)report->end.start_ns) / 1e9);
    json_number(json, "wall", (double)process->wall_ns / 1e9);
    json_number(json, "user", seconds_of_us(process->user_us));
    json_number(json, "system", seconds_of_us(process->system_us));
    json_number(json, "allocator_seconds",
                (double)process->counts.ticks * report->ns_per_tick / 1e9);
}

static void write_process(struct json *json, const struct run_report *report,
                          const struct run_process *process, bool with_series)
{
    json_begin_object(json, NULL);
    write_identity(json, report, process);
    json_integer(json, "minor_faults", process->minor_faults);
    json_integer(json, "major_faults", process->major_faults);
    json_integer(json, "resident_peak", process->resident_peak);
    json_integer(json, "live_peak", process->live_peak);
    json_integer(json, "live_mean", process->live_mean);
    json_integer(json, "live_end", process->live_end);
    write_calls(json, &process->counts);
    write_resizes(json, &process->counts);
    write_space(json, &process->stats);
    write_sizes(json, &process->counts);
    if (with_series)
        write_memory(json, process->points, process->points_count);
    else
        null(json, "memory");
    json_end_object(json);
}

static void write_processes(struct json *json, const struct run_report *report)
{
    size_t chosen[SERIES_MAX];
    const size_t count = choice_processes(report, chosen, SERIES_MAX);
    bool *with_series = memory_get(report->processes_count * sizeof(bool));
    for (size_t i = 0; i < count; i++)
        with_series[chosen[i]] = true;
    json_begin_array(json, "processes");
    for (size_t i = 0; i < report->processes_count; i++)
        write_process(json, report, &report->processes[i], with_series[i]);
    json_end_array(json);
    free(with_series);
}

static void write_whole(struct json *json, const struct run_report *report)
{
    const int status = report->end.status;
    json_string(json, "report", "terrane-run");
    json_integer(json, "version", 1);
    json_string(json, "command", report->command);
    integer_or_null(json, "exit_status", WIFEXITED(status), WEXITSTATUS(status));
    integer_or_null(json, "signal", WIFSIGNALED(status), WTERMSIG(status));
    json_number(json, "wall", (double)report->wall_ns / 1e9);
    json_number(json, "user", seconds_of_us(report->user_us));
    json_number(json, "system", seconds_of_us(report->system_us));
    json_number(json, "allocator_seconds", (double)report->allocator_ns / 1e9);
    json_integer(json, "minor_faults", report->minor_faults);
    json_integer(json, "major_faults", report->major_faults);
    json_integer(json, "resident_peak", report->resident_peak);
    json_integer(json, "live_peak", report->live_peak);
    json_integer(json, "live_mean", report->live_mean);
}

void report_json(const struct run_report *report, struct text *out)
{
    struct json json = {.out = out};
    json_begin_object(&json, NULL);
    write_whole(&json, report);
    write_calls(&json, &report->counts);
    write_resizes(&json, &report->counts);
    write_space(&json, &report->stats);
    write_sizes(&json, &report->counts);
    write_memory(&json, report->points, report->points_count);
    json_integer(&json, "unreadable", report->unreadable);
    write_processes(&json, report);
    json_end_object(&json);
    text_print(out, "\n");
}
