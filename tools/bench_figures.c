/* Figures of rows: medians, ratios to the best other, geometric means.
 *
 * Medians because a run can be disturbed but hardly be too fast. The geometric mean of the ratios
 * to the best of each case, because a mean of seconds would be the longest case's figure. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct bench_figure *bench_row_figure(const struct bench_row *row, const char *name)
{
    for (unsigned i = 0; i < row->figure_count; i++) {
        if (strcmp(row->figures[i].name, name) == 0)
            return &row->figures[i];
    }
    return NULL;
}

static struct bench_figure *row_figure_get(struct bench_row *row, const char *name)
{
    for (unsigned i = 0; i < row->figure_count; i++) {
        if (strcmp(row->figures[i].name, name) == 0)
            return &row->figures[i];
    }
    if (row->figure_count == BENCH_FIGURES_MAX || strlen(name) >= BENCH_NAME_MAX)
        return NULL;
    struct bench_figure *figure = &row->figures[row->figure_count++];
    *figure = (struct bench_figure){.ratio_to_best_other = NAN, .median = NAN};
    memcpy(figure->name, name, strlen(name) + 1);
    return figure;
}

void bench_row_add(struct bench_row *row, const char *name, double value)
{
    struct bench_figure *figure = row_figure_get(row, name);
    if (figure == NULL)
        return;
    figure->values = memory_resize(figure->values, figure->count + 1u, sizeof(double));
    figure->values[figure->count++] = value;
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_median(double *values, unsigned count)
{
    if (count == 0)
        return NAN;
    qsort(values, count, sizeof(double), compare_doubles);
    const double upper = values[count / 2];
    return count % 2 == 1 ? upper : (values[count / 2 - 1] + upper) / 2;
}

const char *bench_plan_beside(const struct bench_plan *plan)
{
    if (plan->bench->beside != NULL && strcmp(plan->figure, plan->bench->beside) != 0)
        return plan->bench->beside;
    if (plan->bench->beside != NULL)
        return plan->bench->figure;
    return strcmp(plan->figure, "cpu_s") == 0 ? "wall_s" : "cpu_s";
}

bool bench_row_is_complete(const struct bench_row *row)
{
    return row->error == NULL && row->note == NULL && row->figure_count > 0;
}

/* The least median among complete rows of a case, without `except` (case_count: none is left out).
 */
static double best_without(const struct bench_plan *plan, unsigned case_index, unsigned except,
                           const char *name)
{
    double best = INFINITY;
    for (unsigned i = 0; i < plan->contender_count; i++) {
        const struct bench_row *row = bench_plan_row(plan, case_index, i);
        if (i == except || !bench_row_is_complete(row))
            continue;
        const struct bench_figure *figure = bench_row_figure(row, name);
        if (figure != NULL && figure->median < best)
            best = figure->median;
    }
    return best;
}

double bench_case_best(const struct bench_plan *plan, unsigned case_index, const char *figure)
{
    const double best = best_without(plan, case_index, plan->contender_count, figure);
    return isfinite(best) ? best : 0;
}

static void row_medians(struct bench_row *row)
{
    for (unsigned i = 0; i < row->figure_count; i++) {
        struct bench_figure *figure = &row->figures[i];
        double *sorted = memory_get(figure->count * sizeof(double));
        memcpy(sorted, figure->values, figure->count * sizeof(double));
        figure->median = bench_median(sorted, figure->count);
        free(sorted);
    }
}

static void row_ratios(const struct bench_plan *plan, unsigned case_index, unsigned contender_index)
{
    struct bench_row *row = bench_plan_row(plan, case_index, contender_index);
    for (unsigned i = 0; i < row->figure_count; i++) {
        struct bench_figure *figure = &row->figures[i];
        const double best = best_without(plan, case_index, contender_index, figure->name);
        if (isfinite(best) && best > 0)
            figure->ratio_to_best_other = figure->median / best;
    }
}

