/* The stats floor for the others: the report page and the hooks that fill it. */
#ifndef TN_STATS_H
#define TN_STATS_H

#include "stats/report.h"
#include "stats/report_page.h"

#endif
