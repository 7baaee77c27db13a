/* bench regions: memory of 2 MiB to 1 GiB, acquired and released all the time, by one thread,
 * handed from one to another, by new threads; grown; given back; larger than the memory.
 *
 * Under `terrane` the worker uses regions (terrane/pool.h), under `mmap` the kernel, under all
 * others malloc, free and realloc, `terrane-malloc` among them. The work is the same to the
 * instruction but for the calls themselves. Costs are CPU time of one operation: a neighbour on the
 * machine does not add to it. */
#include "bench.h"

#include <linux/magic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

/* Within this factor of the best is as good as the best: two runs of one program differ as much. */
#define NOISE 1.05

#define LIMIT_SCRATCH_S 900

struct shape {
    const char *name;
    const char *worker;
    const char *arguments;
    const char *only; /* contenders that can do it; NULL: all */
};

#define SIZE_2M   "size=2097152"
#define SIZE_64M  "size=67108864"
#define SIZE_1G   "size=1073741824"
#define FROM_2M   "from=2097152"
#define STEP_2M   "step=2097152"
#define TO_64M    "to=67108864"
#define TO_512M   "to=536870912"
#define PAGE      " touch=page"
#define ALL_BYTES " touch=bytes"

static const struct shape shapes[] = {
    {"hot/2M", "regions_pairs", SIZE_2M, NULL},
    {"hot/2M/page", "regions_pairs", SIZE_2M PAGE, NULL},
    {"hot/2M/bytes", "regions_pairs", SIZE_2M ALL_BYTES, NULL},
    {"hot/64M", "regions_pairs", SIZE_64M, NULL},
    {"hot/64M/page", "regions_pairs", SIZE_64M PAGE, NULL},
    {"hot/64M/bytes", "regions_pairs", SIZE_64M ALL_BYTES, NULL},
    {"hot/1G", "regions_pairs", SIZE_1G, NULL},
    {"hot/1G/page", "regions_pairs", SIZE_1G PAGE, NULL},
    {"hot/1G/bytes", "regions_pairs", SIZE_1G ALL_BYTES, NULL},
    {"shared/2M", "regions_pairs", SIZE_2M " cache=0", NULL},
    {"threads-2/2M", "regions_pairs", SIZE_2M " threads=2", NULL},
    {"threads-4/2M", "regions_pairs", SIZE_2M " threads=4", NULL},
    {"live-64/2M", "regions_pairs", SIZE_2M " live=64", NULL},
    {"live-64/2M/page", "regions_pairs", SIZE_2M " live=64" PAGE, NULL},
    {"handoff/2M", "regions_handoff", SIZE_2M, NULL},
    {"handoff/2M/page", "regions_handoff", SIZE_2M PAGE, NULL},
    {"birth/2M", "regions_births", SIZE_2M, NULL},
    {"birth/2M/page", "regions_births", SIZE_2M PAGE, NULL},
    {"grow/64M/double", "regions_grow", FROM_2M " " TO_64M " step=double", NULL},
    {"grow/64M/2M", "regions_grow", FROM_2M " " TO_64M " " STEP_2M, NULL},
    {"grow/512M/double/page", "regions_grow", FROM_2M " " TO_512M " step=double" PAGE, NULL},
    {"grow/512M/2M/page", "regions_grow", FROM_2M " " TO_512M " " STEP_2M PAGE, NULL},
    {"after/512M", "regions_after", SIZE_64M " pieces=8 wait=3000", NULL},
    {"after/512M/memfd", "regions_after", SIZE_64M " pieces=8 wait=3000 backing=memfd", "terrane"},
};

static const char after_scratch[] = SIZE_64M " pieces=8 wait=3000 backing=scratch";
static const char larger[] = SIZE_2M " backing=scratch data=1610612736 budget=536870912 passes=3";
static const char larger_quick[] =
    SIZE_2M " backing=scratch data=805306368 budget=268435456 passes=2";

/* `terrane` first; the drop-in malloc of the same library is a contender like the other mallocs. */
static void add_contenders(struct bench_plan *plan)
{
    bench_plan_contender(plan, "terrane")->argument = "seam=regions";
    const unsigned first = plan->contender_count;
    bench_plan_mallocs(plan);
    for (unsigned i = first; i < plan->contender_count; i++) {
        struct bench_contender *contender = &plan->contenders[i];
        contender->argument = "seam=malloc";
        if (strcmp(contender->name, "terrane") == 0) {
            free(contender->name);
            contender->name = string_copy("terrane-malloc");
        }
    }
    bench_plan_contender(plan, "mmap")->argument = "seam=mmap";
}

