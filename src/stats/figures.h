/* The figures: what each counter is called, what it measures, how it is shown.
 *
 * Every field of struct terrane_stats and struct terrane_pool_stats has one row in figures.c. JSON,
 * OpenMetrics and the tables of `terrane stat` are loops over these rows, so that a new counter is
 * one new row, and docs/stats.md is held against them by a check.
 *
 * All fields are 64-bit words, and row i describes word i of its struct. Rows without a name are
 * fields that another group shows. */
#ifndef TN_FIGURES_H
#define TN_FIGURES_H

#include "space/space.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/pool.h>
#include <terrane/stats.h>

enum tn_figure_kind {
    TN_FIGURE_RISING,  /* only ever grows; shown with its rate */
    TN_FIGURE_LEVEL,   /* what there is now; adds up over spaces */
    TN_FIGURE_PEAK,    /* the highest so far; its sum over spaces is an upper bound */
    TN_FIGURE_SETTING, /* fixed or set from outside; has no sum */
};

struct tn_figure {
    const char *name; /* the field's */
    enum tn_figure_kind kind;
    bool bytes;         /* else a plain number */
    const char *family; /* of OpenMetrics, without prefix; NULL: the field's name */
    const char *state;  /* label by which figures of one family differ; NULL: alone in it */
    const char *help;   /* one clause, no stop at its end */
};

/* The figures of one space at one time. */
struct tn_figures {
    uint64_t id;
    uint64_t backing; /* enum terrane_backing */
    struct terrane_stats space;
    struct terrane_pool_stats pool;
};

/* Groups of rows, in the order in which they are shown. The last two share their rows. */
enum tn_figure_group {
    TN_GROUP_SPACE, /* struct terrane_stats */
    TN_GROUP_POOL,  /* struct terrane_pool_stats, what is not divided by order */
    TN_GROUP_TOTAL, /* its `total` */
    TN_GROUP_ORDER, /* one of its `orders` */
    TN_GROUPS
};

struct tn_figure_rows {
    const char *prefix; /* of the group's OpenMetrics families, behind terrane_ */
    const struct tn_figure *rows;
    size_t count;
};

/* The rows of a group. */
const struct tn_figure_rows *tn_figure_rows(enum tn_figure_group group);

/* The words that the rows of a group describe. `order` counts in TN_GROUP_ORDER only. */
const uint64_t *tn_figure_words(const struct tn_figures *figures, enum tn_figure_group group,
                                unsigned order);

/* "private", "memfd", "scratch"; "unknown" for any other number. */
const char *tn_backing_name(uint64_t backing);

/* Reads a space's counters as they are now. */
void tn_figures_read(struct terrane_space *space, struct tn_figures *out);

/* Adds figures that have a sum to those of `sum`, which begins as zeros. */
void tn_figures_add(struct tn_figures *sum, const struct tn_figures *more);

/* Gives the figures of the space with number `id`, below TN_SPACES_MAX; false: there is none. */
typedef bool tn_figures_source(void *context, uint32_t id, struct tn_figures *out);

#endif
