/* Regions with contents that follow from a seed: every byte of a small one; of a large one either
 * that, or one word in each page at a place that differs from page to page, which is as good at
 * finding pages that are lost, mixed up or shared, and quicker. */
#ifndef TEST_REGION_PARCELS_H
#define TEST_REGION_PARCELS_H

#include "contents.h"

#include <terrane/terrane.h>
#include <unistd.h>

#define PARCEL_STEP  4096u /* the smallest page */
#define PARCEL_WHOLE ((size_t)64 << 10)

struct parcel {
    struct terrane_region region;
    uint64_t seed;
    bool whole; /* every byte counts */
};

/* The spaces that regions go among: of every backing, two private ones. */
#define PARCEL_SPACES 4

static inline struct terrane_space *parcel_space(unsigned which)
{
    static const enum terrane_backing backings[PARCEL_SPACES] = {
        TERRANE_BACKING_PRIVATE, TERRANE_BACKING_MEMFD, TERRANE_BACKING_SCRATCH,
        TERRANE_BACKING_PRIVATE};
    const enum terrane_backing backing = backings[which];
    const struct terrane_space_options options = {
        .backing = backing,
        .window_bytes = (size_t)16 << 30,
        .scratch_dir = backing == TERRANE_BACKING_SCRATCH ? "/tmp" : NULL,
        .move_min_bytes = (size_t)64 << 10};
    struct terrane_space *space = NULL;
    const int error = terrane_space_create(&options, &space);
    EXPECT_THAT(error == 0, "%d", error);
    return space;
}

/* The word of a page that counts. */
static inline uint64_t *parcel_word(const struct parcel *parcel, size_t page)
{
    const size_t word = contents_mix(parcel->seed ^ page) % (PARCEL_STEP / 8);
    return (uint64_t *)parcel->region.data + page * (PARCEL_STEP / 8) + word;
}

/* Writes the bytes [from, to), whole pages, of the parcel's contents. */
static inline void parcel_write_range(const struct parcel *parcel, size_t from, size_t to)
{
    if (parcel->whole) {
        contents_write_range(parcel->region.data, from, to, parcel->seed);
        return;
    }
    for (size_t page = from / PARCEL_STEP; page < to / PARCEL_STEP; page++)
        *parcel_word(parcel, page) = contents_word(parcel->seed, page);
}

/* A region that was acquired gets contents of its own. */
static inline struct parcel parcel_make(struct terrane_region region, uint64_t seed)
{
    const struct parcel parcel = {region, seed,
                                  region.capacity <= PARCEL_WHOLE || contents_mix(seed) % 8 == 0};
    parcel_write_range(&parcel, 0, region.capacity);
    return parcel;
}

/* Its first `bytes`, whole pages. */
static inline void parcel_check_range(const struct parcel *parcel, size_t bytes)
{
    if (parcel->whole) {
        EXPECT_INTACT(parcel->region.data, bytes, parcel->seed);
        return;
    }
    for (size_t page = 0; page < bytes / PARCEL_STEP; page++) {
        const uint64_t word = *parcel_word(parcel, page);
        EXPECT_THAT(word == contents_word(parcel->seed, page),
                    "region %p of %zu bytes, wrong in page %zu: %llx", parcel->region.data,
                    parcel->region.capacity, page, (unsigned long long)word);
    }
}

static inline void parcel_check(const struct parcel *parcel)
{
    parcel_check_range(parcel, parcel->region.capacity);
}

/* The region was resized: what was kept is checked, what is new is written. */
static inline void parcel_resized(struct parcel *parcel, size_t capacity_before)
{
    const size_t now = parcel->region.capacity;
    parcel_check_range(parcel, capacity_before < now ? capacity_before : now);
    if (now > capacity_before)
        parcel_write_range(parcel, capacity_before, now);
}

/* Whether a wish for `bytes` may get this capacity: at most a quarter more than the pages it needs.
 */
static inline bool parcel_capacity_fits(size_t capacity, size_t bytes, size_t page)
{
    const size_t needed = ((bytes == 0 ? 1 : bytes) + page - 1) / page * page;
    return capacity % page == 0 && capacity >= needed && capacity <= needed + needed / 4;
}

/* The space counts so many regions in use and so many bytes handed out. Nobody calls it, but its
 * worker may be letting a region of a cache go, which is neither cached then nor gone. */
static inline void expect_counts(struct terrane_space *space, uint64_t regions, uint64_t bytes)
{
    static struct terrane_pool_stats stats;
    for (unsigned tries = 0; tries < 2000; tries++) {
        terrane_pool_stats(space, &stats);
        if (stats.regions == regions && stats.total.live_bytes == bytes)
            return;
        usleep(1000);
    }
    EXPECT_THAT(false, "%llu regions, not %llu; %llu bytes, not %llu",
                (unsigned long long)stats.regions, (unsigned long long)regions,
                (unsigned long long)stats.total.live_bytes, (unsigned long long)bytes);
}

#endif
