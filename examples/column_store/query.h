/* Questions to one version of a table. */
#ifndef COLUMN_STORE_QUERY_H
#define COLUMN_STORE_QUERY_H

#include "table.h"

/* Prints the answer to
 *
 *   FUNCTION... [where COLUMN OP VALUE [and COLUMN OP VALUE]...] [by COLUMN]
 *
 * as CSV: one line, or with `by` one for each text of that column, which it begins with. */
bool answer(const struct version *version, const struct text *words, size_t count);

#endif
