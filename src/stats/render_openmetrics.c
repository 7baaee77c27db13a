/* The figures as OpenMetrics text, version 1.0:
 *
 *   # TYPE terrane_pool_bytes gauge
 *   # UNIT terrane_pool_bytes bytes
 *   # HELP terrane_pool_bytes live: handed out now; cached: in caches of threads now; ...
 *   terrane_pool_bytes{space="0",backing="private",state="live"} 131072
 *   ...
 *   # EOF
 *
 * Figures of one family stand together, for all spaces and orders. Sums over the spaces are
 * families of their own, under terrane_process_, so that a sum over a family counts nothing
 * twice. */
#include "stats/render.h"
#include "stats/sink.h"

#include <string.h>

#define PREFIX     "terrane_"
#define SUM_PREFIX "terrane_process_"

/* One family, and where its samples go. */
struct family {
    struct tn_sink *sink;
    enum tn_figure_group group;
    const struct tn_figure *first; /* row that names it */
    bool is_sum;
};

static const char *family_name(const struct tn_figure *row)
{
    return row->family == NULL ? row->name : row->family;
}

static bool is_of(const struct family *family, const struct tn_figure *row)
{
    return row->name != NULL && strcmp(family_name(row), family_name(family->first)) == 0;
}

static void put_name(const struct family *family)
{
    tn_sink_string(family->sink, family->is_sum ? SUM_PREFIX : PREFIX);
    tn_sink_string(family->sink, tn_figure_rows(family->group)->prefix);
    tn_sink_string(family->sink, family_name(family->first));
}

static void put_head(const struct family *family, const char *key)
{
    tn_sink_string(family->sink, "# ");
    tn_sink_string(family->sink, key);
    tn_sink_string(family->sink, " ");
    put_name(family);
    tn_sink_string(family->sink, " ");
}

/* The help of a family with states is that of its figures, one after the other. */
static void put_help(const struct family *family)
{
    const struct tn_figure_rows *table = tn_figure_rows(family->group);
    put_head(family, "HELP");
    for (size_t i = 0; i < table->count; i++) {
        const struct tn_figure *row = &table->rows[i];
        if (!is_of(family, row))
            continue;
        tn_sink_string(family->sink, row == family->first ? "" : "; ");
        tn_sink_string(family->sink, row->state == NULL ? "" : row->state);
        tn_sink_string(family->sink, row->state == NULL ? "" : ": ");
        tn_sink_string(family->sink, row->help);
    }
    tn_sink_string(family->sink, "\n");
}

static void put_heads(const struct family *family)
{
    put_head(family, "TYPE");
    tn_sink_string(family->sink, family->first->kind == TN_FIGURE_RISING ? "counter\n" : "gauge\n");
    if (family->first->bytes) {
        put_head(family, "UNIT");
        tn_sink_string(family->sink, "bytes\n");
    }
    put_help(family);
}

/* name="value", and what opens or separates the labels before it. */
struct labels {
    struct tn_sink *sink;
    bool any;
};

static void put_label(struct labels *labels, const char *name, const char *value)
{
    tn_sink_string(labels->sink, labels->any ? "," : "{");
    tn_sink_string(labels->sink, name);
    tn_sink_string(labels->sink, "=\"");
    tn_sink_string(labels->sink, value);
    tn_sink_string(labels->sink, "\"");
    labels->any = true;
}

static void put_numbered_label(struct labels *labels, const char *name, uint64_t value)
{
    char digits[24];
    struct tn_sink sink = {digits, sizeof(digits), 0};
    tn_sink_number(&sink, value);
    (void)tn_sink_end(&sink);
    put_label(labels, name, digits);
}

static void put_sample(const struct family *family, const struct tn_figures *figures,
                       const struct tn_figure *row, unsigned order)
{
    const struct tn_figure *rows = tn_figure_rows(family->group)->rows;
    struct labels labels = {family->sink, false};
    put_name(family);
    tn_sink_string(family->sink, row->kind == TN_FIGURE_RISING ? "_total" : "");
    if (!family->is_sum) {
        put_numbered_label(&labels, "space", figures->id);
        put_label(&labels, "backing", tn_backing_name(figures->backing));
    }
    if (family->group == TN_GROUP_ORDER)
        put_numbered_label(&labels, "order", order);
    if (row->state != NULL)
        put_label(&labels, "state", row->state);
    tn_sink_string(family->sink, labels.any ? "} " : " ");
    tn_sink_number(family->sink, tn_figure_words(figures, family->group, order)[row - rows]);
    tn_sink_string(family->sink, "\n");
}

static void put_samples(const struct family *family, const struct tn_figures *figures)
{
    const struct tn_figure_rows *table = tn_figure_rows(family->group);
    const unsigned orders = family->group == TN_GROUP_ORDER ? TERRANE_POOL_ORDERS : 1;
    for (unsigned order = 0; order < orders; order++) {
        for (size_t i = 0; i < table->count; i++) {
            if (is_of(family, &table->rows[i]))
                put_sample(family, figures, &table->rows[i], order);
        }
    }
}

static void put_family(const struct tn_rendering *what, struct family *family)
{
    struct tn_figures sum = {.id = 0};
    put_heads(family);
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        struct tn_figures figures;
        if (!what->read(what->context, id, &figures))
            continue;
        put_samples(family, &figures);
        tn_figures_add(&sum, &figures);
    }
    if (!what->sums || family->first->kind == TN_FIGURE_SETTING)
        return;
    family->is_sum = true;
    put_heads(family);
    put_samples(family, &sum);
}

static bool is_first_of_family(const struct tn_figure *rows, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (rows[i].name != NULL && strcmp(family_name(&rows[i]), family_name(&rows[index])) == 0)
            return false;
    }
    return true;
}

size_t tn_render_openmetrics(const struct tn_rendering *what, char *text, size_t size)
{
    struct tn_sink sink = {text, size, 0};
    tn_sink_string(&sink, what->preamble == NULL ? "" : what->preamble);
    for (unsigned group = 0; group < TN_GROUPS; group++) {
        const struct tn_figure_rows *table = tn_figure_rows((enum tn_figure_group)group);
        for (size_t i = 0; i < table->count; i++) {
            if (table->rows[i].name == NULL || !is_first_of_family(table->rows, i))
                continue;
            struct family family = {&sink, (enum tn_figure_group)group, &table->rows[i], false};
            put_family(what, &family);
        }
    }
    tn_sink_string(&sink, "# EOF\n");
    return tn_sink_end(&sink);
}
