/* A snapshot as a table: for each space the figures that are not 0, with their rates, then the runs
 * of each order that was ever used. All names and units come from the table of figures. */
#include "report_render.h"
#include "stat.h"

#include <stdio.h>
#include <string.h>

#define NAME_WIDTH   16
#define VALUE_WIDTH  12
#define RATE_WIDTH   14
#define CELLS_A_LINE 2
#define COLUMN_WIDTH 11
#define SECOND_NS    1e9

/* ---- figures ---- */

static const char *words_of(const struct tn_figure *row, uint64_t value)
{
    return row->bytes ? words_bytes(value) : words_count(value);
}

/* How much of it came in a second; 0 where it does not rise. */
static uint64_t rate_of(const struct stat_view *view, const struct tn_figure *row, uint64_t now,
                        uint64_t before)
{
    if (row->kind != TN_FIGURE_RISING || now <= before)
        return 0;
    const double seconds = (double)(view->now->time_ns - view->before->time_ns) / SECOND_NS;
    return (uint64_t)((double)(now - before) / seconds + 0.5);
}

/* The space as it was before; NULL: nothing to compare with. A later space may have its number, and
 * then figures may have fallen. */
static const struct tn_figures *earlier(const struct stat_view *view, uint32_t id)
{
    const struct tn_stat_snapshot *before = view->before;
    if (before == NULL || before->time_ns >= view->now->time_ns ||
        (before->used[id / 64] >> id % 64 & 1) == 0)
        return NULL;
    return &before->spaces[id];
}

/* Ends a line without the blanks that its last cell was filled up with. */
static void end_line(struct text *out)
{
    while (out->length > 0 && out->bytes[out->length - 1] == ' ')
        out->length--;
    text_print(out, "\n");
}

/* One figure; returns how many cells of its line are full now. */
static unsigned cell(const struct stat_view *view, const struct tn_figures *figures,
                     enum tn_figure_group group, size_t index, unsigned filled, struct text *out)
{
    const struct tn_figure *row = &tn_figure_rows(group)->rows[index];
    const uint64_t value = tn_figure_words(figures, group, 0)[index];
    if (row->name == NULL || value == 0 || strcmp(row->name, "version") == 0)
        return filled;
    const struct tn_figures *before = earlier(view, (uint32_t)figures->id);
    char rate[RATE_WIDTH + 8] = "";
    uint64_t a_second = 0;
    if (before != NULL)
        a_second = rate_of(view, row, value, tn_figure_words(before, group, 0)[index]);
    if (a_second > 0)
        snprintf(rate, sizeof(rate), "+%s/s", words_of(row, a_second));
    text_print(out, "  %-*s %*s %-*s", NAME_WIDTH, row->name, VALUE_WIDTH, words_of(row, value),
               RATE_WIDTH, rate);
    if (++filled < CELLS_A_LINE)
        return filled;
    end_line(out);
    return 0;
}

static void figures_of(const struct stat_view *view, const struct tn_figures *figures,
                       struct text *out)
{
    unsigned filled = 0;
    for (unsigned group = TN_GROUP_SPACE; group <= TN_GROUP_POOL; group++) {
        const size_t count = tn_figure_rows((enum tn_figure_group)group)->count;
        for (size_t i = 0; i < count; i++)
            filled = cell(view, figures, (enum tn_figure_group)group, i, filled, out);
    }
    if (filled > 0)
        end_line(out);
}

/* ---- orders ---- */

static bool is_untouched(const struct tn_figures *figures, enum tn_figure_group group,
                         unsigned order)
{
    const uint64_t *words = tn_figure_words(figures, group, order);
    for (size_t i = 0; i < tn_figure_rows(group)->count; i++) {
        if (words[i] != 0)
            return false;
    }
    return true;
}

/* In few columns: 9999999, 12.3M, 512K. */
static void print_short(uint64_t value, bool bytes, struct text *out)
{
    static const char units[] = " KMGTPE";
    const double step = bytes ? 1024 : 1000;
    const double most = bytes ? 1024 : 1e7; /* beyond it, a unit */
    double shown = (double)value;
    unsigned unit = 0;
    if (shown >= most) {
        for (; shown >= step * 0.9995 && units[unit + 1] != '\0'; unit++)
            shown /= step;
    }
    char text[32];
    if (unit == 0)
        snprintf(text, sizeof(text), "%.0f", shown);
    else
        snprintf(text, sizeof(text), "%.*f%c",
                 shown < 9.995   ? 2
                 : shown < 99.95 ? 1
                                 : 0,
                 shown, units[unit]);
    text_print(out, "%*s", COLUMN_WIDTH, text);
}

