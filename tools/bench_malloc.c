/* bench malloc: the shapes in which programs allocate, on one thread and on two.
 *
 * The field's benchmarks are a handful of shapes, and each shape is the best case of some malloc.
 * So here is each of them, with fixed work and fixed seeds, memory that is touched, and contents
 * that are checked; no case was made for or taken away from anyone. Work is sized for about half a
 * second on a machine of today. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

struct shape {
    const char *name;
    const char *worker;
    const char *arguments;
    uint64_t steps;
    bool on_one;
    bool on_two;
};

static const struct shape shapes[] = {
    {"mix-tiny", "malloc_mix", "sizes=tiny live=200000", 4000000, true, true},
    {"mix-objects", "malloc_mix", "sizes=objects live=50000", 5000000, true, true},
    {"mix-text", "malloc_mix", "sizes=text live=20000", 6000000, true, true},
    {"mix-server", "malloc_mix", "sizes=server live=5000", 1200000, true, true},
    {"mix-wide", "malloc_mix", "sizes=wide live=1000", 300000, true, true},
    {"lifo", "malloc_order", "order=lifo sizes=objects live=20000", 8000000, true, true},
    {"fifo", "malloc_order", "order=fifo sizes=objects live=20000", 6000000, true, true},
    {"batch", "malloc_batch", "", 200000, true, true},
    {"lifetimes", "malloc_lifetimes", "sizes=objects", 5000000, true, true},
    {"server", "malloc_server", "sizes=objects live=20000", 4000000, true, true},
    {"server-wide", "malloc_server", "sizes=server live=2000", 1500000, true, true},
    {"transfer", "malloc_transfer", "sizes=objects", 120000, true, true},
    {"handoff", "malloc_handoff", "sizes=objects mode=one", 3000000, false, true},
    {"handoff-both", "malloc_handoff", "sizes=objects mode=both", 3000000, false, true},
    {"handoff-server", "malloc_handoff", "sizes=server mode=both", 1500000, false, true},
    {"strings", "malloc_strings", "", 6000000, true, true},
    {"vectors", "malloc_vectors", "", 120000, true, true},
    {"zeroed", "malloc_zeroed", "sizes=objects", 2500000, true, true},
    {"medium", "malloc_large", "live=200 min=32768 max=1048576", 15000, true, true},
    {"large", "malloc_large", "live=20 min=5242880 max=26214400", 200, true, true},
    {"births", "malloc_births", "sizes=objects", 6000, true, true},
    {"sharing", "malloc_sharing", "writes=1000", 400000, true, true},
    {"trees", "malloc_trees", "", 0, true, true},
    {"bignum", "malloc_bignum", "", 3000000, true, true},
    {"words", "malloc_words", "", 700000, true, true},
    {"phases", "malloc_phases", "", 120, true, true},
    {"aligned", "malloc_aligned", "sizes=objects", 4000000, true, true},
};

/* The tree's work doubles with its depth, so depth is its measure of work. */
static char *amount(const struct shape *shape, bool quick)
{
    if (shape->steps == 0)
        return string_print("depth=%d", quick ? 16 : 17);
    const uint64_t steps = quick ? shape->steps / 3 : shape->steps;
    return string_print("steps=%llu", (unsigned long long)steps);
}

static void add_case(struct bench_plan *plan, const struct shape *shape, unsigned threads)
{
    char *name = string_print("%s/%u", shape->name, threads);
    char *work = amount(shape, plan->options->quick);
    char *arguments = string_print("%s %s threads=%u seed=%llu", shape->arguments, work, threads,
                                   (unsigned long long)plan->options->seed);
    bench_plan_worker(plan, name, shape->worker, arguments)->threads = threads;
    free(arguments);
    free(work);
    free(name);
}

static int plan_malloc(struct bench_plan *plan)
{
    bench_plan_mallocs(plan);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (shapes[i].on_one)
            add_case(plan, &shapes[i], 1);
        if (shapes[i].on_two)
            add_case(plan, &shapes[i], 2);
    }
    return EXIT_SUCCESS;
}

const struct bench bench_malloc = {
    .name = "malloc",
    .summary = "the shapes in which programs allocate, on 1 and 2 threads",
    .figure = "wall_s",
    .figures = "wall_s,cpu_s,peak_bytes",
    .style = BENCH_STYLE_RATIOS,
    .rounds = 5,
    .rounds_quick = 2,
    .has_warm_up = true,
    .has_system_calls = true,
    .has_summary = true,
    .plan = plan_malloc,
};
