/* The table of figures; see figures.h. */
#include "stats/figures.h"

#define WORD(type, field) (offsetof(struct type, field) / sizeof(uint64_t))

#define RISING  TN_FIGURE_RISING, false
#define LEVEL   TN_FIGURE_LEVEL, false
#define SETTING TN_FIGURE_SETTING, false
/* The same in bytes. */
#define RISING_BYTES  TN_FIGURE_RISING, true
#define LEVEL_BYTES   TN_FIGURE_LEVEL, true
#define PEAK_BYTES    TN_FIGURE_PEAK, true
#define SETTING_BYTES TN_FIGURE_SETTING, true

#define S(field, ...) [WORD(terrane_stats, field)] = {#field, __VA_ARGS__}

static const struct tn_figure space_rows[] = {
    S(version, SETTING, "stats_version", NULL, "version of struct terrane_stats"),
    S(window_bytes, SETTING_BYTES, NULL, NULL, "addresses reserved for runs"),
    S(meta_bytes, SETTING_BYTES, NULL, NULL, "addresses reserved for tables"),
    S(run_bytes, LEVEL_BYTES, NULL, NULL, "runs handed out to users and heaps"),
    S(run_bytes_peak, PEAK_BYTES, "run_peak_bytes", NULL, "most bytes of runs handed out"),
    S(dirty_bytes, LEVEL_BYTES, NULL, NULL, "free runs whose pages are still resident"),
    S(small_bytes, LEVEL_BYTES, NULL, NULL, "runs that are blocks of small objects"),
    S(large_bytes, LEVEL_BYTES, NULL, NULL, "runs that are large objects"),
    S(mappings, LEVEL, NULL, NULL, "kernel mappings that moves, guards and advice cost"),
    S(mappings_budget, SETTING, NULL, NULL, "most kernel mappings that it allows itself"),
    S(commits, RISING, NULL, NULL, "ranges made usable"),
    S(discards, RISING, NULL, NULL, "ranges given back to the kernel"),
    S(discard_bytes, RISING_BYTES, NULL, NULL, "length of ranges given back to the kernel"),
    S(moves, RISING, NULL, NULL, "ranges moved by page table"),
    S(move_bytes, RISING_BYTES, NULL, NULL, "bytes moved by page table instead of being copied"),
    S(copies, RISING, NULL, NULL, "resizes and moves of large objects that copied"),
    S(copy_bytes, RISING_BYTES, NULL, NULL, "bytes copied by resizes and moves"),
    S(grown_in_place, RISING, NULL, NULL, "large objects that grew at their address"),
    S(aliases, RISING, NULL, NULL, "ranges aliased"),
    S(alias_bytes, RISING_BYTES, NULL, NULL, "bytes aliased instead of being copied"),
    S(budget_refusals, RISING, NULL, NULL, "times that the mapping budget said no"),
    S(large_allocs, RISING, NULL, NULL, "large objects allocated"),
    S(large_frees, RISING, NULL, NULL, "large objects freed"),
    S(remote_frees, RISING, NULL, NULL, "small objects freed by a thread not their heap's owner"),
    S(heaps, LEVEL, NULL, NULL, "heaps that exist"),
    S(adoptions, RISING, NULL, NULL, "heaps taken over from ended threads"),
    S(small_refills, RISING, NULL, NULL, "batches taken from spans into caches of heaps"),
    S(small_flushes, RISING, NULL, NULL, "batches given back to spans from caches of heaps"),
};
_Static_assert(sizeof(space_rows) / sizeof(space_rows[0]) ==
                   sizeof(struct terrane_stats) / sizeof(uint64_t),
               "every field of struct terrane_stats has its row");

#define P(field, ...) [WORD(terrane_pool_stats, field)] = {#field, __VA_ARGS__}

static const struct tn_figure pool_rows[] = {
    P(version, SETTING, "stats_version", NULL, "version of struct terrane_pool_stats"),
    P(regions, LEVEL, NULL, NULL, "live runs that are regions"),
    P(resizes, RISING, NULL, NULL, "resizes of regions"),
    P(purges, RISING, NULL, NULL, "runs given back to the kernel"),
    P(refusals, RISING, NULL, NULL, "acquires and resizes that failed"),
    P(pressure_calls, RISING, NULL, NULL, "calls of the pressure callback"),
    P(mapped_bytes, LEVEL_BYTES, NULL, NULL, "addresses of the window ever handed out"),
    P(resident_bytes, LEVEL_BYTES, NULL, NULL, "bytes that may have pages"),
    P(file_bytes, LEVEL_BYTES, NULL, NULL, "what the file takes, by its file system's count"),
    P(elided_bytes, RISING_BYTES, NULL, NULL, "changed bytes freed before they were written out"),
    P(evicted_bytes, RISING_BYTES, NULL, NULL, "bytes written out and dropped for the budget"),
    P(limit_bytes, SETTING_BYTES, NULL, NULL, "most bytes handed out at a time, 0 is no limit"),
    P(budget_bytes, SETTING_BYTES, NULL, NULL, "resident budget of the file, 0 is none"),
};
_Static_assert(sizeof(pool_rows) / sizeof(pool_rows[0]) == WORD(terrane_pool_stats, orders),
               "every field of struct terrane_pool_stats has its row");

