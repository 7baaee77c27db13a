/* The report as one page: style, figures, plots and tables in one file that loads nothing. */
#include "report_render.h"

#include <string.h>
#include <terrane/version.h>

#define PROCESS_ROWS 60

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>terrane run</title>\n<style>\n"
    ":root { --paper: #fbfaf7; --card: #ffffff; --ink: #23262b; --soft: #6a6f78;\n"
    "  --line: #e3e0d8; --live: #1f7a6d; --fill: #1f7a6d33; --resident: #b5793a;\n"
    "  --moved: #1f7a6d; --place: #5aa79b; --same: #b9cfcb; --copied: #c2553d; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  :root { --paper: #16181b; --card: #1e2125; --ink: #e6e4df; --soft: #989ea8;\n"
    "    --line: #33373d; --live: #55c2b0; --fill: #55c2b033; --resident: #e0a765;\n"
    "    --moved: #55c2b0; --place: #3b8a7d; --same: #34534f; --copied: #e58268; } }\n"
    "body { margin: 0 auto; padding: 28px 20px 40px; max-width: 940px; background: var(--paper);\n"
    "  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }\n"
    "h1 { font-size: 22px; margin: 0; overflow-wrap: anywhere; }\n"
    "h2 { font-size: 16px; margin: 34px 0 2px; }\n"
    "p { margin: 2px 0 10px; color: var(--soft); }\n"
    "section.cards { display: grid; gap: 10px; margin: 18px 0 0;\n"
    "  grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); }\n"
    ".card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;\n"
    "  padding: 10px 14px; }\n"
    ".card b { display: block; font-size: 20px; font-weight: 600; }\n"
    ".card span { color: var(--soft); font-size: 13px; }\n"
    "figure { margin: 8px 0 0; background: var(--card); border: 1px solid var(--line);\n"
    "  border-radius: 8px; padding: 12px 8px 4px; }\n"
    "svg { display: block; width: 100%; height: auto; }\n"
    "svg.spark { width: 120px; height: 22px; }\n"
    "svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }\n"
    "svg text.name, svg text.number { fill: var(--ink); font-size: 13px; }\n"
    ".grid { stroke: var(--line); } .bar { fill: var(--live); }\n"
    ".live { fill: var(--fill); stroke: var(--live); stroke-width: 1.5; }\n"
    ".resident { fill: none; stroke: var(--resident); stroke-width: 1.5; }\n"
    ".moved { fill: var(--moved); } .place { fill: var(--place); }\n"
    ".same { fill: var(--same); } .copied { fill: var(--copied); }\n"
    ".key::before { content: ''; display: inline-block; width: 12px; height: 12px;\n"
    "  margin: 0 6px 0 14px; border-radius: 3px; vertical-align: -1px; background: var(--key); }\n"
    "div.wide { overflow-x: auto; }\n"
    "table { border-collapse: collapse; width: 100%; font-size: 13.5px; margin-top: 8px; }\n"
    "th, td { text-align: right; padding: 5px 8px; border-bottom: 1px solid var(--line);\n"
    "  white-space: nowrap; font-variant-numeric: tabular-nums; }\n"
    "th { color: var(--soft); font-weight: 500; }\n"
    "th.text, td.text { text-align: left; }\n"
    "td.command { text-align: left; white-space: normal; overflow-wrap: anywhere;\n"
    "  min-width: 180px; font-family: ui-monospace, monospace; font-size: 12.5px; }\n"
    "</style>\n</head>\n<body>\n";

static double seconds_of_us(uint64_t microseconds)
{
    return (double)microseconds / 1e6;
}

static void card(struct text *out, const char *value, const char *label)
{
    text_print(out, "<div class=\"card\"><b>%s</b><span>%s</span></div>\n", value, label);
}

static void write_cards(const struct run_report *report, struct text *out)
{
    const double cpu = seconds_of_us(report->user_us + report->system_us);
    text_print(out, "<section class=\"cards\">\n");
    card(out, words_seconds((double)report->wall_ns / 1e9), "wall time, while counted");
    card(out, words_seconds(cpu), "CPU time, user and system");
    card(out, words_percent((double)report->allocator_ns / 1e9, cpu),
         "of the CPU time inside malloc, about");
    card(out, words_bytes(report->live_peak), "peak of live objects");
    card(out, words_bytes(report->live_mean), "live on average");
    card(out, words_bytes(report->resident_peak), "peak resident, largest process");
    card(out, words_count(report->counts.allocs), "allocations");
    card(out, words_count(report->minor_faults + report->major_faults), "page faults");
    text_print(out, "</section>\n");
}

