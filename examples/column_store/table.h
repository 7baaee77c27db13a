/* Tables and their versions: what was read from files, in arrays.
 *
 * A version holds one reference to each array. Adding rows to a version takes further references
 * and lets these grow: the old version still ends (or begins) where it did, and what both show is
 * in memory once. */
#ifndef COLUMN_STORE_TABLE_H
#define COLUMN_STORE_TABLE_H

#include "csv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/terrane.h>

#define COLUMNS_MAX 32
#define NAME_BYTES  64

enum type { INTEGER, REAL, TEXT }; /* each holds what those before it hold */

struct column {
    char name[NAME_BYTES];
    enum type type;
    struct terrane_array *values; /* int64_t, double, or uint32_t: the text's place */
    struct terrane_array *ends;   /* of text: where the i-th one ends in `bytes`, size_t */
    struct terrane_array *bytes;
};

/* The columns of a version and what it shares with others: nothing of it ever changes. */
struct version {
    struct version *next;
    char name[NAME_BYTES];
    size_t rows;
    size_t column_count;
    struct column columns[COLUMNS_MAX];
};

struct store {
    struct version *versions;    /* the newest first */
    struct terrane_space *space; /* of all columns; its pages can be shown twice */
};

/* Where the pointer to a version stands, or the NULL behind the last one. */
struct version **find_version(struct store *store, struct text name);

/* NULL: complained. */
const struct column *find_column(const struct version *version, struct text name);

/* How many texts a column of text knows, and one of them. */
size_t texts(const struct column *column);
struct text text_at(const struct column *column, uint32_t place);

/* A new version: a file's rows behind those of `old`, or before them. `old` NULL: a new table. */
bool add_version(struct store *store, const struct version *old, struct text name, const char *file,
                 bool front);

/* Takes the version out of the list. */
void drop_version(struct version **at);

#endif
