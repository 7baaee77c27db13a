/* The report of `terrane run` in its three forms. */
#ifndef TERRANE_REPORT_RENDER_H
#define TERRANE_REPORT_RENDER_H

#include "run.h"
#include "text.h"

/* Appends the report to `out`. */
typedef void run_renderer(const struct run_report *report, struct text *out);
run_renderer report_text, report_json, report_html;

/* ---- report_words.c: what text and page say alike ---- */

/* Static strings of numbers for people, from a ring: several may be used in one call of printf.
 * 1.4 GiB · 12.3 million · 3.21 s · 4.1 % */
const char *words_bytes(uint64_t bytes);
const char *words_count(uint64_t count);
const char *words_seconds(double seconds);
const char *words_percent(double part, double whole);

/* "exit 0", "killed by SIGSEGV", "still running" ...; static, one at a time. */
const char *words_end(const struct run_process *process);

/* How the program that was run ended; static, one at a time. */
const char *words_end_of_run(const struct run_end *end);

/* "same class", "in place", "remapped", "copied". */
const char *words_resize(enum tn_resize how);

/* ---- report_choice.c: what is worth a line ---- */

/* Rows of the size histogram: neighbouring classes joined so that there are few rows. */
struct size_row {
    uint64_t from, to; /* bytes requested, both inclusive */
    uint64_t count;
};

/* Doublings from the smallest to the largest class in use; returns how many rows, at most `max`. */
size_t choice_sizes(const struct run_counts *counts, struct size_row *rows, size_t max);

/* Indices of the processes to show: the program itself first, then those with the highest live
 * peak. Returns how many, at most `max`. */
size_t choice_processes(const struct run_report *report, size_t *indices, size_t max);

/* ---- report_plot.c: inline SVG ---- */

void plot_memory(const struct run_report *report, struct text *out);
void plot_sizes(const struct run_report *report, struct text *out);
void plot_resizes(const struct run_report *report, struct text *out);
void plot_spark(const struct run_process *process, struct text *out);

/* Appends text with &, <, > and quotes as entities. */
void html_escape(struct text *out, const char *string);

#endif
