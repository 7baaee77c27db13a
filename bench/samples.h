/* Samples of one operation that is repeated within a worker: their median is reported. */
#ifndef TERRANE_BENCH_SAMPLES_H
#define TERRANE_BENCH_SAMPLES_H

#include "worker.h"

#define SAMPLES_MAX 4096u

struct samples {
    double values[SAMPLES_MAX];
    unsigned count;
};

static inline void samples_add(struct samples *samples, double value)
{
    if (samples->count < SAMPLES_MAX)
        samples->values[samples->count++] = value;
}

static inline int samples_compare(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Sorts the samples. 0 without any. */
static inline double samples_median(struct samples *samples)
{
    if (samples->count == 0)
        return 0;
    qsort(samples->values, samples->count, sizeof(double), samples_compare);
    return samples->values[samples->count / 2];
}

/* How often to repeat an operation on `bytes`: often for small ones, a few times for large ones. */
static inline unsigned samples_wanted(size_t bytes)
{
    const size_t wanted = ((size_t)4 << 30) / (bytes + 1);
    return wanted < 7 ? 7 : wanted > 1000 ? 1000 : (unsigned)wanted;
}

#endif
