/* bench arrays: arrays that grow at both ends, and versions of them, to 1 GiB.
 *
 * terrane's arrays on every kind of page are contenders of their own, beside what programs do
 * without them: buffers that double under each malloc, std::vector, std::deque, memcpy. Workers of
 * three kinds run the same cases (bench/arrays.h). The results are added up within the time. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Within this factor of the best is as good as the best: two runs of one program differ as much. */
#define NOISE 1.05

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

#define TURNS_MOST ((uint64_t)64 << 20)

#define PAGE_2M  ((size_t)2 << 20)
#define PAGE_1G  ((size_t)1 << 30)
#define PAGES_2M 1536 /* versions of 1 GiB, and what two of them do not share */
#define PAGES_1G 4

/* Ways in which terrane lays out arrays. Huge pages of a pool must be set aside first. */
static const struct page_variant {
    const char *name;
    const char *argument;
    size_t huge_page_bytes;
    uint64_t huge_pages;
} variants[] = {
    {"terrane", "pages=private", 0, 0},
    {"terrane-4K", "pages=private-4K", 0, 0},
    {"memfd", "pages=memfd", 0, 0},
    {"memfd-2M", "pages=memfd-2M", PAGE_2M, PAGES_2M},
    {"memfd-1G", "pages=memfd-1G", PAGE_1G, PAGES_1G},
};

struct size {
    const char *name;
    const char *bytes;
    unsigned repeat;
};

/* Smaller ones are made again and again; the largest once in a process, on memory that is new. */
static const struct size sizes[] = {
    {"1M", "1048576", 100}, {"16M", "16777216", 10},  {"32M", "33554432", 5},
    {"64M", "67108864", 5}, {"512M", "536870912", 1}, {"1G", "1073741824", 1},
};

/* What stands for 512M and 1G in a quick run. */
static const struct size sizes_quick[] = {
    {"1M", "1048576", 10},  {"16M", "16777216", 1}, {"32M", "33554432", 1},
    {"64M", "67108864", 1}, {"64M", "67108864", 1}, {"128M", "134217728", 1},
};

enum { SIZE_1M, SIZE_16M, SIZE_32M, SIZE_64M, SIZE_512M, SIZE_1G, SIZE_NONE };

#define GROWTH                                                                                     \
    {                                                                                              \
        SIZE_1M, SIZE_16M, SIZE_1G                                                                 \
    }
#define VERSION                                                                                    \
    {                                                                                              \
        SIZE_1M, SIZE_64M, SIZE_1G                                                                 \
    }
#define JOINED                                                                                     \
    {                                                                                              \
        SIZE_1M, SIZE_32M, SIZE_512M                                                               \
    }

/* Who has not every case. */
#define NO_DEQUE  1u /* which is not in one piece */
#define NO_VECTOR 2u /* which has one end */

static const struct shape {
    const char *name;
    const char *arguments;
    unsigned sizes[3];
    unsigned without;
    uint64_t pages_1G; /* that the largest size needs; 0: none of its sizes says anything there */
} shapes[] = {
    {"append/1B", "case=append unit=1", GROWTH, 0, 2},
    {"append/8B", "case=append unit=8", GROWTH, 0, 2},
    {"append/4K", "case=append unit=4096", GROWTH, 0, 2},
    {"prepend/1B", "case=prepend unit=1", GROWTH, NO_VECTOR, 4},
    {"prepend/8B", "case=prepend unit=8", GROWTH, NO_VECTOR, 4},
    {"prepend/4K", "case=prepend unit=4096", GROWTH, NO_VECTOR, 4},
    {"turns-16/64B", "case=append unit=64 arrays=16", {SIZE_1M, SIZE_64M, SIZE_NONE}, 0, 0},
    {"turns-16/4K", "case=append unit=4096 arrays=16", {SIZE_1M, SIZE_64M, SIZE_NONE}, 0, 0},
    {"share", "case=share count=32", VERSION, NO_DEQUE, 2},
    {"fork", "case=fork", VERSION, NO_DEQUE, 4},
    {"write", "case=write", VERSION, NO_DEQUE, 4},
    {"slice", "case=slice", VERSION, NO_DEQUE, 4},
    {"concat", "case=concat", JOINED, NO_DEQUE, 4},
    {"concat-held", "case=concat held=1", JOINED, NO_DEQUE, 4},
};

static uint64_t pages_1G;

static bool wants(const struct bench_plan *plan, const char *contender)
{
    return !plan->options->list && bench_list_has(plan->options->contenders, contender);
}

/* Sets the pages aside that the variant needs; without any, it is absent. */
static void take_pages(const struct page_variant *variant, struct bench_contender *contender)
{
    const uint64_t got = bench_huge_pages_take(variant->huge_page_bytes, variant->huge_pages);
    if (variant->huge_page_bytes == PAGE_1G) {
        pages_1G = got;
        contender->is_present = got > 0;
        contender->remedy = "as root, with up to four pages of 1 GiB that can be set aside";
    } else {
        contender->is_present = got == variant->huge_pages;
        contender->remedy = "as root, with 3 GiB that can be set aside in pages of 2 MiB";
    }
}