/* Workers without a loop to measure are not told for how long. */
static void add_shape(struct bench_plan *plan, const struct shape *shape)
{
    const bool is_timed =
        strcmp(shape->worker, "regions_after") != 0 && strcmp(shape->worker, "regions_births") != 0;
    char *arguments = string_print("%s%s", shape->arguments,
                                   !is_timed              ? ""
                                   : plan->options->quick ? " ms=50"
                                                          : " ms=200");
    bench_plan_worker(plan, shape->name, shape->worker, arguments)->only = shape->only;
    free(arguments);
}

/* Why files in `dir` would not be on a disk; NULL: they are. The caller frees. */
static char *no_disk(const char *dir)
{
    struct statfs status;
    if (statfs(dir, &status) != 0)
        return string_print("%s cannot be looked at", dir);
    if (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC)
        return string_print("%s lies in memory; name a folder on a disk with --scratch-dir", dir);
    return NULL;
}

static void add_on_disk(struct bench_plan *plan, const char *dir, const struct shape *shape)
{
    struct bench_case *added =
        bench_plan_worker(plan, shape->name, shape->worker, shape->arguments);
    char *argument = string_print("dir=%s", dir);
    bench_case_argument(added, argument);
    free(argument);
    added->only = shape->only;
    if (plan->options->limit_s == 0)
        added->limit_s = LIMIT_SCRATCH_S;
    if (added->absent == NULL)
        added->absent = no_disk(dir);
}

static int plan_regions(struct bench_plan *plan)
{
    const bool quick = plan->options->quick;
    const char *given = plan->options->scratch_dir;
    const char *dir = given != NULL ? given : bench_scratch_dir();
    if (dir == NULL)
        return EXIT_FAILURE;
    add_contenders(plan);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        add_shape(plan, &shapes[i]);
    const struct shape after = {"after/512M/scratch", "regions_after", after_scratch, "terrane"};
    const struct shape scratch = {quick ? "scratch/768M-in-256M" : "scratch/1.5G-in-512M",
                                  "regions_scratch", quick ? larger_quick : larger, "terrane,mmap"};
    add_on_disk(plan, dir, &after);
    add_on_disk(plan, dir, &scratch);
    return EXIT_SUCCESS;
}

/* The least figure of a case among the others; NULL without one. */
static const struct bench_contender *best_other(const struct bench_plan *plan, unsigned case_index,
                                                unsigned except)
{
    const struct bench_contender *best = NULL;
    double least = INFINITY;
    for (unsigned i = 0; i < plan->contender_count; i++) {
        const struct bench_row *row = bench_plan_row(plan, case_index, i);
        const struct bench_figure *figure = bench_row_figure(row, plan->figure);
        if (i == except || !bench_row_is_complete(row) || figure == NULL ||
            !(figure->median < least))
            continue;
        least = figure->median;
        best = &plan->contenders[i];
    }
    return best;
}

/* Where terrane is not first: the answer that one looks for in the tables above. */
static void conclude_regions(const struct bench_plan *plan, struct text *out)
{
    unsigned compared = 0;
    unsigned first = 0;
    struct text behind = {NULL, 0, 0};
    if (strcmp(plan->contenders[0].name, "terrane") != 0)
        return;
    for (unsigned i = 0; i < plan->case_count; i++) {
        const struct bench_row *row = bench_plan_row(plan, i, 0);
        const struct bench_figure *figure = bench_row_figure(row, plan->figure);
        const struct bench_contender *other = best_other(plan, i, 0);
        if (figure == NULL || other == NULL || !bench_row_is_complete(row))
            continue;
        compared++;
        if (figure->ratio_to_best_other <= NOISE)
            first++;
        else
            text_print(&behind, "  behind in %s: %.2f times %s\n", plan->cases[i].name,
                       figure->ratio_to_best_other, other->name);
    }
    if (compared > 0)
        text_print(out, "terrane is first, or within %.0f %%, in %u of %u cases\n",
                   (NOISE - 1) * 100, first, compared);
    if (behind.length > 0)
        text_print(out, "%s", text_string(&behind));
    text_free(&behind);
}

const struct bench bench_regions = {
    .name = "regions",
    .summary = "large pieces of memory: pairs, hand-over, growth, what is left, more than memory",
    .figure = "cost_s",
    .beside = "cost_wall_s",
    .figures = "cost_s,cost_wall_s,resize_s,channel_s,thread_s,peak_ratio,left_bytes,file_bytes,"
               "resident_bytes,cached_bytes,over_ratio,peak_bytes",
    .values = "peak_ratio,left_bytes,file_bytes,resident_bytes,cached_bytes,over_ratio,channel_s",
    .style = BENCH_STYLE_RATIOS,
    .rounds = 5,
    .rounds_quick = 2,
    .has_summary = true,
    .plan = plan_regions,
    .conclude = conclude_regions,
};
