/* Makes a plan: the contenders that are here, the cases, and what the user's filters leave. */
#define _GNU_SOURCE
#include "bench.h"
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT_S 180

struct peer {
    const char *name;
    const char *files[3]; /* in order of preference */
    const char *remedy;
};

static const struct peer peers[] = {
    {"jemalloc", {"libjemalloc.so.2"}, "apt-get install libjemalloc2"},
    {"mimalloc",
     {"libmimalloc.so.3", "libmimalloc.so.2", "libmimalloc.so.2.0"},
     "apt-get install libmimalloc2.0"},
    {"tcmalloc", {"libtcmalloc_minimal.so.4"}, "apt-get install libtcmalloc-minimal4"},
};

struct bench_contender *bench_plan_contender(struct bench_plan *plan, const char *name)
{
    if (plan->contender_count == BENCH_CONTENDERS_MAX)
        return &plan->contenders[BENCH_CONTENDERS_MAX - 1];
    struct bench_contender *added = &plan->contenders[plan->contender_count++];
    *added = (struct bench_contender){.name = string_copy(name), .is_present = true};
    return added;
}

static void add_malloc(struct bench_plan *plan, const char *name, char *path, const char *remedy)
{
    struct bench_contender *added = bench_plan_contender(plan, name);
    added->preload = path;
    added->is_present = path != NULL;
    added->remedy = remedy;
}

static char *peer_library(const struct peer *peer)
{
    for (size_t i = 0; i < 3 && peer->files[i] != NULL; i++) {
        char *path = bench_system_library(peer->files[i]);
        if (path != NULL)
            return path;
    }
    return NULL;
}

void bench_contender_worker(struct bench_contender *contender, const char *worker)
{
    contender->worker = bench_worker_path(worker);
    contender->is_present = contender->worker != NULL;
    contender->remedy = "build its worker with `make bench-workers`";
}

void bench_plan_mallocs(struct bench_plan *plan)
{
    bench_plan_contender(plan, "glibc");
    add_malloc(plan, "terrane", bench_terrane_library(),
               "build libterrane-malloc.so beside this command with `make`");
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
        add_malloc(plan, peers[i].name, peer_library(&peers[i]), peers[i].remedy);
    for (unsigned i = 0; i < plan->options->library_count; i++) {
        const char *definition = plan->options->libraries[i];
        const char *path = strchr(definition, '=') + 1;
        char *name = string_print("%.*s", (int)(path - definition - 1), definition);
        add_malloc(plan, name, realpath(path, NULL), "the path given with --library");
        free(name);
    }
}

bool bench_case_has(const struct bench_case *asked, const struct bench_contender *contender)
{
    return bench_list_has(asked->only, contender->name);
}

void bench_case_argument(struct bench_case *added, const char *argument)
{
    size_t count = 0;
    while (added->argv[count] != NULL)
        count++;
    added->argv = memory_resize(added->argv, count + 2, sizeof(char *));
    added->argv[count] = string_copy(argument);
    added->argv[count + 1] = NULL;
}

static void add_arguments(struct bench_case *added, const char *arguments)
{
    char *copy = string_copy(arguments);
    char *rest = copy;
    for (char *one = strsep(&rest, " "); one != NULL; one = strsep(&rest, " ")) {
        if (one[0] != '\0')
            bench_case_argument(added, one);
    }
    free(copy);
}

struct bench_case *bench_plan_worker(struct bench_plan *plan, const char *name, const char *worker,
                                     const char *arguments)
{
    plan->cases = memory_resize(plan->cases, plan->case_count + 1u, sizeof(struct bench_case));
    struct bench_case *added = &plan->cases[plan->case_count++];
    const unsigned limit_s = plan->options->limit_s;
    *added = (struct bench_case){
        .name = string_copy(name),
        .argv = memory_get(2 * sizeof(char *)),
        .limit_s = limit_s != 0 ? limit_s : LIMIT_DEFAULT_S,
    };
    added->argv[0] = bench_worker_path(worker);
    if (added->argv[0] == NULL) {
        added->argv[0] = string_copy(worker);
        added->absent =
            string_print("its worker '%s' is not built; `make bench` builds it", worker);
    }
    add_arguments(added, arguments);
    return added;
}

static void case_free(struct bench_case *dropped)
{
    for (size_t i = 0; dropped->argv[i] != NULL; i++)
        free(dropped->argv[i]);
    free(dropped->argv);
    free(dropped->name);
    free(dropped->absent);
}

static void contender_free(struct bench_contender *dropped)
{
    free(dropped->name);
    free(dropped->preload);
    free(dropped->worker);
}

/* Keeps the cases of the filter; their number. */
static unsigned keep_cases(struct bench_plan *plan)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < plan->case_count; i++) {
        if (bench_list_has(plan->options->cases, plan->cases[i].name))
            plan->cases[kept++] = plan->cases[i];
        else
            case_free(&plan->cases[i]);
    }
    plan->case_count = kept;
    return kept;
}

static unsigned keep_contenders(struct bench_plan *plan)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < plan->contender_count; i++) {
        if (bench_list_has(plan->options->contenders, plan->contenders[i].name))
            plan->contenders[kept++] = plan->contenders[i];
        else
            contender_free(&plan->contenders[i]);
    }
    plan->contender_count = kept;
    return kept;
}

int bench_plan_select(struct bench_plan *plan)
{
    const char *bench = plan->bench->name;
    if (keep_cases(plan) == 0)
        return usage_error("bench",
                           "--cases: none of '%s' matches '%s' (see `terrane bench --list %s`)",
                           bench, plan->options->cases, bench);
    if (keep_contenders(plan) == 0)
        return usage_error(
            "bench", "--contenders: none of '%s' matches '%s' (see `terrane bench --list %s`)",
            bench, plan->options->contenders, bench);
    plan->rows =
        memory_get((size_t)plan->case_count * plan->contender_count * sizeof(struct bench_row));
    return EXIT_SUCCESS;
}

static void row_free(struct bench_row *row)
{
    for (unsigned i = 0; i < row->figure_count; i++)
        free(row->figures[i].values);
    free(row->output);
    free(row->note);
    free(row->error);
}

void bench_plan_free(struct bench_plan *plan)
{
    for (unsigned i = 0; plan->rows != NULL && i < plan->case_count * plan->contender_count; i++)
        row_free(&plan->rows[i]);
    for (unsigned i = 0; i < plan->case_count; i++)
        case_free(&plan->cases[i]);
    for (unsigned i = 0; i < plan->contender_count; i++)
        contender_free(&plan->contenders[i]);
    free(plan->rows);
    free(plan->cases);
}
