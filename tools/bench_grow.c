/* bench grow: arrays that grow by realloc, alone and in turns, by small steps and by doubling.
 *
 * Growing alone is easy: the addresses behind are free. In turns the arrays are in each other's
 * way, and a malloc must move them, copy them, or have known better. Sizes follow the machine's
 * memory: a malloc that copies holds old and new at once, and the machine must survive the worst
 * contender. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MIB           ((uint64_t)1 << 20)
#define GIB           ((uint64_t)1 << 30)
#define LIMIT_S       60
#define LIMIT_QUICK_S 10
#define LIMIT_KILL_MORE                                                                            \
    60 /* one call may take long; the worker looks at its limit between calls                      \
        */

struct growth {
    const char *name;
    unsigned arrays;
    uint64_t ram_share; /* each array grows to this part of the memory, or to `most` */
    uint64_t most;
    uint64_t most_quick;
};

static const struct growth growths[] = {
    {"one", 1, 4, 4 * GIB, 512 * MIB},
    {"two", 2, 5, 4 * GIB, 256 * MIB},
    {"sixteen", 16, 64, GIB / 4, 32 * MIB},
};

static const char *const steps[][2] = {
    {"4K", "4096"}, {"64K", "65536"}, {"4-64K", "mixed"}, {"double", "double"}};

static void add_case(struct bench_plan *plan, const struct growth *growth, size_t step, bool touch)
{
    const uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t most = plan->options->quick ? growth->most_quick : growth->most;
    const uint64_t share = ram / growth->ram_share / MIB * MIB;
    const unsigned given_s = plan->options->limit_s;
    const unsigned limit_s = given_s != 0           ? given_s
                             : plan->options->quick ? LIMIT_QUICK_S
                                                    : LIMIT_S;
    char *name = string_print("%s/%s%s", growth->name, steps[step][0], touch ? "/touched" : "");
    char *arguments = string_print("arrays=%u step=%s touch=%d target=%llu limit=%u seed=%llu",
                                   growth->arrays, steps[step][1], touch ? 1 : 0,
                                   (unsigned long long)(most < share ? most : share), limit_s,
                                   (unsigned long long)plan->options->seed);
    bench_plan_worker(plan, name, "grow_arrays", arguments)->limit_s = limit_s + LIMIT_KILL_MORE;
    free(arguments);
    free(name);
}

static int plan_grow(struct bench_plan *plan)
{
    bench_plan_mallocs(plan);
    for (size_t i = 0; i < sizeof(growths) / sizeof(growths[0]); i++) {
        for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
            add_case(plan, &growths[i], j, false);
            add_case(plan, &growths[i], j, true);
        }
    }
    return EXIT_SUCCESS;
}

const struct bench bench_grow = {
    .name = "grow",
    .summary = "arrays that grow by realloc, alone and in turns, to 4 GiB",
    .figure = "realloc_s",
    .figures = "realloc_s,wall_s,longest_s,peak_ratio",
    .style = BENCH_STYLE_VALUES,
    .rounds = 3,
    .rounds_quick = 1,
    .plan = plan_grow,
};