#define O(field, ...) [WORD(terrane_order_stats, field)] = {#field, __VA_ARGS__}

static const struct tn_figure order_rows[] = {
    O(acquires, RISING, NULL, NULL, "runs handed out"),
    O(releases, RISING, NULL, NULL, "runs given back"),
    O(cache_hits, RISING, NULL, NULL, "acquires served by the thread's own cache"),
    O(dirty_hits, RISING, NULL, NULL, "acquires served by shared warm runs"),
    O(steals, RISING, NULL, NULL, "acquires served by another thread's cache"),
    O(refills, RISING, NULL, NULL, "acquires served by clean runs and new addresses"),
    O(splits, RISING, NULL, NULL, "runs divided for a smaller one"),
    O(joins, RISING, NULL, NULL, "runs made of two smaller ones"),
    O(purged_bytes, RISING_BYTES, NULL, NULL, "warm bytes given back to the kernel"),
    O(live_bytes, LEVEL_BYTES, "bytes", "live", "handed out now"),
    O(held_peak, PEAK_BYTES, "held_peak_bytes", NULL, "most bytes handed out and cached at a time"),
    O(cached_bytes, LEVEL_BYTES, "bytes", "cached", "in caches of threads now"),
    O(dirty_bytes, LEVEL_BYTES, "bytes", "dirty", "warm in shared lists now"),
    O(clean_bytes, LEVEL_BYTES, "bytes", "clean", "free addresses without pages now"),
};
_Static_assert(sizeof(order_rows) / sizeof(order_rows[0]) ==
                   sizeof(struct terrane_order_stats) / sizeof(uint64_t),
               "every field of struct terrane_order_stats has its row");

static const struct tn_figure_rows groups[TN_GROUPS] = {
    [TN_GROUP_SPACE] = {"space_", space_rows, TN_ARRAY_COUNT(space_rows)},
    [TN_GROUP_POOL] = {"pool_", pool_rows, TN_ARRAY_COUNT(pool_rows)},
    [TN_GROUP_TOTAL] = {"pool_", order_rows, TN_ARRAY_COUNT(order_rows)},
    [TN_GROUP_ORDER] = {"pool_order_", order_rows, TN_ARRAY_COUNT(order_rows)},
};

const struct tn_figure_rows *tn_figure_rows(enum tn_figure_group group)
{
    return &groups[group];
}

const uint64_t *tn_figure_words(const struct tn_figures *figures, enum tn_figure_group group,
                                unsigned order)
{
    const void *words = &figures->space;
    if (group == TN_GROUP_POOL)
        words = &figures->pool;
    else if (group == TN_GROUP_TOTAL)
        words = &figures->pool.total;
    else if (group == TN_GROUP_ORDER)
        words = &figures->pool.orders[order];
    return words;
}

const char *tn_backing_name(uint64_t backing)
{
    static const char *const names[] = {
        [TERRANE_BACKING_PRIVATE] = "private",
        [TERRANE_BACKING_MEMFD] = "memfd",
        [TERRANE_BACKING_SCRATCH] = "scratch",
    };
    return backing < TN_ARRAY_COUNT(names) ? names[backing] : "unknown";
}

void tn_figures_read(struct terrane_space *space, struct tn_figures *out)
{
    out->id = space->id;
    out->backing = space->backing;
    terrane_space_stats(space, &out->space);
    terrane_pool_stats(space, &out->pool);
}

static void group_add(struct tn_figures *sum, const struct tn_figures *more,
                      enum tn_figure_group group, unsigned order)
{
    const struct tn_figure_rows *table = tn_figure_rows(group);
    const uint64_t *from = tn_figure_words(more, group, order);
    const size_t offset = (size_t)((const char *)from - (const char *)more);
    uint64_t *to = (uint64_t *)(void *)((char *)sum + offset);
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].name != NULL && table->rows[i].kind != TN_FIGURE_SETTING)
            to[i] += from[i];
    }
}

void tn_figures_add(struct tn_figures *sum, const struct tn_figures *more)
{
    for (unsigned group = 0; group < TN_GROUP_ORDER; group++)
        group_add(sum, more, (enum tn_figure_group)group, 0);
    for (unsigned order = 0; order < TERRANE_POOL_ORDERS; order++)
        group_add(sum, more, TN_GROUP_ORDER, order);
}