static void add_variants(struct bench_plan *plan)
{
    pages_1G = PAGES_1G;
    for (size_t i = 0; i < COUNT_OF(variants); i++) {
        const struct page_variant *variant = &variants[i];
        struct bench_contender *added = bench_plan_contender(plan, variant->name);
        added->argument = variant->argument;
        bench_contender_worker(added, "arrays_terrane");
        if (added->is_present && variant->huge_pages > 0 && wants(plan, variant->name))
            take_pages(variant, added);
    }
}

static void add_containers(struct bench_plan *plan)
{
    static const char *const containers[][2] = {{"vector", "container=vector"},
                                                {"deque", "container=deque"}};
    for (size_t i = 0; i < COUNT_OF(containers); i++) {
        struct bench_contender *added = bench_plan_contender(plan, containers[i][0]);
        added->argument = containers[i][1];
        bench_contender_worker(added, "arrays_vector");
        added->remedy = "build its worker with `make` where there is g++";
    }
}

static void add_contenders(struct bench_plan *plan)
{
    add_variants(plan);
    const unsigned first = plan->contender_count;
    bench_plan_mallocs(plan);
    for (unsigned i = first; i < plan->contender_count; i++) {
        struct bench_contender *contender = &plan->contenders[i];
        if (strcmp(contender->name, "terrane") == 0) {
            free(contender->name);
            contender->name = string_copy("terrane-malloc");
        }
    }
    struct bench_contender *huge = bench_plan_contender(plan, "glibc-huge");
    huge->environment = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1";
    bench_plan_contender(plan, "memcpy")->argument = "way=copy";
    add_containers(plan);
}

/* True if `shape` is nothing for the contender. */
static bool is_without(const struct shape *shape, unsigned size, const char *contender)
{
    const bool is_largest = size == SIZE_512M || size == SIZE_1G;
    if (strcmp(contender, "deque") == 0)
        return (shape->without & NO_DEQUE) != 0;
    if (strcmp(contender, "vector") == 0)
        return (shape->without & NO_VECTOR) != 0;
    if (strcmp(contender, "memfd-1G") == 0)
        return !is_largest || shape->pages_1G == 0 || shape->pages_1G > pages_1G;
    return false;
}

/* The first contender of a case would meet memory that the host of a virtual machine has taken
 * back: huge pages there cost twenty times as much. Versions are two arrays beside the first one;
 * of what only grows, some are sixteen of at most 64 MiB. */
static size_t warm_bytes(uint64_t size, bool grows)
{
    const uint64_t wanted = grows && size <= TURNS_MOST ? 16 * size : 3 * size;
    const uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return wanted < ram / 4 ? wanted : ram / 4;
}

static void add_case(struct bench_plan *plan, const struct shape *shape, unsigned size)
{
    const struct size *sized = plan->options->quick ? &sizes_quick[size] : &sizes[size];
    char *name = string_print("%s/%s", shape->name, sized->name);
    char *arguments =
        string_print("%s size=%s repeat=%u", shape->arguments, sized->bytes, sized->repeat);
    struct bench_case *added = bench_plan_worker(plan, name, "arrays_malloc", arguments);
    struct text only = {NULL, 0, 0};
    for (unsigned i = 0; i < plan->contender_count; i++) {
        if (!is_without(shape, size, plan->contenders[i].name))
            text_print(&only, "%s%s", only.length > 0 ? "," : "", plan->contenders[i].name);
    }
    added->warm_bytes = warm_bytes(strtoull(sized->bytes, NULL, 10), shape->without == 0);
    added->only = only.bytes; /* lives as long as the process */
    free(arguments);
    free(name);
}

