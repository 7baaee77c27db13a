/* The plots of the page, as inline SVG without scripts. Colours come from the page's style by
 * class, so that one drawing serves light and dark. Each mark has a <title>, which browsers show as
 * a hint. */
#include "report_render.h"

#include <math.h>
#include <string.h>

#define WIDTH        880.0
#define MEMORY_HIGH  260.0
#define SIZES_HIGH   240.0
#define LEFT         78.0
#define RIGHT        14.0
#define TOP          12.0
#define BOTTOM       30.0
#define SIZE_ROWS    40
#define TICKS_WANTED 5.0

void html_escape(struct text *out, const char *string)
{
    for (; *string != '\0'; string++) {
        switch (*string) {
        case '&':
            text_print(out, "&amp;");
            break;
        case '<':
            text_print(out, "&lt;");
            break;
        case '>':
            text_print(out, "&gt;");
            break;
        case '"':
            text_print(out, "&quot;");
            break;
        default:
            text_append(out, string, 1);
            break;
        }
    }
}

/* A drawing area with linear scales from 0 to x_max and y_max. */
struct plot {
    struct text *out;
    double high;
    double x_max, y_max;
};

static double plot_x(const struct plot *plot, double value)
{
    return LEFT + value / plot->x_max * (WIDTH - LEFT - RIGHT);
}

static double plot_y(const struct plot *plot, double value)
{
    return plot->high - BOTTOM - value / plot->y_max * (plot->high - TOP - BOTTOM);
}

static void plot_begin(const struct plot *plot, const char *label)
{
    text_print(plot->out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n", WIDTH,
               plot->high, label);
}

static void plot_end(const struct plot *plot)
{
    text_print(plot->out, "</svg>\n");
}

static void grid_line(const struct plot *plot, double value, const char *label)
{
    const double y = plot_y(plot, value);
    text_print(plot->out,
               "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>"
               "<text class=\"tick\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
               LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4, label);
}

static void time_tick(const struct plot *plot, double value, const char *label)
{
    text_print(plot->out,
               "<text class=\"tick\" x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%s</text>\n",
               plot_x(plot, value), plot->high - 8, label);
}

