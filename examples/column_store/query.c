/* Questions; see query.h. Rows are looked at in chunks, column by column: every filter takes marks
 * away, then every function adds up what is still marked. */
#include "query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS_MAX 16
#define FILTERS_MAX   16
#define CHUNK_ROWS    4096 /* so that the marks of their rows stay in the cache */

enum { LESS = 1, EQUAL = 2, GREATER = 4 };

/* A row stays if its value compares with the wanted one in an accepted way. */
struct filter {
    const struct column *column;
    unsigned accepted; /* bits above */
    int64_t integer;
    double real;
    struct terrane_array *verdicts; /* of text: for each place in the dictionary a bit as above */
};

enum kind { COUNT, SUM, MIN, MAX, AVG };

struct function {
    enum kind kind;
    const struct column *column; /* NULL: count */
};

/* What a function has seen of a group. Numbers of a column of integers are counted twice, since a
 * sum may be too large for one. */
struct total {
    int64_t count;
    int64_t integer_sum, integer_min, integer_max;
    double sum, min, max;
    bool overflow;
};

struct query {
    const struct version *version;
    struct function functions[FUNCTIONS_MAX];
    size_t function_count;
    struct filter filters[FILTERS_MAX];
    size_t filter_count;
    const struct column *by;      /* NULL: one group */
    struct terrane_array *totals; /* struct total: of each group one a function */
};

static unsigned outcome(int order)
{
    return order < 0 ? LESS : order > 0 ? GREATER : EQUAL;
}

static void filter_integers(const struct filter *filter, const int64_t *values, size_t rows,
                            uint8_t *kept)
{
    for (size_t i = 0; i < rows; i++) {
        const int order = (values[i] > filter->integer) - (values[i] < filter->integer);
        kept[i] &= (filter->accepted & outcome(order)) != 0;
    }
}

static void filter_reals(const struct filter *filter, const double *values, size_t rows,
                         uint8_t *kept)
{
    for (size_t i = 0; i < rows; i++) {
        const int order = (values[i] > filter->real) - (values[i] < filter->real);
        kept[i] &= (filter->accepted & outcome(order)) != 0;
    }
}

static void filter_texts(const struct filter *filter, const uint32_t *places, size_t rows,
                         uint8_t *kept)
{
    const uint8_t *verdicts = terrane_array_data(filter->verdicts);
    for (size_t i = 0; i < rows; i++)
        kept[i] &= (filter->accepted & verdicts[places[i]]) != 0;
}

static void filter_rows(const struct filter *filter, size_t first, size_t rows, uint8_t *kept)
{
    const void *values = terrane_array_data(filter->column->values);
    switch (filter->column->type) {
    case INTEGER:
        filter_integers(filter, (const int64_t *)values + first, rows, kept);
        break;
    case REAL:
        filter_reals(filter, (const double *)values + first, rows, kept);
        break;
    case TEXT:
        filter_texts(filter, (const uint32_t *)values + first, rows, kept);
        break;
    }
}

static void add_integer(struct total *total, int64_t value)
{
    if (total->count++ == 0)
        total->integer_min = total->integer_max = value;
    else if (value < total->integer_min)
        total->integer_min = value;
    else if (value > total->integer_max)
        total->integer_max = value;
    total->overflow |= __builtin_add_overflow(total->integer_sum, value, &total->integer_sum);
    total->sum += (double)value;
}

static void add_real(struct total *total, double value)
{
    if (total->count++ == 0)
        total->min = total->max = value;
    else if (value < total->min)
        total->min = value;
    else if (value > total->max)
        total->max = value;
    total->sum += value;
}

/* Adds up the rows that are kept, in the function's total of their group. */
static void add_rows(const struct query *query, size_t index, size_t first, size_t rows,
                     const uint8_t *kept)
{
    const struct column *column = query->functions[index].column;
    const uint32_t *groups =
        query->by == NULL ? NULL : (const uint32_t *)terrane_array_data(query->by->values) + first;
    struct total *totals = (struct total *)terrane_array_writable(query->totals) + index;
    for (size_t i = 0; i < rows; i++) {
        if (!kept[i])
            continue;
        struct total *total = &totals[groups == NULL ? 0 : groups[i] * query->function_count];
        if (column == NULL)
            total->count++;
        else if (column->type == INTEGER)
            add_integer(total, ((const int64_t *)terrane_array_data(column->values))[first + i]);
        else
            add_real(total, ((const double *)terrane_array_data(column->values))[first + i]);
    }
}

