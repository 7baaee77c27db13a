/* Random choices that can be replayed: a test prints its seed, and SEED=... gives the same history
 * again. STEPS=... sets the length of a history. */
#ifndef TEST_SEEDS_H
#define TEST_SEEDS_H

#include "contents.h"

#include <time.h>
#include <unistd.h>

struct seeds {
    uint64_t state;
};

static inline uint64_t seeds_next(struct seeds *seeds)
{
    seeds->state += 0x9e3779b97f4a7c15u;
    return contents_mix(seeds->state);
}

/* 0 to limit - 1; 0 for a limit of 0. */
static inline uint64_t seeds_below(struct seeds *seeds, uint64_t limit)
{
    return limit == 0 ? 0 : seeds_next(seeds) % limit;
}

static inline bool seeds_chance(struct seeds *seeds, unsigned percent)
{
    return seeds_below(seeds, 100) < percent;
}

/* A stream of its own for a thread or a part. */
static inline struct seeds seeds_stream(uint64_t seed, uint64_t stream)
{
    return (struct seeds){contents_mix(seed + 1) ^ contents_mix(~stream)};
}

/* SEED, or a new one; printed either way, so that a failure can be replayed. */
static inline uint64_t seeds_announce(const char *test)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t fresh = contents_mix((uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^
                                        (uint64_t)getpid() << 48) &
                           0xffffffff;
    const uint64_t seed = environment_number("SEED", fresh);
    printf("%s: SEED=%llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

/* Sizes as programs ask for them, and as bugs like them: every doubling up to 2^max_order equally
 * often, a third of them next to a power of two or to a quarter step between two. */
static inline size_t seeds_size(struct seeds *seeds, unsigned max_order)
{
    const unsigned order = (unsigned)seeds_below(seeds, max_order);
    const size_t base = (size_t)1 << order;
    if (!seeds_chance(seeds, 33))
        return base + (size_t)seeds_below(seeds, base);
    const size_t edge = base + base / 4 * (size_t)seeds_below(seeds, 5);
    const size_t near = (size_t)seeds_below(seeds, 5);
    return edge + near < 2 ? 0 : edge + near - 2;
}

#endif
