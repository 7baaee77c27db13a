/* `terrane bench`: the list of benches, and the way from a command line to a report. */
#define _GNU_SOURCE
#include "bench.h"
#include "command.h"
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct bench *const benches[] = {
    &bench_kernel,  &bench_grow,   &bench_move,     &bench_malloc,
    &bench_regions, &bench_arrays, &bench_programs,
};

#define BENCH_COUNT (sizeof(benches) / sizeof(benches[0]))

/* The figures that every worker reports, and what the frame counts. */
static const char figures_common[] =
    "wall_s,cpu_s,user_s,sys_s,peak_bytes,minor_faults,major_faults,system_calls";

/* What one call of the command prints in the end. */
struct session {
    struct bench_options options;
    struct bench_machine machine;
    const struct bench *chosen[BENCH_COUNT];
    struct bench_plan plans[BENCH_COUNT];
    size_t count;
};

static int list_benches(void)
{
    puts("terrane bench [options] BENCH... | all\n\nbenches:");
    for (size_t i = 0; i < BENCH_COUNT; i++)
        printf("  %-10s %s\n", benches[i]->name, benches[i]->summary);
    puts("\n`terrane bench --help` lists the options, `terrane bench --list NAME` the cases.");
    return EXIT_SUCCESS;
}

static const struct bench *bench_find(const char *name)
{
    for (size_t i = 0; i < BENCH_COUNT; i++) {
        if (strcmp(benches[i]->name, name) == 0)
            return benches[i];
    }
    return NULL;
}

static int choose(struct session *session, const char *name)
{
    if (strcmp(name, "all") == 0) {
        memcpy(session->chosen, benches, sizeof(benches));
        session->count = BENCH_COUNT;
        return EXIT_SUCCESS;
    }
    const struct bench *found = bench_find(name);
    if (found == NULL)
        return usage_error("bench",
                           "unknown bench '%s'; there are kernel, grow, move, malloc, "
                           "regions, arrays, programs and all",
                           name);
    for (size_t i = 0; i < session->count; i++) {
        if (session->chosen[i] == found)
            return EXIT_SUCCESS;
    }
    session->chosen[session->count++] = found;
    return EXIT_SUCCESS;
}

/* True if every name in `list` is a figure of `bench`; else prints which one is not. */
static bool figures_are_known(const struct bench *bench, const char *option, const char *list)
{
    if (list == NULL || (strcmp(list, "all") == 0 && strcmp(option, "--figures") == 0))
        return true;
    char *copy = string_copy(list);
    char *rest = copy;
    bool known = true;
    for (char *name = strsep(&rest, ","); name != NULL && known; name = strsep(&rest, ",")) {
        known = bench_list_has(figures_common, name) || bench_list_has(bench->figures, name);
        if (!known)
            usage_error("bench", "%s: bench '%s' has no figure '%s'; it has %s and %s", option,
                        bench->name, name, bench->figures, figures_common);
    }
    free(copy);
    return known;
}

static int check_options(const struct session *session)
{
    const struct bench_options *options = &session->options;
    for (size_t i = 0; i < session->count; i++) {
        if (!figures_are_known(session->chosen[i], "--by", options->by) ||
            !figures_are_known(session->chosen[i], "--figures", options->figures))
            return EXIT_USAGE;
    }
    struct stat folder;
    const char *scratch = options->scratch_dir;
    if (scratch != NULL && (stat(scratch, &folder) != 0 || !S_ISDIR(folder.st_mode)))
        return usage_error("bench", "--scratch-dir: %s is not a folder", scratch);
    for (unsigned i = 0; i < options->library_count; i++) {
        struct stat status;
        const char *path = strchr(options->libraries[i], '=') + 1;
        if (stat(path, &status) != 0)
            return usage_error("bench", "--library: cannot read %s: %s", path, strerror(errno));
    }
    if (options->plot_dir == NULL)
        return EXIT_SUCCESS;
    char *gnuplot = bench_program_path("gnuplot");
    const bool has_gnuplot = gnuplot != NULL;
    free(gnuplot);
    if (!has_gnuplot)
        return usage_error("bench", "--plot needs gnuplot (apt-get install gnuplot-nox)");
    if (mkdir(options->plot_dir, 0777) != 0 && errno != EEXIST)
        return usage_error("bench", "--plot: cannot make %s: %s", options->plot_dir,
                           strerror(errno));
    return EXIT_SUCCESS;
}

static int make_plan(const struct session *session, const struct bench *bench,
                     struct bench_plan *plan)
{
    const struct bench_options *options = &session->options;
    const unsigned rounds = options->quick ? bench->rounds_quick : bench->rounds;
    *plan = (struct bench_plan){
        .bench = bench,
        .options = options,
        .figure = options->by == NULL ? bench->figure : options->by,
        .rounds = options->rounds != 0 ? options->rounds : rounds,
    };
    const int status = bench->plan(plan);
    return status != EXIT_SUCCESS ? status : bench_plan_select(plan);
}