static void scan(const struct query *query)
{
    uint8_t kept[CHUNK_ROWS];
    for (size_t first = 0; first < query->version->rows; first += CHUNK_ROWS) {
        const size_t left = query->version->rows - first;
        const size_t rows = left < CHUNK_ROWS ? left : CHUNK_ROWS;
        memset(kept, 1, rows);
        for (size_t i = 0; i < query->filter_count; i++)
            filter_rows(&query->filters[i], first, rows, kept);
        for (size_t i = 0; i < query->function_count; i++)
            add_rows(query, i, first, rows, kept);
    }
}

/* ---- answers ---- */

/* As sqlite3 writes CSV: in quotes where anything but plain characters is in it. */
static void print_text(struct text text)
{
    bool plain = text.length > 0;
    for (size_t i = 0; i < text.length && plain; i++)
        plain = text.at[i] > ' ' && text.at[i] < 0x7f && strchr("\"',", text.at[i]) == NULL;
    if (plain) {
        fwrite(text.at, 1, text.length, stdout);
        return;
    }
    putchar('"');
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '"')
            putchar('"');
        putchar(text.at[i]);
    }
    putchar('"');
}

/* With 15 digits, and always with a point. */
static void print_real(double value)
{
    char digits[32];
    snprintf(digits, sizeof(digits), "%.15g", value);
    const size_t mantissa = strcspn(digits, "e");
    const bool whole = strcspn(digits, ".in") == strlen(digits); /* no inf either */
    printf("%.*s%s%s", (int)mantissa, digits, whole ? ".0" : "", digits + mantissa);
}

/* False: the sum is too large, which is an error in SQL. Of no rows nothing is known but their
 * number. */
static bool print_total(const struct function *function, const struct total *total)
{
    const bool integers = function->column != NULL && function->column->type == INTEGER;
    if (function->kind == COUNT)
        printf("%" PRId64, total->count);
    else if (total->count == 0)
        return true;
    else if (function->kind == AVG)
        print_real(total->sum / (double)total->count);
    else if (integers && function->kind == SUM && total->overflow)
        return complain("integer overflow");
    else if (integers)
        printf("%" PRId64, function->kind == SUM   ? total->integer_sum
                           : function->kind == MIN ? total->integer_min
                                                   : total->integer_max);
    else
        print_real(function->kind == SUM   ? total->sum
                   : function->kind == MIN ? total->min
                                           : total->max);
    return true;
}

static bool print_group(const struct query *query, size_t group)
{
    const struct total *totals = terrane_array_data(query->totals);
    totals += group * query->function_count;
    bool printed = true;
    for (size_t i = 0; i < query->function_count && printed; i++) {
        if (i > 0)
            putchar(',');
        printed = print_total(&query->functions[i], &totals[i]);
    }
    putchar('\n');
    return printed;
}

struct group {
    struct text name;
    uint32_t place;
};

static int by_name(const void *left, const void *right)
{
    return compare(((const struct group *)left)->name, ((const struct group *)right)->name);
}

/* The groups that have rows, in the order of their names. */
static bool print_groups(const struct query *query)
{
    const struct total *totals = terrane_array_data(query->totals);
    struct terrane_array *found;
    if (!fine(terrane_array_create(NULL, sizeof(struct group), 0, &found)))
        return false;
    int error = 0;
    for (uint32_t place = 0; place < texts(query->by) && error == 0; place++) {
        const struct group group = {text_at(query->by, place), place};
        if (totals[place * query->function_count].count > 0)
            error = terrane_array_push(&found, &group, sizeof(group));
    }
    bool printed = fine(error);
    struct group *groups = terrane_array_writable(found);
    qsort(groups, terrane_array_length(found), sizeof(groups[0]), by_name);
    for (size_t i = 0; i < terrane_array_length(found) && printed; i++) {
        print_text(groups[i].name);
        putchar(',');
        printed = print_group(query, groups[i].place);
    }
    terrane_array_release(found);
    return printed;
}

/* ---- questions ---- */