/* 1, 2 or 5 times a power of ten, so that about TICKS_WANTED steps fit. */
static double decimal_step(double max)
{
    const double raw = max / TICKS_WANTED;
    const double power = pow(10, floor(log10(raw)));
    const double lead = raw / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

/* A power of two, for bytes. */
static double binary_step(double max)
{
    return pow(2, ceil(log2(max / TICKS_WANTED)));
}

/* ---- memory over time ---- */

static uint64_t point_value(const struct run_point *point, bool resident)
{
    return resident ? point->resident : point->live_mean;
}

static void memory_line(const struct plot *plot, const struct run_report *report, bool resident)
{
    text_print(plot->out, "<path class=\"%s\" d=\"M%.1f %.1f", resident ? "resident" : "live",
               plot_x(plot, 0), plot_y(plot, 0));
    double from = 0;
    for (size_t i = 0; i < report->points_count; i++) {
        const struct run_point *point = &report->points[i];
        const double to = fmin((double)point->end_ns / 1e9, plot->x_max);
        const double value = (double)point_value(point, resident);
        text_print(plot->out, "L%.1f %.1f", plot_x(plot, (from + to) / 2), plot_y(plot, value));
        from = to;
    }
    text_print(plot->out, "L%.1f %.1f\"/>\n", plot_x(plot, plot->x_max), plot_y(plot, 0));
}

static double highest_point(const struct run_report *report)
{
    double highest = 4096;
    for (size_t i = 0; i < report->points_count; i++) {
        highest = fmax(highest, (double)report->points[i].live_mean);
        highest = fmax(highest, (double)report->points[i].resident);
    }
    return highest;
}

void plot_memory(const struct run_report *report, struct text *out)
{
    const double highest = highest_point(report);
    const double seconds = fmax((double)report->wall_ns / 1e9, 1e-6);
    const struct plot plot = {out, MEMORY_HIGH, seconds, highest * 1.04};
    plot_begin(&plot, "Memory over time");
    const double step = binary_step(highest);
    for (unsigned i = 0; i * step <= highest; i++)
        grid_line(&plot, i * step, i > 0 ? words_bytes((uint64_t)(i * step)) : "0");
    memory_line(&plot, report, true);
    memory_line(&plot, report, false);
    const double time_step = decimal_step(seconds);
    for (unsigned i = 0; i * time_step <= seconds * 1.0001; i++)
        time_tick(&plot, i * time_step, i > 0 ? words_seconds(i * time_step) : "0");
    plot_end(&plot);
}

/* ---- size histogram ---- */

/* Heights are logarithmic: the rare large requests matter as much as the millions of small ones. */
static double log_height(uint64_t count)
{
    return count == 0 ? 0 : log10((double)count) + 0.3;
}

static void size_bar(const struct plot *plot, const struct size_row *row, size_t index)
{
    const double left = plot_x(plot, (double)index + 0.12);
    const double right = plot_x(plot, (double)index + 0.88);
    const double top = plot_y(plot, log_height(row->count));
    text_print(plot->out,
               "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\">"
               "<title>%s to %s: %llu requests</title></rect>\n",
               left, top, right - left, plot_y(plot, 0) - top, words_bytes(row->from),
               words_bytes(row->to), (unsigned long long)row->count);
}

void plot_sizes(const struct run_report *report, struct text *out)
{
    struct size_row rows[SIZE_ROWS];
    const size_t count = choice_sizes(&report->counts, rows, SIZE_ROWS);
    double highest = 1;
    for (size_t i = 0; i < count; i++)
        highest = fmax(highest, log_height(rows[i].count));
    const struct plot plot = {out, SIZES_HIGH, fmax((double)count, 1), highest * 1.05};
    plot_begin(&plot, "Requests by size");
    for (int power = 0; power + 0.3 <= highest; power += 1 + (highest > 6))
        grid_line(&plot, power + 0.3, words_count((uint64_t)pow(10, power)));
    const size_t label_every = count / 9 + 1;
    for (size_t i = 0; i < count; i++) {
        size_bar(&plot, &rows[i], i);
        if (i % label_every == 0)
            time_tick(&plot, (double)i + 0.5, words_bytes(rows[i].to));
    }
    plot_end(&plot);
}

/* ---- remapped against copied ---- */

void plot_resizes(const struct run_report *report, struct text *out)
{
    static const char *const classes[TN_RESIZE_WAYS] = {"same", "place", "moved", "copied"};
    const double name_width = 110;
    const double number_width = 250;
    const double row_high = 34;
    const struct run_counts *counts = &report->counts;
    double largest = 1;
    for (unsigned i = 0; i < TN_RESIZE_WAYS; i++)
        largest = fmax(largest, (double)counts->resize_bytes[i]);
    const struct plot plot = {out, row_high * TN_RESIZE_WAYS + 8, largest, 1};
    plot_begin(&plot, "Bytes remapped against bytes copied by resizes");
    for (unsigned i = 0; i < TN_RESIZE_WAYS; i++) {
        const double y = 6 + row_high * i;
        const double width =
            (double)counts->resize_bytes[i] / largest * (WIDTH - name_width - number_width);
        text_print(
            out,
            "<text class=\"name\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%s</text>"
            "<rect class=\"%s\" x=\"%.0f\" y=\"%.0f\" width=\"%.1f\" height=\"22\" rx=\"2\"/>"
            "<text class=\"number\" x=\"%.1f\" y=\"%.0f\">%s in %s resizes</text>\n",
            name_width - 10, y + 16, words_resize(i), classes[i], name_width, y, fmax(width, 1),
            name_width + fmax(width, 1) + 8, y + 16, words_bytes(counts->resize_bytes[i]),
            words_count(counts->resizes[i]));
    }
    plot_end(&plot);
}

/* ---- one process, small ---- */

void plot_spark(const struct run_process *process, struct text *out)
{
    const double width = 120;
    const double high = 22;
    const double peak = fmax((double)process->live_peak, 1);
    const double last = fmax((double)process->wall_ns, 1);
    text_print(out,
               "<svg class=\"spark\" viewBox=\"0 0 %.0f %.0f\"><path class=\"live\" d=\"M0 %.0f",
               width, high, high);
    double from = 0;
    for (size_t i = 0; i < process->points_count; i++) {
        const double to = (double)process->points[i].end_ns;
        text_print(out, "L%.1f %.1f", (from + to) / 2 / last * width,
                   high - (double)process->points[i].live_mean / peak * (high - 2));
        from = to;
    }
    text_print(out, "L%.1f %.0f\"/></svg>", fmin(from / last, 1) * width, high);
}
