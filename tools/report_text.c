/* The report as text: what one wants to know first, in twenty lines, then the processes. */
#include "report_render.h"

#include <stdio.h>
#include <string.h>

#define SIZE_ROWS     32
#define PROCESS_ROWS  12
#define BAR_WIDTH     40
#define COMMAND_WIDTH 60
#define TITLE_WIDTH   200

static double seconds_of_us(uint64_t microseconds)
{
    return (double)microseconds / 1e6;
}

static const char *dots(const char *string, size_t width)
{
    return strlen(string) > width ? "..." : "";
}

static void print_time(const struct run_report *report, struct text *out)
{
    const double cpu = seconds_of_us(report->user_us + report->system_us);
    const double inside = (double)report->allocator_ns / 1e9;
    text_print(out, "  time       %s wall, %s user, %s system\n",
               words_seconds((double)report->wall_ns / 1e9),
               words_seconds(seconds_of_us(report->user_us)),
               words_seconds(seconds_of_us(report->system_us)));
    text_print(out, "  malloc     about %s inside, %s of the CPU time (counting made it slower)\n",
               words_seconds(inside), words_percent(inside, cpu));
}

static void print_memory(const struct run_report *report, struct text *out)
{
    text_print(out, "  live       peak %s, mean %s\n", words_bytes(report->live_peak),
               words_bytes(report->live_mean));
    text_print(out, "  resident   peak %s in the largest process (kernel's figure)\n",
               words_bytes(report->resident_peak));
    text_print(out, "  faults     %s minor, %s major\n", words_count(report->minor_faults),
               words_count(report->major_faults));
}

static void print_calls(const struct run_report *report, struct text *out)
{
    const struct run_counts *counts = &report->counts;
    uint64_t resizes = 0;
    for (unsigned i = 0; i < TN_RESIZE_WAYS; i++)
        resizes += counts->resizes[i];
    text_print(out, "  calls      %s allocations, %s frees, %s resizes; %s requested\n",
               words_count(counts->allocs), words_count(counts->frees), words_count(resizes),
               words_bytes(counts->alloc_bytes));
    for (unsigned i = 0; i < TN_RESIZE_WAYS; i++)
        text_print(out, "  %-10s %-10s %12s resizes, contents %s\n", i == 0 ? "resizes" : "",
                   words_resize(i), words_count(counts->resizes[i]),
                   words_bytes(counts->resize_bytes[i]));
}

static void print_pages(const struct run_report *report, struct text *out)
{
    const struct terrane_stats *stats = &report->stats;
    text_print(out,
               "  pages      remapped instead of copied: %s in %s moves; copied: %s in %s copies\n",
               words_bytes(stats->move_bytes), words_count(stats->moves),
               words_bytes(stats->copy_bytes), words_count(stats->copies));
    text_print(out, "             given back: %s in %s calls; large objects grown in place: %s\n",
               words_bytes(stats->discard_bytes), words_count(stats->discards),
               words_count(stats->grown_in_place));
    text_print(out, "             mappings at the end: %s; copied for want of mappings: %s\n",
               words_count(stats->mappings), words_count(stats->budget_refusals));
}

static void print_sizes(const struct run_report *report, struct text *out)
{
    struct size_row rows[SIZE_ROWS];
    const size_t count = choice_sizes(&report->counts, rows, SIZE_ROWS);
    uint64_t largest = 1;
    for (size_t i = 0; i < count; i++)
        largest = rows[i].count > largest ? rows[i].count : largest;
    for (size_t i = 0; i < count; i++) {
        const double share = (double)rows[i].count / (double)largest;
        char bar[BAR_WIDTH + 1];
        const size_t width = (size_t)(share * BAR_WIDTH + 0.999);
        memset(bar, '#', width);
        bar[width] = '\0';
        text_print(out, "  %-10s to %-10s %14s  %s\n", i == 0 ? "sizes" : "",
                   words_bytes(rows[i].to), words_count(rows[i].count), bar);
    }
}

static void print_process(const struct run_process *process, struct text *out)
{
    const uint64_t cpu_us = process->user_us + process->system_us;
    text_print(out, "  %-8u %-18s %9s %9s %10s %10s  %.*s%s\n", process->pid, words_end(process),
               process->wall_ns == 0 ? "-" : words_seconds((double)process->wall_ns / 1e9),
               cpu_us == 0 ? "-" : words_seconds(seconds_of_us(cpu_us)),
               words_bytes(process->live_peak),
               process->resident_peak == 0 ? "-" : words_bytes(process->resident_peak),
               COMMAND_WIDTH, process->command, dots(process->command, COMMAND_WIDTH));
}

static void print_processes(const struct run_report *report, struct text *out)
{
    size_t indices[PROCESS_ROWS];
    const size_t shown = choice_processes(report, indices, PROCESS_ROWS);
    text_print(out, "\n  %-8s %-18s %9s %9s %10s %10s  %s\n", "process", "end", "wall", "CPU",
               "live peak", "resident", "command");
    for (size_t i = 0; i < shown; i++)
        print_process(&report->processes[indices[i]], out);
    if (shown < report->processes_count)
        text_print(out, "  and %zu more, with less live memory at their peaks\n",
                   report->processes_count - shown);
}

void report_text(const struct run_report *report, struct text *out)
{
    text_print(out, "terrane run: %.*s%s: %s\n", TITLE_WIDTH, report->command,
               dots(report->command, TITLE_WIDTH), words_end_of_run(&report->end));
    print_time(report, out);
    if (report->processes_count == 0) {
        text_print(out, "  no process counted: the program emptied its environment, or was killed "
                        "before it began\n");
        return;
    }
    print_memory(report, out);
    print_calls(report, out);
    print_pages(report, out);
    print_sizes(report, out);
    print_processes(report, out);
    if (report->unreadable > 0)
        text_print(out, "  %zu report pages could not be read and are missing above\n",
                   report->unreadable);
}
