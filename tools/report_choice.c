/* Which rows are worth showing; see report_render.h. */
#include "report_render.h"

#include <stdlib.h>

/* The doubling that a class belongs to: 16, 32, 64 ... */
static uint64_t doubling_of(unsigned class_index)
{
    uint64_t limit = 16;
    while (limit < tn_report_class_limit(class_index))
        limit *= 2;
    return limit;
}

size_t choice_sizes(const struct run_counts *counts, struct size_row *rows, size_t max)
{
    size_t used = 0;
    size_t last_filled = 0;
    for (unsigned i = 0; i < TN_REPORT_CLASSES; i++) {
        const uint64_t to = doubling_of(i);
        const bool joins = used > 0 && rows[used - 1].to == to;
        if (!joins && used == 0 && counts->classes[i] == 0)
            continue; /* nothing smaller was asked for */
        if (!joins && used == max)
            break;
        if (!joins)
            rows[used++] = (struct size_row){to == 16 ? 0 : to / 2 + 1, to, 0};
        rows[used - 1].count += counts->classes[i];
        if (counts->classes[i] != 0)
            last_filled = used;
    }
    return last_filled;
}

static const struct run_report *sorted_report;

/* The program's own images first, in order of start, then by peak. */
static int by_weight(const void *left, const void *right)
{
    const size_t a = *(const size_t *)left;
    const size_t b = *(const size_t *)right;
    const struct run_process *first = &sorted_report->processes[a];
    const struct run_process *second = &sorted_report->processes[b];
    const bool first_is_program = (int)first->pid == sorted_report->end.pid;
    const bool second_is_program = (int)second->pid == sorted_report->end.pid;
    if (first_is_program != second_is_program)
        return first_is_program ? -1 : 1;
    if (!first_is_program && first->live_peak != second->live_peak)
        return first->live_peak > second->live_peak ? -1 : 1;
    return (a > b) - (a < b);
}

size_t choice_processes(const struct run_report *report, size_t *indices, size_t max)
{
    const size_t count = report->processes_count;
    size_t *all = memory_get((count + 1) * sizeof(all[0]));
    for (size_t i = 0; i < count; i++)
        all[i] = i;
    sorted_report = report;
    qsort(all, count, sizeof(all[0]), by_weight);
    const size_t used = count < max ? count : max;
    for (size_t i = 0; i < used; i++)
        indices[i] = all[i];
    free(all);
    return used;
}