static bool parse_function(struct query *query, struct text word)
{
    static const char *const names[] = {"count", "sum(", "min(", "max(", "avg("};
    if (query->function_count == FUNCTIONS_MAX)
        return complain("more than %d functions", FUNCTIONS_MAX);
    struct function *function = &query->functions[query->function_count++];
    *function = (struct function){.kind = COUNT};
    if (is_word(word, names[COUNT]))
        return true;
    for (enum kind kind = SUM; kind <= AVG; kind++) {
        const size_t start = strlen(names[kind]);
        if (word.length <= start || memcmp(word.at, names[kind], start) != 0 ||
            word.at[word.length - 1] != ')')
            continue;
        const struct text name = {word.at + start, word.length - start - 1};
        *function = (struct function){kind, find_column(query->version, name)};
        return function->column != NULL &&
               (function->column->type != TEXT ||
                complain("%s is a column of text", function->column->name));
    }
    return complain("'%.*s' is no function", (int)word.length, word.at);
}

/* Compares the wanted text with each one of the column, once for all rows. */
static bool judge_texts(struct filter *filter, struct text wanted)
{
    if (!fine(terrane_array_create(NULL, 1, 0, &filter->verdicts)))
        return false;
    int error = 0;
    for (uint32_t place = 0; place < texts(filter->column) && error == 0; place++) {
        const uint8_t verdict = (uint8_t)outcome(compare(text_at(filter->column, place), wanted));
        error = terrane_array_push(&filter->verdicts, &verdict, 1);
    }
    return fine(error);
}

/* Three words: column, comparison, value. */
static bool parse_filter(struct query *query, const struct text *words)
{
    static const struct {
        const char *name;
        unsigned accepted;
    } comparisons[] = {{"=", EQUAL},   {"!=", LESS | GREATER},  {"<", LESS}, {"<=", LESS | EQUAL},
                       {">", GREATER}, {">=", GREATER | EQUAL}, {NULL, 0}};
    struct filter *filter = &query->filters[query->filter_count++];
    size_t which = 0;
    filter->column = find_column(query->version, words[0]);
    if (filter->column == NULL)
        return false;
    while (comparisons[which].name != NULL && !is_word(words[1], comparisons[which].name))
        which++;
    filter->accepted = comparisons[which].accepted;
    if (filter->accepted == 0)
        return complain("'%.*s' compares nothing", (int)words[1].length, words[1].at);
    if (filter->column->type == TEXT)
        return judge_texts(filter, words[2]);
    return (filter->column->type == INTEGER ? parse_integer(words[2], &filter->integer)
                                            : parse_real(words[2], &filter->real)) ||
           complain("'%.*s' does not fit column %s", (int)words[2].length, words[2].at,
                    filter->column->name);
}

/* What stands behind the version's name. */
static bool parse_query(struct query *query, const struct text *words, size_t count)
{
    size_t at = 0;
    while (at < count && !is_word(words[at], "where") && !is_word(words[at], "by")) {
        if (!parse_function(query, words[at++]))
            return false;
    }
    for (const char *before = "where"; count - at >= 4 && is_word(words[at], before); at += 4) {
        if (!parse_filter(query, &words[at + 1]))
            return false;
        before = "and";
    }
    if (count - at == 2 && is_word(words[at], "by")) {
        query->by = find_column(query->version, words[at + 1]);
        at = count;
        if (query->by == NULL)
            return false;
        if (query->by->type != TEXT)
            return complain("%s is no column of text", query->by->name);
    }
    if (at < count || query->function_count == 0)
        return complain("functions, then where, then by");
    return true;
}

static bool answer_query(struct query *query)
{
    const size_t groups = query->by == NULL ? 1 : texts(query->by);
    if (!fine(terrane_array_create(NULL, sizeof(struct total), 0, &query->totals)) ||
        !fine(terrane_array_resize(&query->totals, groups * query->function_count)))
        return false;
    scan(query);
    return query->by == NULL ? print_group(query, 0) : print_groups(query);
}

bool answer(const struct version *version, const struct text *words, size_t count)
{
    struct query query = {.version = version};
    const bool answered = parse_query(&query, words, count) && answer_query(&query);
    for (size_t i = 0; i < query.filter_count; i++)
        terrane_array_release(query.filters[i].verdicts);
    terrane_array_release(query.totals);
    return answered;
}