static void write_plots(const struct run_report *report, struct text *out)
{
    text_print(
        out, "<h2>Memory over time</h2>\n<p>All processes together."
             "<span class=\"key\" style=\"--key: var(--live)\">live objects</span>"
             "<span class=\"key\" style=\"--key: var(--resident)\">resident</span></p>\n<figure>");
    plot_memory(report, out);
    text_print(out, "</figure>\n<h2>Remapped against copied</h2>\n<p>What resizing kept: contents "
                    "that stayed, had their pages remapped, or were copied.</p>\n<figure>");
    plot_resizes(report, out);
    text_print(out,
               "</figure>\n<h2>Requests by size</h2>\n<p>Each bar is a doubling, up to the size "
               "below it; heights are logarithmic.</p>\n<figure>");
    plot_sizes(report, out);
    text_print(out, "</figure>\n");
}

static void figure_row(struct text *out, const char *name, const char *value, const char *meaning)
{
    text_print(out, "<tr><td class=\"text\">%s</td><td>%s</td><td class=\"text\">%s</td></tr>\n",
               name, value, meaning);
}

static void write_figures(const struct run_report *report, struct text *out)
{
    const struct terrane_stats *stats = &report->stats;
    const struct run_counts *counts = &report->counts;
    text_print(out, "<h2>Figures</h2>\n<div class=\"wide\"><table>\n");
    figure_row(out, "requested", words_bytes(counts->alloc_bytes), "by all calls together");
    figure_row(out, "frees", words_count(counts->frees), "");
    figure_row(out, "page moves", words_count(stats->moves), "ranges remapped by the kernel");
    figure_row(out, "bytes moved", words_bytes(stats->move_bytes), "that no one had to copy");
    figure_row(out, "copies", words_count(stats->copies), "resizes and moves that copied");
    figure_row(out, "bytes copied", words_bytes(stats->copy_bytes), "");
    figure_row(out, "grown in place", words_count(stats->grown_in_place), "large objects");
    figure_row(out, "given back", words_bytes(stats->discard_bytes), "free pages, to the kernel");
    figure_row(out, "mappings", words_count(stats->mappings), "at the end, all processes");
    figure_row(out, "budget refusals", words_count(stats->budget_refusals),
               "moves that copied for want of mappings");
    figure_row(out, "remote frees", words_count(stats->remote_frees), "by another thread");
    figure_row(out, "minor faults", words_count(report->minor_faults),
               "pages mapped at first touch");
    figure_row(out, "major faults", words_count(report->major_faults), "pages read from a disk");
    text_print(out, "</table></div>\n");
}

static void process_row(const struct run_process *process, struct text *out)
{
    const uint64_t cpu_us = process->user_us + process->system_us;
    text_print(out,
               "<tr><td>%u</td><td class=\"text\">%s</td><td>%s</td><td>%s</td><td>%s</td>"
               "<td>%s</td><td>%s</td><td>",
               process->pid, words_end(process),
               process->wall_ns == 0 ? "" : words_seconds((double)process->wall_ns / 1e9),
               cpu_us == 0 ? "" : words_seconds(seconds_of_us(cpu_us)),
               words_count(process->counts.allocs), words_bytes(process->live_peak),
               process->resident_peak == 0 ? "" : words_bytes(process->resident_peak));
    plot_spark(process, out);
    text_print(out, "</td><td class=\"command\">%s", process->forked ? "fork of " : "");
    html_escape(out, process->command);
    text_print(out, "</td></tr>\n");
}

static void write_processes(const struct run_report *report, struct text *out)
{
    size_t indices[PROCESS_ROWS];
    const size_t shown = choice_processes(report, indices, PROCESS_ROWS);
    text_print(out,
               "<h2>Processes</h2>\n<p>The program first, then those with the highest peaks; "
               "%zu of %zu.</p>\n<div class=\"wide\"><table>\n<tr><th>process</th>"
               "<th class=\"text\">end</th><th>wall</th><th>CPU</th><th>allocations</th>"
               "<th>live peak</th><th>resident</th><th>live, over time</th>"
               "<th class=\"text\">command</th></tr>\n",
               shown, report->processes_count);
    for (size_t i = 0; i < shown; i++)
        process_row(&report->processes[indices[i]], out);
    text_print(out, "</table></div>\n");
}

void report_html(const struct run_report *report, struct text *out)
{
    text_append(out, page_head, strlen(page_head));
    text_print(out, "<h1>");
    html_escape(out, report->command);
    text_print(out, "</h1>\n<p>%s, on terrane's malloc</p>\n", words_end_of_run(&report->end));
    if (report->processes_count == 0) {
        text_print(out, "<p>No process counted: the program emptied its environment, or was killed "
                        "before it began.</p>\n");
    } else {
        write_cards(report, out);
        write_plots(report, out);
        write_figures(report, out);
        write_processes(report, out);
    }
    if (report->unreadable > 0)
        text_print(out, "<p>%zu report pages could not be read and are missing here.</p>\n",
                   report->unreadable);
    text_print(out,
               "<p>terrane %d.%d.%d. Times include the counting; live bytes of a fork include "
               "what it shares with its parent.</p>\n</body>\n</html>\n",
               TERRANE_VERSION_MAJOR, TERRANE_VERSION_MINOR, TERRANE_VERSION_PATCH);
}