static void list_plan(const struct bench_plan *plan)
{
    printf("%s: %s\n  contenders:", plan->bench->name, plan->bench->summary);
    for (unsigned i = 0; i < plan->contender_count; i++)
        printf(" %s%s", plan->contenders[i].name,
               plan->contenders[i].is_present ? "" : " (absent)");
    printf("\n  cases:\n");
    for (unsigned i = 0; i < plan->case_count; i++) {
        const struct bench_case *listed = &plan->cases[i];
        printf("    %s%s%s\n", listed->name, listed->absent == NULL ? "" : "  left out: ",
               listed->absent == NULL ? "" : listed->absent);
    }
}

/* Runs one bench and prints its tables unless JSON was asked for. */
static int run_plan(struct session *session, struct bench_plan *plan)
{
    const int status = bench_rounds_run(plan);
    if (status != EXIT_SUCCESS)
        return status;
    if (!session->options.json) {
        struct text out = {NULL, 0, 0};
        bench_table_print(plan, &out);
        text_print(&out, "\n");
        fputs(text_string(&out), stdout);
        fflush(stdout);
        text_free(&out);
    }
    return session->options.plot_dir == NULL ? EXIT_SUCCESS
                                             : bench_plot_write(plan, session->options.plot_dir);
}

static void write_absent(const struct bench_plan *plan, struct json *json)
{
    for (unsigned i = 0; i < plan->contender_count; i++) {
        if (plan->contenders[i].is_present)
            continue;
        json_begin_object(json, NULL);
        json_string(json, "bench", plan->bench->name);
        json_string(json, "contender", plan->contenders[i].name);
        json_string(json, "remedy", plan->contenders[i].remedy);
        json_end_object(json);
    }
    for (unsigned i = 0; i < plan->case_count; i++) {
        if (plan->cases[i].absent == NULL)
            continue;
        json_begin_object(json, NULL);
        json_string(json, "bench", plan->bench->name);
        json_string(json, "case", plan->cases[i].name);
        json_string(json, "remedy", plan->cases[i].absent);
        json_end_object(json);
    }
}

static void print_json(const struct session *session)
{
    struct text out = {NULL, 0, 0};
    struct json json = {&out, false};
    json_begin_object(&json, NULL);
    json_string(&json, "bench", session->count == 1 ? session->chosen[0]->name : "several");
    bench_machine_json(&session->machine, &json);
    json_integer(&json, "seed", session->options.seed);
    json_bool(&json, "quick", session->options.quick);
    json_begin_array(&json, "rows");
    for (size_t i = 0; i < session->count; i++)
        bench_report_rows(&session->plans[i], &json);
    json_end_array(&json);
    json_begin_array(&json, "summary");
    for (size_t i = 0; i < session->count; i++)
        bench_report_summary(&session->plans[i], &json);
    json_end_array(&json);
    json_begin_array(&json, "absent");
    for (size_t i = 0; i < session->count; i++)
        write_absent(&session->plans[i], &json);
    json_end_array(&json);
    json_end_object(&json);
    puts(text_string(&out));
    text_free(&out);
}

static bool has_failures(const struct bench_plan *plan)
{
    for (unsigned i = 0; i < plan->case_count * plan->contender_count; i++) {
        if (plan->rows[i].error != NULL)
            return true;
    }
    return false;
}

/* What was measured on, ahead of the tables. */
static void print_machine(const struct bench_machine *machine)
{
    struct text out = {NULL, 0, 0};
    bench_machine_print(machine, &out);
    puts(text_string(&out));
    fflush(stdout);
    text_free(&out);
}

static int run_session(struct session *session)
{
    int status = EXIT_SUCCESS;
    for (size_t i = 0; i < session->count && status == EXIT_SUCCESS; i++)
        status = make_plan(session, session->chosen[i], &session->plans[i]);
    if (status == EXIT_SUCCESS && !session->options.json && !session->options.list)
        print_machine(&session->machine);
    for (size_t i = 0; i < session->count && status == EXIT_SUCCESS; i++) {
        if (session->options.list)
            list_plan(&session->plans[i]);
        else
            status = run_plan(session, &session->plans[i]);
    }
    if (status != EXIT_SUCCESS || session->options.list)
        return status;
    if (session->options.json)
        print_json(session);
    for (size_t i = 0; i < session->count; i++) {
        if (has_failures(&session->plans[i]))
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int measure_chosen(struct session *session)
{
    bench_machine_read(&session->machine);
    const int status = run_session(session);
    for (size_t i = 0; i < session->count; i++)
        bench_plan_free(&session->plans[i]);
    bench_machine_free(&session->machine);
    return status;
}

int command_bench(int argc, char **argv)
{
    struct session session = {.count = 0};
    int names_at = argc;
    int status = bench_options_parse(&session.options, argc, argv, &names_at);
    if (status != EXIT_SUCCESS || names_at < 0)
        return status;
    if (names_at == argc && !session.options.list)
        return list_benches();
    if (names_at == argc)
        status = choose(&session, "all");
    for (int i = names_at; i < argc && status == EXIT_SUCCESS; i++)
        status = choose(&session, argv[i]);
    if (status == EXIT_SUCCESS)
        status = check_options(&session);
    return status == EXIT_SUCCESS ? measure_chosen(&session) : status;
}
