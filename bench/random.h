/* Random numbers for workers: small, fast and the same on every machine. */
#ifndef TERRANE_BENCH_RANDOM_H
#define TERRANE_BENCH_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

/* Sequences of different `stream`s of one seed have nothing in common. */
static inline struct random random_make(uint64_t seed, uint64_t stream)
{
    return (struct random){seed * 0x9e3779b97f4a7c15u + stream * 0xd1342543de82ef95u + 1};
}

/* splitmix64 */
static inline uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 to limit - 1; limit below 2^32. */
static inline uint32_t random_below(struct random *random, uint32_t limit)
{
    return (uint32_t)((random_next(random) >> 32) * limit >> 32);
}

/* `from` to `to`, both included. */
static inline uint32_t random_between(struct random *random, uint32_t from, uint32_t to)
{
    return from + random_below(random, to - from + 1);
}

#endif
