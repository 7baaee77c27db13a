/* Tables for people: one for each figure asked for, then the summary. */
#define _GNU_SOURCE
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASE_WIDTH 26
#define CELL_WIDTH 12

static void print_seconds(struct text *out, double seconds)
{
    if (seconds >= 0.1 || seconds <= 0)
        text_print(out, "%.3f s", seconds);
    else if (seconds >= 1e-3)
        text_print(out, "%.2f ms", seconds * 1e3);
    else if (seconds >= 1e-6)
        text_print(out, "%.2f us", seconds * 1e6);
    else
        text_print(out, "%.0f ns", seconds * 1e9);
}

void bench_value_print(struct text *out, const char *figure, double value)
{
    const char *unit = bench_figure_unit(figure);
    if (isnan(value))
        text_print(out, "-");
    else if (strcmp(unit, "s") == 0)
        print_seconds(out, value);
    else if (strcmp(unit, "bytes") == 0)
        text_print(out, "%.2f MiB", value / (1 << 20));
    else if (strcmp(unit, "ratio") == 0)
        text_print(out, "%.3f", value);
    else if (value >= 1e5)
        text_print(out, "%.0f k", value / 1e3);
    else
        text_print(out, "%.0f", value);
}

/* Appends `cell` right-aligned, and empties it. */
static void put_cell(struct text *out, struct text *cell, int width)
{
    text_print(out, " %*s", width, text_string(cell));
    text_clear(cell);
}

static void put_heading(const struct bench_plan *plan, struct text *out, bool with_best)
{
    text_print(out, "%-*s", CASE_WIDTH, "case");
    if (with_best)
        text_print(out, " %*s", CELL_WIDTH, "best");
    for (unsigned i = 0; i < plan->contender_count; i++) {
        if (plan->contenders[i].is_present)
            text_print(out, " %*s", CELL_WIDTH, plan->contenders[i].name);
    }
    text_print(out, "\n");
}

/* The cell of one row: a ratio or a value, "failed", or marked when the work was not finished. */
static void print_cell(struct text *cell, const struct bench_plan *plan,
                       const struct bench_row *row, const char *name, double best)
{
    const struct bench_figure *figure = bench_row_figure(row, name);
    if (row->error != NULL) {
        text_print(cell, "failed");
        return;
    }
    if (figure == NULL) {
        text_print(cell, "-");
        return;
    }
    if (row->note != NULL)
        text_print(cell, "*");
    if (bench_figure_is_ratio(plan, name) && best > 0)
        text_print(cell, "%.2f", figure->median / best);
    else
        bench_value_print(cell, name, figure->median);
}

/* False if no contender was asked for this figure: there is nothing to show. */
static bool case_has_figure(const struct bench_plan *plan, unsigned case_index, const char *figure)
{
    bool has_other = false;
    for (unsigned i = 0; i < plan->contender_count; i++) {
        const struct bench_row *row = bench_plan_row(plan, case_index, i);
        if (bench_row_figure(row, figure) != NULL)
            return true;
        has_other = has_other || row->figure_count > 0;
    }
    return !has_other;
}

static void put_case(const struct bench_plan *plan, unsigned case_index, const char *figure,
                     struct text *out)
{
    struct text cell = {NULL, 0, 0};
    const double best = bench_case_best(plan, case_index, figure);
    text_print(out, "%-*s", CASE_WIDTH, plan->cases[case_index].name);
    if (plan->cases[case_index].absent != NULL) {
        text_print(out, "  left out: %s\n", plan->cases[case_index].absent);
        return;
    }
    if (bench_figure_is_ratio(plan, figure)) {
        bench_value_print(&cell, figure, best);
        put_cell(out, &cell, CELL_WIDTH);
    }
    for (unsigned i = 0; i < plan->contender_count; i++) {
        if (!plan->contenders[i].is_present)
            continue;
        print_cell(&cell, plan, bench_plan_row(plan, case_index, i), figure, best);
        put_cell(out, &cell, CELL_WIDTH);
    }
    text_print(out, "\n");
    text_free(&cell);
}

static void put_figure(const struct bench_plan *plan, const char *figure, struct text *out)
{
    const bool is_ratio = bench_figure_is_ratio(plan, figure);
    unsigned shown = 0;
    for (unsigned i = 0; i < plan->case_count; i++)
        shown += case_has_figure(plan, i, figure);
    if (shown == 0)
        return;
    text_print(out, "\n%s%s\n", bench_figure_title(figure),
               is_ratio ? ": the best of the row, and ratios to it" : "");
    put_heading(plan, out, is_ratio);
    for (unsigned i = 0; i < plan->case_count; i++) {
        if (case_has_figure(plan, i, figure))
            put_case(plan, i, figure, out);
    }
}

