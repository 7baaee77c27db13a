/* The rounds: every case under every contender in turns.
 *
 * Round 0 is the warm-up: its figures are dropped, except the count of system calls, for which it
 * runs traced. Each round starts with another contender. Before each process as much memory as the
 * case has ever used is touched and freed (see bench_process_warm_memory). */
#include "bench.h"
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM_BYTES_MIN ((size_t)32 << 20)
/* More is not touched: it would cost more time than it is worth in accuracy. */
#define WARM_BYTES_MAX ((size_t)1 << 30)

struct reading {
    struct bench_row *row;
    bool is_counted;
    size_t peak_bytes;
};

static void fail_row(struct bench_row *row, const char *reason)
{
    if (row->error == NULL)
        row->error = string_copy(reason);
}

static void take_member(void *context, const char *key, const char *text, double number)
{
    struct reading *reading = context;
    struct bench_row *row = reading->row;
    if (text == NULL) {
        if (reading->is_counted)
            bench_row_add(row, key, number);
        if (strcmp(key, "peak_bytes") == 0)
            reading->peak_bytes = (size_t)number;
    } else if (strcmp(key, "output") == 0) {
        if (row->output == NULL)
            row->output = string_copy(text);
        else if (strcmp(row->output, text) != 0)
            fail_row(row, "its output differs from round to round");
    } else if (strcmp(key, "note") == 0 && row->note == NULL) {
        row->note = string_copy(text);
    }
}

static void show_progress(const struct bench_plan *plan, unsigned case_index, unsigned round,
                          const char *contender)
{
    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[K%s %u/%u %s, round %u of %u, %s", plan->bench->name, case_index + 1,
            plan->case_count, plan->cases[case_index].name, round, plan->rounds, contender);
    fflush(stderr);
}

static void clear_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

/* One process. Returns false when the user has interrupted it. */
static bool run_once(struct bench_plan *plan, unsigned case_index, unsigned contender_index,
                     unsigned round, size_t *warm_bytes)
{
    struct bench_row *row = bench_plan_row(plan, case_index, contender_index);
    const struct bench_launch launch = {
        .what = &plan->cases[case_index],
        .contender = &plan->contenders[contender_index],
        .count_system_calls = round == 0 && plan->bench->has_system_calls,
    };
    show_progress(plan, case_index, round, launch.contender->name);
    bench_process_warm_memory(*warm_bytes);
    struct bench_outcome outcome;
    bench_process_run(&launch, &outcome);
    struct reading reading = {.row = row, .is_counted = round > 0};
    if (outcome.error.length > 0)
        fail_row(row, text_string(&outcome.error));
    else if (!json_read_object(text_string(&outcome.line), take_member, &reading))
        fail_row(row, "its report is not one JSON object");
    else if (outcome.has_system_calls)
        bench_row_add(row, "system_calls", (double)outcome.system_calls);
    if (reading.peak_bytes > *warm_bytes && *warm_bytes < WARM_BYTES_MAX)
        *warm_bytes = reading.peak_bytes < WARM_BYTES_MAX ? reading.peak_bytes : WARM_BYTES_MAX;
    const bool interrupted = outcome.interrupted;
    bench_outcome_free(&outcome);
    return !interrupted;
}

/* A row is over when it failed, or when it could not finish its work in time: it would not in the
 * next round either. */
static bool row_goes_on(const struct bench_plan *plan, unsigned case_index,
                        unsigned contender_index)
{
    const struct bench_row *row = bench_plan_row(plan, case_index, contender_index);
    const struct bench_contender *contender = &plan->contenders[contender_index];
    return contender->is_present && bench_case_has(&plan->cases[case_index], contender) &&
           row->error == NULL && row->note == NULL;
}

/* All contenders must have computed the same. */
static void compare_outputs(struct bench_plan *plan, unsigned case_index)
{
    const struct bench_row *reference = NULL;
    for (unsigned i = 0; i < plan->contender_count; i++) {
        struct bench_row *row = bench_plan_row(plan, case_index, i);
        if (row->output == NULL || row->note != NULL || row->error != NULL)
            continue;
        if (reference == NULL)
            reference = row;
        else if (strcmp(reference->output, row->output) != 0)
            fail_row(row, "its output differs from the first contender's");
    }
}

static bool run_case(struct bench_plan *plan, unsigned case_index)
{
    const size_t asked = plan->cases[case_index].warm_bytes;
    size_t warm_bytes = asked > WARM_BYTES_MIN ? asked : WARM_BYTES_MIN;
    for (unsigned round = plan->bench->has_warm_up ? 0 : 1; round <= plan->rounds; round++) {
        for (unsigned i = 0; i < plan->contender_count; i++) {
            const unsigned contender = (i + round) % plan->contender_count;
            if (row_goes_on(plan, case_index, contender) &&
                !run_once(plan, case_index, contender, round, &warm_bytes))
                return false;
        }
    }
    compare_outputs(plan, case_index);
    return true;
}

int bench_rounds_run(struct bench_plan *plan)
{
    for (unsigned i = 0; i < plan->case_count; i++) {
        if (plan->cases[i].absent == NULL && !run_case(plan, i)) {
            clear_progress();
            fprintf(stderr, "terrane bench: interrupted\n");
            return 130;
        }
    }
    clear_progress();
    bench_figures_finish(plan);
    return EXIT_SUCCESS;
}
