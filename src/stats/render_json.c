/* The figures as one JSON object:
 *
 *   {"version":1,
 *    "spaces":[{"id":0,"backing":"private","space":{...},
 *               "pool":{...,"total":{...},"orders":[{"order":0,"run_bytes":65536,...},...]}},...],
 *    "sum":{"space":{...},"pool":{...}}}
 *
 * Members are named as the fields of the public structs; a sum lacks what has none. */
#include "stats/render.h"
#include "stats/sink.h"

#define FORMAT_VERSION 1

static void name(struct tn_sink *sink, const char *key)
{
    tn_sink_string(sink, "\"");
    tn_sink_string(sink, key);
    tn_sink_string(sink, "\":");
}

/* The members of a group, with commas between and behind none. `first`: nothing stands before. */
static void group(struct tn_sink *sink, const struct tn_figures *figures, bool is_sum,
                  enum tn_figure_group which, unsigned order)
{
    const struct tn_figure_rows *table = tn_figure_rows(which);
    const uint64_t *words = tn_figure_words(figures, which, order);
    bool first = true;
    for (size_t i = 0; i < table->count; i++) {
        const struct tn_figure *row = &table->rows[i];
        if (row->name == NULL || (is_sum && row->kind == TN_FIGURE_SETTING))
            continue;
        tn_sink_string(sink, first ? "" : ",");
        name(sink, row->name);
        tn_sink_number(sink, words[i]);
        first = false;
    }
}

static void orders(struct tn_sink *sink, const struct tn_figures *figures, bool is_sum)
{
    for (unsigned order = 0; order < TERRANE_POOL_ORDERS; order++) {
        tn_sink_string(sink, order == 0 ? "{" : ",{");
        name(sink, "order");
        tn_sink_number(sink, order);
        tn_sink_string(sink, ",");
        name(sink, "run_bytes");
        tn_sink_number(sink, tn_bytes_of_order(order));
        tn_sink_string(sink, ",");
        group(sink, figures, is_sum, TN_GROUP_ORDER, order);
        tn_sink_string(sink, "}");
    }
}

static void space_and_pool(struct tn_sink *sink, const struct tn_figures *figures, bool is_sum)
{
    name(sink, "space");
    tn_sink_string(sink, "{");
    group(sink, figures, is_sum, TN_GROUP_SPACE, 0);
    tn_sink_string(sink, "},");
    name(sink, "pool");
    tn_sink_string(sink, "{");
    group(sink, figures, is_sum, TN_GROUP_POOL, 0);
    tn_sink_string(sink, ",");
    name(sink, "total");
    tn_sink_string(sink, "{");
    group(sink, figures, is_sum, TN_GROUP_TOTAL, 0);
    tn_sink_string(sink, "},");
    name(sink, "orders");
    tn_sink_string(sink, "[");
    orders(sink, figures, is_sum);
    tn_sink_string(sink, "]}");
}

static void space(struct tn_sink *sink, const struct tn_figures *figures)
{
    tn_sink_string(sink, "{");
    name(sink, "id");
    tn_sink_number(sink, figures->id);
    tn_sink_string(sink, ",");
    name(sink, "backing");
    tn_sink_string(sink, "\"");
    tn_sink_string(sink, tn_backing_name(figures->backing));
    tn_sink_string(sink, "\",");
    space_and_pool(sink, figures, false);
    tn_sink_string(sink, "}");
}

size_t tn_render_json(const struct tn_rendering *what, char *text, size_t size)
{
    struct tn_sink sink = {text, size, 0};
    struct tn_figures sum = {.id = 0};
    tn_sink_string(&sink, "{");
    name(&sink, "version");
    tn_sink_number(&sink, FORMAT_VERSION);
    tn_sink_string(&sink, ",");
    tn_sink_string(&sink, what->preamble == NULL ? "" : what->preamble);
    name(&sink, "spaces");
    tn_sink_string(&sink, "[");
    bool first = true;
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        struct tn_figures figures;
        if (!what->read(what->context, id, &figures))
            continue;
        tn_sink_string(&sink, first ? "" : ",");
        space(&sink, &figures);
        tn_figures_add(&sum, &figures);
        first = false;
    }
    tn_sink_string(&sink, "]");
    if (what->sums) {
        tn_sink_string(&sink, ",");
        name(&sink, "sum");
        tn_sink_string(&sink, "{");
        space_and_pool(&sink, &sum, true);
        tn_sink_string(&sink, "}");
    }
    tn_sink_string(&sink, "}\n");
    return tn_sink_end(&sink);
}