/* Every figure that some row has, comma-separated. The caller frees. */
static char *all_figures(const struct bench_plan *plan)
{
    struct text list = {NULL, 0, 0};
    for (unsigned i = 0; i < plan->case_count * plan->contender_count; i++) {
        const struct bench_row *row = &plan->rows[i];
        for (unsigned j = 0; j < row->figure_count; j++) {
            const char *name = row->figures[j].name;
            if (list.length > 0 && bench_list_has(text_string(&list), name))
                continue;
            text_print(&list, "%s%s", list.length > 0 ? "," : "", name);
        }
    }
    return list.bytes == NULL ? string_copy("") : list.bytes;
}

static void put_figures(const struct bench_plan *plan, struct text *out)
{
    const char *asked = plan->options->figures;
    char *list = asked == NULL               ? string_copy(plan->bench->figures)
                 : strcmp(asked, "all") == 0 ? all_figures(plan)
                                             : string_copy(asked);
    char *rest = list;
    for (char *figure = strsep(&rest, ","); figure != NULL; figure = strsep(&rest, ","))
        put_figure(plan, figure, out);
    free(list);
}

/* What is said once about rows and contenders: notes, failures, who is absent. */
static void put_remarks(const struct bench_plan *plan, struct text *out)
{
    for (unsigned i = 0; i < plan->case_count; i++) {
        for (unsigned j = 0; j < plan->contender_count; j++) {
            const struct bench_row *row = bench_plan_row(plan, i, j);
            const char *said = row->error != NULL ? row->error : row->note;
            if (said != NULL)
                text_print(out, "%s %s, %s: %s\n", row->error != NULL ? "FAILED" : "*",
                           plan->cases[i].name, plan->contenders[j].name, said);
        }
    }
    for (unsigned i = 0; i < plan->contender_count; i++) {
        const struct bench_contender *contender = &plan->contenders[i];
        if (!contender->is_present)
            text_print(out, "absent: %s (%s)\n", contender->name, contender->remedy);
    }
}

static void put_summary_row(const struct bench_plan *plan, unsigned contender, unsigned threads,
                            struct text *out)
{
    const char *figures[] = {plan->figure, bench_plan_beside(plan), "peak_bytes"};
    text_print(out, "%-12s", plan->contenders[contender].name);
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        const struct bench_summary sum = bench_summarize(plan, contender, threads, figures[i]);
        text_print(out, " %8.3f %7.2f %-18s", sum.geometric_mean, sum.worst,
                   sum.worst_case == NULL ? "-" : sum.worst_case);
        failures = sum.failures;
    }
    if (failures > 0)
        text_print(out, " %u not finished", failures);
    text_print(out, "\n");
}

static void put_summary(const struct bench_plan *plan, unsigned threads, struct text *out)
{
    unsigned cases = 0;
    for (unsigned i = 0; i < plan->case_count; i++)
        cases += threads == 0 || plan->cases[i].threads == threads;
    if (cases == 0)
        return;
    text_print(out, "\n%u cases", cases);
    if (threads != 0)
        text_print(out, " with %u thread%s", threads, threads == 1 ? "" : "s");
    text_print(out, ": geometric mean of the ratios to the best of each, and the worst\n");
    text_print(out, "%-12s %8s %7s %-18s %8s %7s %-18s %8s %7s %-18s\n", "", plan->figure, "worst",
               "", bench_plan_beside(plan), "worst", "", "peak", "worst", "");
    for (unsigned i = 0; i < plan->contender_count; i++) {
        if (plan->contenders[i].is_present)
            put_summary_row(plan, i, threads, out);
    }
}

void bench_table_print(const struct bench_plan *plan, struct text *out)
{
    text_print(out, "bench %s: median of %u round%s, seed %llu%s\n", plan->bench->name,
               plan->rounds, plan->rounds == 1 ? "" : "s", (unsigned long long)plan->options->seed,
               plan->options->quick ? ", quick: an impression, not a result" : "");
    put_figures(plan, out);
    if (plan->bench->has_summary) {
        put_summary(plan, 0, out);
        put_summary(plan, 1, out);
        put_summary(plan, 2, out);
    }
    text_print(out, "\n");
    put_remarks(plan, out);
    if (plan->bench->conclude != NULL)
        plan->bench->conclude(plan, out);
}
