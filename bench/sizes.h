/* Sizes that programs ask for, as weighted ranges.
 *
 *     tiny     list cells, tree nodes, small numbers: all up to 64 bytes
 *     objects  what interpreters and compilers hold: most below 128 bytes, few up to 16 KiB
 *     text     strings: short, with a long thin tail
 *     server   messages and buffers of a server: 16 bytes to 64 KiB
 *     wide     every doubling from 8 bytes to 256 KiB equally often
 *
 * A draw costs two multiplications, so that what is measured is the malloc. */
#ifndef TERRANE_BENCH_SIZES_H
#define TERRANE_BENCH_SIZES_H

#include "random.h"
#include "worker.h"

#define SIZES_SLOTS      1024
#define SIZES_RANGES_MAX 16

struct sizes_range {
    uint32_t from;
    uint32_t to;
    uint32_t weight; /* out of SIZES_SLOTS; the last range takes what is left */
};

struct sizes_mix {
    const char *name;
    struct sizes_range ranges[SIZES_RANGES_MAX];
};

static const struct sizes_mix sizes_mixes[] = {
    {"tiny", {{8, 16, 300}, {17, 32, 420}, {33, 48, 154}, {49, 64, 150}}},
    {"objects",
     {{16, 32, 256},
      {33, 48, 205},
      {49, 64, 205},
      {65, 96, 102},
      {97, 128, 82},
      {129, 256, 82},
      {257, 512, 51},
      {513, 1024, 26},
      {1025, 4096, 13},
      {4097, 16384, 2}}},
    {"text",
     {{1, 16, 205},
      {17, 24, 205},
      {25, 40, 205},
      {41, 64, 154},
      {65, 120, 123},
      {121, 250, 72},
      {251, 1000, 45},
      {1001, 4000, 15}}},
    {"server",
     {{16, 64, 205},
      {65, 256, 256},
      {257, 1024, 256},
      {1025, 4096, 184},
      {4097, 16384, 102},
      {16385, 65536, 21}}},
    {"wide",
     {{8, 15, 68},
      {16, 31, 68},
      {32, 63, 68},
      {64, 127, 68},
      {128, 255, 68},
      {256, 511, 68},
      {512, 1023, 68},
      {1024, 2047, 68},
      {2048, 4095, 68},
      {4096, 8191, 68},
      {8192, 16383, 68},
      {16384, 32767, 68},
      {32768, 65535, 68},
      {65536, 131071, 68},
      {131072, 262143, 72}}},
};

struct sizes {
    struct {
        uint32_t from;
        uint32_t count;
    } slots[SIZES_SLOTS];
};

static inline void sizes_init(struct sizes *sizes, const char *name)
{
    const size_t mix_count = sizeof(sizes_mixes) / sizeof(sizes_mixes[0]);
    size_t found = 0;
    while (found < mix_count && strcmp(sizes_mixes[found].name, name) != 0)
        found++;
    if (found == mix_count)
        worker_fail("unknown mix of sizes '%s'", name);
    const struct sizes_range *range = sizes_mixes[found].ranges;
    uint32_t left = range->weight;
    for (uint32_t i = 0; i < SIZES_SLOTS; i++) {
        while (left == 0) {
            range++;
            left = range->weight;
        }
        sizes->slots[i].from = range->from;
        sizes->slots[i].count = range->to - range->from + 1;
        left--;
    }
}

static inline size_t sizes_draw(const struct sizes *sizes, struct random *random)
{
    const uint64_t bits = random_next(random);
    const uint32_t slot = (uint32_t)(bits % SIZES_SLOTS);
    return sizes->slots[slot].from + (size_t)((bits >> 32) * sizes->slots[slot].count >> 32);
}

#endif