/* Sizes are what these look for. */
static void add_even(struct bench_plan *plan)
{
    static const char *const cases[][2] = {{"even/malloc", "case=even copies=malloc"},
                                           {"even/fresh", "case=even copies=fresh"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        bench_plan_worker(plan, cases[i][0], "arrays_terrane", cases[i][1])->only =
            "memfd,memfd-2M";
}

static int plan_arrays(struct bench_plan *plan)
{
    add_contenders(plan);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        for (size_t j = 0; j < COUNT_OF(shapes[i].sizes); j++) {
            if (shapes[i].sizes[j] != SIZE_NONE)
                add_case(plan, &shapes[i], shapes[i].sizes[j]);
        }
    }
    add_even(plan);
    return EXIT_SUCCESS;
}

/* ---- what came of it ---- */

static bool is_ours(const char *contender)
{
    for (size_t i = 0; i < COUNT_OF(variants); i++) {
        if (strcmp(variants[i].name, contender) == 0)
            return true;
    }
    return false;
}

struct best {
    const char *contender; /* NULL: there is none */
    double value;
};

/* The least figure of a case among terrane's variants, or among the others. */
static struct best best_of(const struct bench_plan *plan, unsigned case_index, const char *name,
                           bool ours)
{
    struct best best = {NULL, INFINITY};
    for (unsigned i = 0; i < plan->contender_count; i++) {
        const struct bench_row *row = bench_plan_row(plan, case_index, i);
        const struct bench_figure *figure = bench_row_figure(row, name);
        if (is_ours(plan->contenders[i].name) != ours || !bench_row_is_complete(row) ||
            figure == NULL || !(figure->median < best.value))
            continue;
        best = (struct best){plan->contenders[i].name, figure->median};
    }
    return best;
}

static void conclude_variant(const struct bench_plan *plan, unsigned contender, struct text *out)
{
    unsigned first = 0;
    unsigned compared = 0;
    for (unsigned i = 0; i < plan->case_count; i++) {
        const struct bench_row *row = bench_plan_row(plan, i, contender);
        const struct bench_figure *figure = bench_row_figure(row, plan->figure);
        const struct best other = best_of(plan, i, plan->figure, false);
        if (figure == NULL || !bench_row_is_complete(row) || other.contender == NULL)
            continue;
        compared++;
        first += figure->median <= other.value * NOISE;
    }
    if (compared > 0)
        text_print(out, "  %s alone: %u of %u\n", plan->contenders[contender].name, first,
                   compared);
}

/* Where no page variant is first: the answer that one looks for in the tables above. */
static void conclude_first(const struct bench_plan *plan, struct text *out)
{
    unsigned compared = 0;
    unsigned first = 0;
    struct text behind = {NULL, 0, 0};
    for (unsigned i = 0; i < plan->case_count; i++) {
        const struct best ours = best_of(plan, i, plan->figure, true);
        const struct best other = best_of(plan, i, plan->figure, false);
        if (ours.contender == NULL || other.contender == NULL)
            continue;
        compared++;
        if (ours.value <= other.value * NOISE)
            first++;
        else
            text_print(&behind, "  behind in %s: %s is at %.2f times %s\n", plan->cases[i].name,
                       ours.contender, ours.value / other.value, other.contender);
    }
    if (compared > 0)
        text_print(out, "terrane's best pages are first, or within %.0f %%, in %u of %u cases\n",
                   (NOISE - 1) * 100, first, compared);
    for (unsigned i = 0; i < plan->contender_count; i++) {
        if (compared > 0 && is_ours(plan->contenders[i].name))
            conclude_variant(plan, i, out);
    }
    text_print(out, "%s", text_string(&behind));
    text_free(&behind);
}

/* What an append to a shared array costs beside copying it, without adding up. */
static void conclude_shared(const struct bench_plan *plan, struct text *out)
{
    for (unsigned i = 0; i < plan->case_count; i++) {
        const struct best ours = best_of(plan, i, "build_s", true);
        const struct best other = best_of(plan, i, "build_s", false);
        if (strncmp(plan->cases[i].name, "share/", strlen("share/")) == 0 &&
            ours.contender != NULL && other.contender != NULL)
            text_print(out, "%s: an append takes %.4f %% of the time of a copy (%s, %s)\n",
                       plan->cases[i].name, ours.value / other.value * 100, ours.contender,
                       other.contender);
    }
}

static void conclude_even(const struct bench_plan *plan, struct text *out)
{
    for (unsigned i = 0; i < plan->case_count * plan->contender_count; i++) {
        const struct bench_figure *summed = bench_row_figure(&plan->rows[i], "even_bytes");
        const struct bench_figure *left = bench_row_figure(&plan->rows[i], "even_untouched_bytes");
        if (summed == NULL || left == NULL)
            continue;
        text_print(out, "%s, %s: sharing is cheaper than a copy from ",
                   plan->cases[i / plan->contender_count].name,
                   plan->contenders[i % plan->contender_count].name);
        bench_value_print(out, "even_bytes", summed->median);
        text_print(out, " on, untouched from ");
        bench_value_print(out, "even_bytes", left->median);
        text_print(out, " on\n");
    }
}

static void conclude_arrays(const struct bench_plan *plan, struct text *out)
{
    conclude_first(plan, out);
    conclude_shared(plan, out);
    conclude_even(plan, out);
}

const struct bench bench_arrays = {
    .name = "arrays",
    .summary = "arrays that grow at both ends, their versions, slices and concatenations",
    .figure = "cost_s",
    .beside = "cost_wall_s",
    .figures = "cost_s,cost_wall_s,build_s,sum_s,grown_bytes,even_bytes,even_untouched_bytes",
    .values = "grown_bytes,even_bytes,even_untouched_bytes",
    .style = BENCH_STYLE_RATIOS,
    .rounds = 3,
    .rounds_quick = 1,
    .has_summary = true,
    .plan = plan_arrays,
    .conclude = conclude_arrays,
};