void bench_figures_finish(struct bench_plan *plan)
{
    for (unsigned i = 0; i < plan->case_count * plan->contender_count; i++)
        row_medians(&plan->rows[i]);
    for (unsigned i = 0; i < plan->case_count; i++) {
        for (unsigned j = 0; j < plan->contender_count; j++)
            row_ratios(plan, i, j);
    }
}

struct bench_summary bench_summarize(const struct bench_plan *plan, unsigned contender_index,
                                     unsigned threads, const char *figure)
{
    struct bench_summary summary = {.geometric_mean = NAN};
    double log_sum = 0;
    for (unsigned i = 0; i < plan->case_count; i++) {
        if ((threads != 0 && plan->cases[i].threads != threads) || plan->cases[i].absent != NULL ||
            !bench_case_has(&plan->cases[i], &plan->contenders[contender_index]))
            continue;
        const struct bench_row *row = bench_plan_row(plan, i, contender_index);
        const struct bench_figure *found = bench_row_figure(row, figure);
        const double best = bench_case_best(plan, i, figure);
        if (found == NULL && bench_row_is_complete(row))
            continue; /* a case that looks for something else */
        if (found == NULL || !bench_row_is_complete(row) || best <= 0) {
            summary.failures++;
            continue;
        }
        const double ratio = found->median / best;
        log_sum += log(ratio);
        summary.cases++;
        if (ratio > summary.worst) {
            summary.worst = ratio;
            summary.worst_case = plan->cases[i].name;
        }
    }
    if (summary.cases > 0)
        summary.geometric_mean = exp(log_sum / summary.cases);
    return summary;
}

bool bench_figure_is_ratio(const struct bench_plan *plan, const char *figure)
{
    const char *values = plan->bench->values;
    return plan->bench->style == BENCH_STYLE_RATIOS &&
           (values == NULL || !bench_list_has(values, figure));
}

const char *bench_figure_unit(const char *figure)
{
    static const char *const units[] = {"s", "bytes", "ratio"};
    const char *suffix = strrchr(figure, '_');
    for (size_t i = 0; suffix != NULL && i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(suffix + 1, units[i]) == 0)
            return units[i];
    }
    return "";
}

const char *bench_figure_title(const char *figure)
{
    static const char *const titles[][2] = {
        {"wall_s", "wall time"},
        {"cpu_s", "CPU time (user and system)"},
        {"user_s", "CPU time, user"},
        {"sys_s", "CPU time, system"},
        {"peak_bytes", "peak memory"},
        {"minor_faults", "page faults, minor"},
        {"major_faults", "page faults, major"},
        {"cost_s", "cost of one operation"},
        {"realloc_s", "time inside realloc"},
        {"longest_s", "longest single call of realloc"},
        {"peak_ratio", "peak memory, as a multiple of the data"},
        {"cost_wall_s", "wall time of one operation"},
        {"resize_s", "time inside resize, of one growth"},
        {"channel_s", "the channel alone, for one piece"},
        {"thread_s", "CPU time of a thread from birth to end"},
        {"left_bytes", "resident some seconds after all was freed"},
        {"file_bytes", "in the file some seconds after all was freed"},
        {"resident_bytes", "most mapped memory at a time"},
        {"over_ratio", "share of the time more than a tenth above the budget"},
        {"cached_bytes", "most of the file in memory at a time"},
        {"build_s", "CPU time of one operation without adding up"},
        {"sum_s", "CPU time of adding up"},
        {"grown_bytes", "memory that the results add to what was there"},
        {"even_bytes", "least size at which sharing is cheaper than a copy"},
        {"even_untouched_bytes", "the same without adding up"},
        {"move_s", "one operation"},
        {"read_s", "reading a byte of each page afterwards"},
        {"system_calls", "system calls of the whole process (counted once)"},
    };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (strcmp(titles[i][0], figure) == 0)
            return titles[i][1];
    }
    return figure;
}
