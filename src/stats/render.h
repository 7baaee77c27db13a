/* The figures as text: JSON and OpenMetrics, for the library's calls and for `terrane stat`.
 *
 * Text goes into the caller's buffer as with snprintf: what does not fit is counted and dropped, so
 * nothing is allocated. At most two sets of figures (7 KiB) are on the stack at a time. OpenMetrics
 * wants all samples of a family together, so there the source is asked once a family. */
#ifndef TN_RENDER_H
#define TN_RENDER_H

#include "stats/figures.h"

struct tn_rendering {
    tn_figures_source *read;
    void *context;
    bool sums;            /* also the sums over all spaces */
    const char *preamble; /* JSON: further members of the object, each ended by a comma;
                             OpenMetrics: further families. NULL: none */
};

/* Writes at most `size` bytes, the terminator included; returns the length of the whole text. */
size_t tn_render_json(const struct tn_rendering *what, char *text, size_t size);
size_t tn_render_openmetrics(const struct tn_rendering *what, char *text, size_t size);

#endif
