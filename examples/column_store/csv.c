/* Text and CSV; see csv.h. Fields are looked at where the file is mapped. */
#include "csv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 64

bool complain(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("column_store: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return false;
}

bool fine(int error)
{
    return error == 0 || complain("%s", strerrordesc_np(-error));
}

int compare(struct text left, struct text right)
{
    const size_t common = left.length < right.length ? left.length : right.length;
    const int order = common == 0 ? 0 : memcmp(left.at, right.at, common);
    return order != 0 ? order : (left.length > right.length) - (left.length < right.length);
}

bool is_word(struct text text, const char *word)
{
    return compare(text, (struct text){word, strlen(word)}) == 0;
}

/* A field in quotes; a quote in it is written twice. */
static struct text quoted_field(struct reader *reader)
{
    const char *const start = ++reader->at;
    bool doubled = false;
    for (; reader->at < reader->end; reader->at++) {
        if (*reader->at != '"')
            continue;
        if (reader->at + 1 == reader->end || reader->at[1] != '"')
            break;
        doubled = true;
        reader->at++;
    }
    const struct text field = {start, (size_t)(reader->at - start)};
    reader->at += reader->at < reader->end; /* the last quote */
    if (!doubled)
        return field;
    reader->failed |= terrane_array_resize(&reader->plain, 0) != 0;
    for (size_t i = 0; i < field.length; i++) {
        reader->failed |= terrane_array_push(&reader->plain, &field.at[i], 1) != 0;
        i += field.at[i] == '"';
    }
    return (struct text){terrane_array_data(reader->plain), terrane_array_length(reader->plain)};
}

struct text next_field(struct reader *reader, bool *last)
{
    struct text field = {reader->at, 0};
    if (reader->at < reader->end && *reader->at == '"')
        field = quoted_field(reader);
    const char *const rest = reader->at;
    while (reader->at < reader->end && *reader->at != ',' && *reader->at != '\n')
        reader->at++;
    if (field.at == rest)
        field.length = (size_t)(reader->at - rest);
    *last = reader->at == reader->end || *reader->at == '\n';
    if (*last && field.at == rest && field.length > 0 && reader->at[-1] == '\r')
        field.length--;
    reader->at += reader->at < reader->end;
    return field;
}

bool read_row(struct reader *reader, size_t columns, take_field *take, void *into)
{
    bool last = false;
    size_t column = 0;
    for (; !last && !reader->failed; column++) {
        const struct text field = next_field(reader, &last);
        if (column < columns)
            take(into, column, field);
    }
    return !reader->failed && column == columns;
}

bool parse_integer(struct text text, int64_t *out)
{
    const bool negative = text.length > 0 && text.at[0] == '-';
    int64_t value = 0;
    for (size_t i = negative; i < text.length; i++) {
        const int digit = text.at[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) /* the most negative number has no twin */
            return false;
    }
    *out = negative ? value : -value;
    return text.length > negative && (negative || value != INT64_MIN);
}

bool parse_real(struct text text, double *out)
{
    char copy[NUMBER_BYTES] = ""; /* terminated */
    if (text.length == 0 || text.length >= sizeof(copy))
        return false;
    memcpy(copy, text.at, text.length);
    if (strspn(copy, "+-.0123456789eE") < text.length)
        return false;
    char *end;
    *out = strtod(copy, &end);
    return *end == '\0';
}
