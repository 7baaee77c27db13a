/* The cost of one operation that may take nanoseconds or a second.
 *
 * Fixed work would be too short under one contender and too long under another: an untouched pair
 * costs 10 ns here and 2 us there. So the operation is repeated in batches of about a millisecond,
 * found by doubling (which warms up as well), until the thread has spent the time asked for. The
 * cost is CPU time of the thread, which a busy neighbour does not add to, and wall time beside it.
 */
#ifndef TERRANE_BENCH_COST_H
#define TERRANE_BENCH_COST_H

#include "worker.h"

#define COST_BATCH_S     1e-3
#define COST_BATCHES_MIN 3u
#define COST_ENOUGH_S    2.0 /* then one batch will do */
#define COST_BATCH_MAX   ((uint64_t)1 << 24)

struct cost {
    double cpu_s;
    double wall_s;
    double faults;
    uint64_t count;
};

/* Does the operation `count` times. */
typedef void cost_function(void *context, uint64_t count);

static inline double clock_thread_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Minor faults of the calling thread. */
static inline double thread_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (double)usage.ru_minflt;
}

/* CPU time of the whole process. */
static inline double process_cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* How many fill a batch. */
static inline uint64_t cost_batch(cost_function *function, void *context)
{
    uint64_t count = 1;
    for (;; count *= 2) {
        const double before_s = clock_thread_s();
        function(context, count);
        if (clock_thread_s() - before_s >= COST_BATCH_S || count == COST_BATCH_MAX)
            return count;
    }
}

/* Repeats the operation on the calling thread for `duration_s` of its CPU time. */
static inline struct cost cost_measure(cost_function *function, void *context, uint64_t batch,
                                       double duration_s)
{
    struct cost cost = {.count = 0};
    const double faults = thread_faults();
    const double wall_s = clock_s();
    const double cpu_s = clock_thread_s();
    for (uint64_t batches = 0;
         cost.cpu_s < duration_s || (batches < COST_BATCHES_MIN && cost.cpu_s < COST_ENOUGH_S);
         batches++) {
        function(context, batch);
        cost.count += batch;
        cost.cpu_s = clock_thread_s() - cpu_s;
    }
    cost.wall_s = clock_s() - wall_s;
    cost.faults = thread_faults() - faults;
    return cost;
}

static inline void cost_add(struct cost *sum, const struct cost *one)
{
    sum->cpu_s += one->cpu_s;
    sum->wall_s += one->wall_s;
    sum->faults += one->faults;
    sum->count += one->count;
}

static inline void cost_report(struct worker *worker, const struct cost *cost)
{
    const double count = (double)cost->count;
    worker_figure(worker, "cost_s", cost->cpu_s / count);
    worker_figure(worker, "cost_wall_s", cost->wall_s / count);
    worker_figure(worker, "faults", cost->faults / count);
}

/* How long to measure, from the argument ms=N. */
static inline double cost_duration_s(struct worker *worker)
{
    return (double)worker_number(worker, "ms", 100) * 1e-3;
}

#endif
