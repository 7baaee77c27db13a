/* Takes a snapshot out of a copy of a stat page that another process wrote, perhaps while it was
 * copied, perhaps not at all: nothing in it is believed without a look, and no content of a page
 * makes this code loop, or read or write elsewhere. */
#ifndef TN_STAT_SNAPSHOT_H
#define TN_STAT_SNAPSHOT_H

#include "stats/stat_page.h"

enum tn_stat_verdict {
    TN_STAT_GOOD,
    TN_STAT_FOREIGN,       /* not a stat page, or not yet */
    TN_STAT_OTHER_VERSION, /* of another build, whose figures are others */
    TN_STAT_TORN,          /* written meanwhile, or damaged: copy again */
};

struct tn_stat_snapshot {
    uint32_t pid; /* of the writer, as it sees itself */
    bool ended;
    uint64_t time_ns;  /* when it was taken, monotonic clock */
    uint64_t start_ns; /* when the page was made */
    uint64_t missing;  /* spaces that it lacks */
    uint64_t used[TN_STAT_USED_WORDS];
    struct tn_figures spaces[TN_SPACES_MAX]; /* by number, where the bit in `used` is set */
};

/* Fills *out when the page is good, and also when it is torn: then each figure was right at some
 * time, but they may not fit together, or the page is damaged. Otherwise *out is unchanged. */
enum tn_stat_verdict tn_stat_take(const struct tn_stat_page *copy, struct tn_stat_snapshot *out);

/* A tn_figures_source; the context is a snapshot. */
bool tn_stat_figures(void *context, uint32_t id, struct tn_figures *out);

#endif
