/* bench move: an object given from heap to heap by page table, beside copying it.
 *
 * Copying is shown in three forms, because each is what somebody compares with: into memory that is
 * there already (the cheapest, when one has it), into memory just mapped (what a fresh buffer
 * costs), and the way without a move: allocate in the other heap, copy, free. The crossover is
 * where moving starts to be cheaper on this machine. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MIN   ((uint64_t)4 << 10)
#define SIZE_MOST  ((uint64_t)1 << 30)
#define SIZE_QUICK ((uint64_t)64 << 20)

static const char *const ways[][2] = {{"move", "how=move"},
                                      {"owner", "how=owner"},
                                      {"copy", "how=copy"},
                                      {"warm", "how=warm"},
                                      {"fresh", "how=fresh"}};

static char *size_name(uint64_t bytes)
{
    if (bytes >= (uint64_t)1 << 30)
        return string_print("%lluG", (unsigned long long)(bytes >> 30));
    if (bytes >= (uint64_t)1 << 20)
        return string_print("%lluM", (unsigned long long)(bytes >> 20));
    return string_print("%lluK", (unsigned long long)(bytes >> 10));
}

static int plan_move(struct bench_plan *plan)
{
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        bench_plan_contender(plan, ways[i][0])->argument = ways[i][1];
    const uint64_t most = plan->options->quick ? SIZE_QUICK : SIZE_MOST;
    for (uint64_t size = SIZE_MIN; size <= most; size *= 2) {
        char *name = size_name(size);
        char *arguments = string_print("size=%llu", (unsigned long long)size);
        bench_plan_worker(plan, name, "move_heap", arguments);
        free(arguments);
        free(name);
    }
    return EXIT_SUCCESS;
}

static double median_of(const struct bench_plan *plan, unsigned case_index, const char *way)
{
    for (unsigned i = 0; i < plan->contender_count; i++) {
        if (strcmp(plan->contenders[i].name, way) != 0)
            continue;
        const struct bench_row *row = bench_plan_row(plan, case_index, i);
        const struct bench_figure *figure = bench_row_figure(row, plan->figure);
        return figure == NULL || row->error != NULL ? NAN : figure->median;
    }
    return NAN;
}

/* Where moving starts to win against one way of copying, and by how much at the largest size. */
static void conclude_against(const struct bench_plan *plan, const char *way, struct text *out)
{
    unsigned crossover = plan->case_count;
    double worst = 0;
    for (unsigned i = plan->case_count; i > 0; i--) {
        const double ratio = median_of(plan, i - 1, "move") / median_of(plan, i - 1, way);
        if (!isfinite(ratio))
            return;
        worst = ratio > worst ? ratio : worst;
        if (ratio < 1 && crossover == i)
            crossover = i - 1;
    }
    const unsigned last = plan->case_count - 1;
    const double factor = median_of(plan, last, way) / median_of(plan, last, "move");
    if (crossover == plan->case_count)
        text_print(out, "move against %s: never ahead at the largest size", way);
    else
        text_print(out, "move against %s: ahead from %s on", way, plan->cases[crossover].name);
    text_print(out, "; %.0f x at %s; worst ratio %.2f\n", factor, plan->cases[last].name, worst);
}

static void conclude_move(const struct bench_plan *plan, struct text *out)
{
    conclude_against(plan, "copy", out);
    conclude_against(plan, "warm", out);
    conclude_against(plan, "fresh", out);
}

const struct bench bench_move = {
    .name = "move",
    .summary = "an object moved from heap to heap by page table, 4 KiB to 1 GiB, beside memcpy",
    .figure = "move_s",
    .figures = "move_s,read_s",
    .style = BENCH_STYLE_VALUES,
    .rounds = 5,
    .rounds_quick = 1,
    .plan = plan_move,
    .conclude = conclude_move,
};
