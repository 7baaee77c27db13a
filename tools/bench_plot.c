/* Plots through gnuplot: for each plot a script with its data, which is kept beside the SVG so that
 * anyone can restyle it.
 *
 * Ratios become bars grouped by case; rows that tell their size (the figure "size_bytes") become
 * lines over the size; everything else becomes bars of values on a logarithmic scale. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has_sizes(const struct bench_plan *plan)
{
    for (unsigned i = 0; i < plan->case_count * plan->contender_count; i++) {
        if (bench_row_figure(&plan->rows[i], "size_bytes") != NULL)
            return true;
    }
    return false;
}

static double plotted_value(const struct bench_plan *plan, unsigned case_index,
                            unsigned contender_index, const char *name)
{
    const struct bench_row *row = bench_plan_row(plan, case_index, contender_index);
    const struct bench_figure *figure = bench_row_figure(row, name);
    if (figure == NULL || row->error != NULL)
        return NAN;
    if (!bench_figure_is_ratio(plan, name))
        return figure->median;
    const double best = bench_case_best(plan, case_index, name);
    return best > 0 ? figure->median / best : NAN;
}

static void put_value(struct text *script, double value)
{
    if (isfinite(value))
        text_print(script, " %.6g", value);
    else
        text_print(script, " ?");
}

/* The block $data: a heading, then a line for each case: its name, its size or 0, and a value for
 * each contender. */
static void put_data(const struct bench_plan *plan, const char *figure, struct text *script)
{
    text_print(script, "$data << END\ncase size");
    for (unsigned i = 0; i < plan->contender_count; i++)
        text_print(script, " %s", plan->contenders[i].name);
    text_print(script, "\n");
    for (unsigned i = 0; i < plan->case_count; i++) {
        if (plan->cases[i].absent != NULL)
            continue;
        double size = 0;
        for (unsigned j = 0; j < plan->contender_count; j++) {
            const struct bench_figure *found =
                bench_row_figure(bench_plan_row(plan, i, j), "size_bytes");
            size = found != NULL ? found->median : size;
        }
        text_print(script, "%s %.0f", plan->cases[i].name, size);
        for (unsigned j = 0; j < plan->contender_count; j++)
            put_value(script, plotted_value(plan, i, j, figure));
        text_print(script, "\n");
    }
    text_print(script, "END\n");
}

/* One curve or set of bars for each contender that is here; `before` and `after` stand around the
 * number of its column. A contender keeps its colour when others are left out. */
static void put_series(const struct bench_plan *plan, const char *before, const char *after,
                       struct text *script)
{
    static const char *const colours[] = {"#8c8c8c", "#c0392b", "#2e86c1", "#d4a017", "#27ae60",
                                          "#8e44ad", "#16a085", "#e67e22", "#2c3e50", "#7b241c"};
    const char *separator = "plot";
    for (unsigned i = 0; i < plan->contender_count; i++) {
        if (!plan->contenders[i].is_present)
            continue;
        text_print(script, "%s $data using %s%u%s linecolor rgb '%s' title columnheader(%u)",
                   separator, before, i + 3, after,
                   colours[i % (sizeof(colours) / sizeof(colours[0]))], i + 3);
        separator = ",";
    }
    text_print(script, "\n");
}

static void put_lines(const struct bench_plan *plan, struct text *script)
{
    text_print(script, "set logscale x 2\nset logscale y\nset key left top\nset grid\n"
                       "set xtics rotate by -50\n");
    put_series(plan, "2:", ":xtic(1) with linespoints linewidth 2", script);
}

static void put_bars(const struct bench_plan *plan, bool is_ratio, struct text *script)
{
    if (is_ratio)
        text_print(script, "set yrange [0:4]\n"); /* a bar that leaves the top is bad enough */
    else
        text_print(script, "set logscale y\n");
    text_print(script, "set style data histogram\nset style histogram clustered gap 1\n"
                       "set style fill solid 0.8\nset boxwidth 0.9\nset grid ytics\n"
                       "set key outside top center horizontal\nset xtics rotate by -50\n");
    put_series(plan, "", ":xtic(1)", script);
}

static void put_script(const struct bench_plan *plan, const char *figure, const char *image,
                       struct text *script)
{
    const unsigned bars = plan->case_count * plan->contender_count;
    const bool sized = has_sizes(plan);
    const bool is_ratio = bench_figure_is_ratio(plan, figure);
    text_print(script, "set terminal svg size %u,520 dynamic font 'sans,12' background 'white'\n",
               sized || bars < 60 ? 900 : 900 + (bars - 60) * 7);
    text_print(script, "set output '%s'\nset datafile missing '?'\nset rmargin 12\n", image);
    text_print(script, "set title 'terrane bench %s: %s%s' noenhanced\n", plan->bench->name,
               bench_figure_title(figure),
               is_ratio ? "; ratio to the best of each case, lower is better" : "");
    if (!is_ratio && strcmp(bench_figure_unit(figure), "s") == 0)
        text_print(script, "set format y '%%.0s %%cs'\n");
    text_print(script, "set tics noenhanced\nset key noenhanced\n");
    put_data(plan, figure, script);
    if (sized)
        put_lines(plan, script);
    else
        put_bars(plan, is_ratio, script);
}

/* gnuplot takes a plot without a single point for an error. */
static bool has_values(const struct bench_plan *plan, const char *figure)
{
    for (unsigned i = 0; i < plan->case_count; i++) {
        for (unsigned j = 0; j < plan->contender_count; j++) {
            if (isfinite(plotted_value(plan, i, j, figure)))
                return true;
        }
    }
    return false;
}

static int run_gnuplot(const char *script_path)
{
    const pid_t pid = fork();
    if (pid == 0) {
        execlp("gnuplot", "gnuplot", script_path, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static int plot_figure(const struct bench_plan *plan, const char *dir, const char *figure)
{
    char *image = string_print("%s/%s-%s.svg", dir, plan->bench->name, figure);
    char *script_path = string_print("%s/%s-%s.gnuplot", dir, plan->bench->name, figure);
    struct text script = {NULL, 0, 0};
    put_script(plan, figure, image, &script);
    const int written = text_write_file(script_path, script.bytes, script.length);
    int status = EXIT_SUCCESS;
    if (written != 0) {
        fprintf(stderr, "terrane bench: cannot write %s: %s\n", script_path, strerror(-written));
        status = EXIT_FAILURE;
    } else if (run_gnuplot(script_path) != 0) {
        fprintf(stderr, "terrane bench: gnuplot failed on %s\n", script_path);
        status = EXIT_FAILURE;
    }
    text_free(&script);
    free(image);
    free(script_path);
    return status;
}

int bench_plot_write(const struct bench_plan *plan, const char *dir)
{
    char *list = string_copy(plan->bench->figures);
    char *rest = list;
    int status = EXIT_SUCCESS;
    for (char *figure = strsep(&rest, ","); figure != NULL; figure = strsep(&rest, ",")) {
        if (!has_values(plan, figure))
            continue;
        const int one = plot_figure(plan, dir, figure);
        status = one != EXIT_SUCCESS ? one : status;
    }
    free(list);
    return status;
}
