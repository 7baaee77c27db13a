/* Memory over time in the report page; private to src/stats and its tests. */
#ifndef TN_REPORT_SERIES_H
#define TN_REPORT_SERIES_H

#include "stats/report_page.h"

#include <terrane/stats.h>

/* Prepares the series of a zeroed page whose start_ns is set. */
void tn_series_init(struct tn_report_page *page);

/* Adds a (signed, wrapped) change to the live bytes and keeps their peak. Any thread. */
void tn_series_live_add(struct tn_report_page *page, uint64_t change);

/* Live bytes with what is pending in the shards; never below 0. Any thread. */
uint64_t tn_series_live(struct tn_report_page *page);

/* Takes a sample now. The caller holds `sampling`. `stats` may be NULL. */
void tn_series_sample(struct tn_report_page *page, const struct terrane_stats *stats);

/* Asks the kernel for the peak of resident memory: slower than a sample, for the end. */
void tn_series_note_resident_peak(struct tn_report_page *page);

/* A sample at a given time, without asking the kernel for usage; for tests. */
void tn_series_advance(struct tn_report_page *page, uint64_t now_ns, uint64_t resident_bytes);

#endif
