/* The machine-readable report: one element of "rows" for each case under each contender. */
#include "bench.h"
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_figures(const struct bench_row *row, struct json *json)
{
    json_begin_object(json, "figures");
    for (unsigned i = 0; i < row->figure_count; i++) {
        const struct bench_figure *figure = &row->figures[i];
        json_begin_object(json, figure->name);
        json_number(json, "median", figure->median);
        json_number(json, "ratio_to_best_other", figure->ratio_to_best_other);
        json_begin_array(json, "values");
        for (unsigned j = 0; j < figure->count; j++)
            json_number(json, NULL, figure->values[j]);
        json_end_array(json);
        json_end_object(json);
    }
    json_end_object(json);
}

static void write_row(const struct bench_plan *plan, unsigned case_index, unsigned contender_index,
                      struct json *json)
{
    const struct bench_row *row = bench_plan_row(plan, case_index, contender_index);
    const struct bench_figure *figure = bench_row_figure(row, plan->figure);
    const char *unit = bench_figure_unit(plan->figure);
    json_begin_object(json, NULL);
    json_string(json, "bench", plan->bench->name);
    json_string(json, "case", plan->cases[case_index].name);
    json_string(json, "contender", plan->contenders[contender_index].name);
    json_string(json, "figure", plan->figure);
    json_number(json, "median", figure == NULL || row->error != NULL ? NAN : figure->median);
    json_string(json, "unit", unit[0] == '\0' ? "count" : unit);
    json_number(json, "ratio_to_best_other",
                figure == NULL || row->error != NULL ? NAN : figure->ratio_to_best_other);
    json_bool(json, "complete", bench_row_is_complete(row));
    if (plan->cases[case_index].threads != 0)
        json_integer(json, "threads", plan->cases[case_index].threads);
    if (row->note != NULL)
        json_string(json, "note", row->note);
    if (row->error != NULL)
        json_string(json, "error", row->error);
    write_figures(row, json);
    json_end_object(json);
}

void bench_report_rows(const struct bench_plan *plan, struct json *json)
{
    for (unsigned i = 0; i < plan->case_count; i++) {
        if (plan->cases[i].absent != NULL)
            continue;
        for (unsigned j = 0; j < plan->contender_count; j++) {
            if (plan->contenders[j].is_present &&
                bench_case_has(&plan->cases[i], &plan->contenders[j]))
                write_row(plan, i, j, json);
        }
    }
}

static void write_summary(const struct bench_plan *plan, unsigned contender_index, unsigned threads,
                          const char *figure, struct json *json)
{
    const struct bench_summary sum = bench_summarize(plan, contender_index, threads, figure);
    if (sum.cases == 0)
        return;
    json_begin_object(json, NULL);
    json_string(json, "bench", plan->bench->name);
    json_string(json, "contender", plan->contenders[contender_index].name);
    json_string(json, "figure", figure);
    if (threads != 0)
        json_integer(json, "threads", threads);
    json_integer(json, "cases", sum.cases);
    json_integer(json, "not_finished", sum.failures);
    json_number(json, "geometric_mean_to_best", sum.geometric_mean);
    json_number(json, "worst", sum.worst);
    json_string(json, "worst_case", sum.worst_case);
    json_end_object(json);
}

void bench_report_summary(const struct bench_plan *plan, struct json *json)
{
    const char *const figures[] = {plan->figure, bench_plan_beside(plan), "peak_bytes"};
    if (!plan->bench->has_summary)
        return;
    for (unsigned threads = 0; threads <= 2; threads++) {
        for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
            for (unsigned j = 0; j < plan->contender_count; j++)
                write_summary(plan, j, threads, figures[i], json);
        }
    }
}
