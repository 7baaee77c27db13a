/* The stats floor for the others: counting for `terrane run`, figures as text, the stat page. */
#ifndef TN_STATS_H
#define TN_STATS_H

#include "stats/figures.h"
#include "stats/publish.h"
#include "stats/render.h"
#include "stats/report.h"
#include "stats/report_page.h"
#include "stats/stat_page.h"
#include "stats/stat_snapshot.h"

#endif
