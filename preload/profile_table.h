/* The profiler's two tables: call sites, and which live object belongs to which. Not thread-safe:
 * profile.c guards them by its lock. */
#ifndef TN_PROFILE_TABLE_H
#define TN_PROFILE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TN_PROFILE_DEPTH 64

/* A call stack with the sampled objects of one size class that it allocated. */
struct tn_profile_site {
    struct tn_profile_site *next;    /* with the same hash */
    struct tn_profile_site *newer;   /* in order of creation */
    uint64_t live_count, live_bytes; /* not yet freed */
    uint64_t ever_count, ever_bytes;
    uint32_t size_class; /* tn_report_class */
    uint32_t depth;
    void *frames[]; /* return addresses, innermost first */
};

/* Takes the first memory. False: there was none. */
bool tn_profile_table_init(void);

/* The site of a stack and a size, created if new. NULL when the profiler's memory is used up. */
struct tn_profile_site *tn_profile_site_get(void *const *frames, uint32_t depth, size_t size);

/* First site in order of creation; go on with `newer`. */
const struct tn_profile_site *tn_profile_site_first(void);

/* Notes that `object` of `size` bytes belongs to `site` and counts it there. False when the
 * profiler's memory is used up: it is not counted then. */
bool tn_profile_live_insert(const void *object, size_t size, struct tn_profile_site *site);

/* Takes an object out and counts it off. False: it is no sample. */
bool tn_profile_live_remove(const void *object);

#endif
