/* Text that lies elsewhere, and what stands in it: fields of CSV, numbers. */
#ifndef COLUMN_STORE_CSV_H
#define COLUMN_STORE_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/array.h>

/* Says what is wrong on standard error. Always false, for the caller to return. */
bool complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether there is no (negative) error; complains else. */
bool fine(int error);

/* Characters, not terminated. */
struct text {
    const char *at;
    size_t length;
};

/* As memcmp; what is longer comes behind. */
int compare(struct text left, struct text right);

bool is_word(struct text text, const char *word);

/* Reads CSV between two addresses. */
struct reader {
    const char *at, *end;
    struct terrane_array *plain; /* the last quoted field that had quotes in it, without them */
    bool failed;                 /* there was no memory for it */
};

/* The next field, valid until the next call; *last: it ends its row. */
struct text next_field(struct reader *reader, bool *last);

/* Gives the fields of the next row to `take`, with their index. False: they are not `columns`, or
 * the reader has failed. */
typedef void take_field(void *into, size_t column, struct text field);
bool read_row(struct reader *reader, size_t columns, take_field *take, void *into);

/* A whole number that fits; digits with a point or an exponent. */
bool parse_integer(struct text text, int64_t *out);
bool parse_real(struct text text, double *out);

#endif