static void order_line(const struct tn_figures *figures, enum tn_figure_group group, unsigned order,
                       bool bytes, struct text *out)
{
    const struct tn_figure_rows *table = tn_figure_rows(group);
    const uint64_t *words = tn_figure_words(figures, group, order);
    char name[16] = "all";
    if (group == TN_GROUP_ORDER)
        snprintf(name, sizeof(name), "%s", words_bytes(tn_bytes_of_order(order)));
    text_print(out, "  %-8s", name);
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].bytes == bytes)
            print_short(words[i], bytes, out);
    }
    text_print(out, "\n");
}

/* What came in a second, of all orders together. */
static void rate_line(const struct stat_view *view, const struct tn_figures *figures, bool bytes,
                      struct text *out)
{
    const struct tn_figures *before = earlier(view, (uint32_t)figures->id);
    const struct tn_figure_rows *table = tn_figure_rows(TN_GROUP_TOTAL);
    if (before == NULL)
        return;
    const uint64_t *now = tn_figure_words(figures, TN_GROUP_TOTAL, 0);
    const uint64_t *then = tn_figure_words(before, TN_GROUP_TOTAL, 0);
    text_print(out, "  %-8s", "a second");
    for (size_t i = 0; i < table->count; i++) {
        const struct tn_figure *row = &table->rows[i];
        if (row->bytes == bytes && row->kind == TN_FIGURE_RISING)
            print_short(rate_of(view, row, now[i], then[i]), bytes, out);
        else if (row->bytes == bytes)
            text_print(out, "%*s", COLUMN_WIDTH, "");
    }
    end_line(out);
}

/* The counts of all orders, or their bytes. */
static void orders_of(const struct stat_view *view, const struct tn_figures *figures, bool bytes,
                      struct text *out)
{
    const struct tn_figure_rows *table = tn_figure_rows(TN_GROUP_ORDER);
    text_print(out, "\n  %-8s", bytes ? "bytes in" : "runs of");
    for (size_t i = 0; i < table->count; i++) {
        const char *name = table->rows[i].name;
        const char *unit = strstr(name, "_bytes");
        const int length = (int)(unit == NULL ? strlen(name) : (size_t)(unit - name));
        if (table->rows[i].bytes == bytes)
            text_print(out, "%*.*s", COLUMN_WIDTH, length, name);
    }
    text_print(out, "\n");
    for (unsigned order = 0; order < TERRANE_POOL_ORDERS; order++) {
        if (!is_untouched(figures, TN_GROUP_ORDER, order))
            order_line(figures, TN_GROUP_ORDER, order, bytes, out);
    }
    order_line(figures, TN_GROUP_TOTAL, 0, bytes, out);
    rate_line(view, figures, bytes, out);
}

/* ---- the whole ---- */

static void head(const struct stat_view *view, struct text *out)
{
    text_print(out, "process %d  %s\n", view->target->pid, view->target->command);
    text_print(out, "snapshot of %s ago", words_seconds((double)view->age_ns / SECOND_NS));
    if (view->ended)
        text_print(out, "; the process has ended");
    else if (view->now->ended)
        text_print(out, "; the process publishes no more");
    if (view->torn)
        text_print(out, "; it was killed in the middle of a write: figures may not fit together");
    if (view->now->missing > 0)
        text_print(out, "; no memory for %s further spaces", words_count(view->now->missing));
    text_print(out, "\n");
}

void stat_table(const struct stat_view *view, struct text *out)
{
    head(view, out);
    size_t spaces = 0;
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        if ((view->now->used[id / 64] >> id % 64 & 1) == 0)
            continue;
        const struct tn_figures *figures = &view->now->spaces[id];
        text_print(out, "\nspace %u, %s\n", (unsigned)id, tn_backing_name(figures->backing));
        figures_of(view, figures, out);
        if (!is_untouched(figures, TN_GROUP_TOTAL, 0)) {
            orders_of(view, figures, false, out);
            orders_of(view, figures, true, out);
        }
        spaces++;
    }
    if (spaces == 0)
        text_print(out, "\nno space yet\n");
}
