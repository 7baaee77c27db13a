/* A strict reader of OpenMetrics text (version 1.0, the part that counters and gauges use): a text
 * that it takes is one that every scraper takes.
 *
 * It wants: metadata of a family before its samples, each at most once, TYPE among them; all
 * samples of a family together, and no family twice; `_total` behind the name of counters and of
 * nothing else; the unit at the end of the family's name; names and labels of the allowed
 * characters; no label twice in a sample, no sample twice in the text; integral values without
 * sign; one blank where one is due; "# EOF" as the last line. */
#ifndef TEST_OPENMETRICS_H
#define TEST_OPENMETRICS_H

#include "expect.h"

#include <ctype.h>

#define METRIC_NAME_MAX   120
#define METRIC_LABELS_MAX 8
#define METRIC_SERIES_MAX 20000

struct metric_label {
    char name[METRIC_NAME_MAX];
    char value[METRIC_NAME_MAX];
};

struct metric_sample {
    char family[METRIC_NAME_MAX];
    bool counter;
    struct metric_label labels[METRIC_LABELS_MAX];
    size_t labels_count;
    double value;
    uint64_t whole; /* the value, if it has no fraction */
};

typedef void metric_visitor(const struct metric_sample *sample, void *context);

struct metrics_reader {
    const char *at;
    size_t line; /* for messages */
    struct metric_sample sample;
    bool has_type, has_unit, has_help, has_samples; /* of the family in `sample` */
    char families[400][METRIC_NAME_MAX];
    size_t families_count;
    const char *series[METRIC_SERIES_MAX]; /* where name and labels stand */
    size_t series_lengths[METRIC_SERIES_MAX];
    size_t series_count;
};

#define METRICS_EXPECT(reader, condition)                                                          \
    EXPECT_THAT(condition, "line %zu: '%.60s'", (reader)->line, (reader)->at)

static inline bool metrics_take(struct metrics_reader *reader, const char *word)
{
    const size_t length = strlen(word);
    if (strncmp(reader->at, word, length) != 0)
        return false;
    reader->at += length;
    return true;
}

static inline void metrics_name(struct metrics_reader *reader, char *out, bool colons)
{
    size_t length = 0;
    METRICS_EXPECT(reader, !isdigit((unsigned char)*reader->at));
    while (isalnum((unsigned char)*reader->at) || *reader->at == '_' ||
           (colons && *reader->at == ':')) {
        METRICS_EXPECT(reader, length + 1 < METRIC_NAME_MAX);
        out[length++] = *reader->at++;
    }
    METRICS_EXPECT(reader, length > 0);
    out[length] = '\0';
}

/* Metadata: a new name begins a family. */
static inline void metrics_family(struct metrics_reader *reader)
{
    char name[METRIC_NAME_MAX];
    metrics_name(reader, name, true);
    if (strcmp(name, reader->sample.family) == 0) {
        METRICS_EXPECT(reader, !reader->has_samples);
        return;
    }
    for (size_t i = 0; i < reader->families_count; i++)
        METRICS_EXPECT(reader, strcmp(reader->families[i], name) != 0);
    METRICS_EXPECT(reader, reader->families_count < 400);
    strcpy(reader->families[reader->families_count++], name);
    strcpy(reader->sample.family, name);
    reader->has_type = reader->has_unit = reader->has_help = reader->has_samples = false;
}

static inline void metrics_type(struct metrics_reader *reader)
{
    metrics_family(reader);
    METRICS_EXPECT(reader, !reader->has_type);
    reader->has_type = true;
    reader->sample.counter = metrics_take(reader, " counter\n");
    METRICS_EXPECT(reader, reader->sample.counter || metrics_take(reader, " gauge\n"));
}

static inline void metrics_unit(struct metrics_reader *reader)
{
    char unit[METRIC_NAME_MAX];
    metrics_family(reader);
    METRICS_EXPECT(reader, !reader->has_unit && metrics_take(reader, " "));
    reader->has_unit = true;
    metrics_name(reader, unit, false);
    const char *family = reader->sample.family;
    const size_t length = strlen(family);
    METRICS_EXPECT(reader, length > strlen(unit) + 1);
    METRICS_EXPECT(reader, strcmp(family + length - strlen(unit), unit) == 0);
    METRICS_EXPECT(reader, family[length - strlen(unit) - 1] == '_');
    METRICS_EXPECT(reader, metrics_take(reader, "\n"));
}

static inline void metrics_help(struct metrics_reader *reader)
{
    metrics_family(reader);
    METRICS_EXPECT(reader, !reader->has_help && metrics_take(reader, " "));
    reader->has_help = true;
    const size_t length = strcspn(reader->at, "\n");
    METRICS_EXPECT(reader, length > 0 && memchr(reader->at, '\\', length) == NULL);
    METRICS_EXPECT(reader, memchr(reader->at, '"', length) == NULL);
    reader->at += length;
    METRICS_EXPECT(reader, metrics_take(reader, "\n"));
}

static inline void metrics_label(struct metrics_reader *reader)
{
    struct metric_sample *sample = &reader->sample;
    METRICS_EXPECT(reader, sample->labels_count < METRIC_LABELS_MAX);
    struct metric_label *label = &sample->labels[sample->labels_count];
    metrics_name(reader, label->name, false);
    for (size_t i = 0; i < sample->labels_count; i++)
        METRICS_EXPECT(reader, strcmp(sample->labels[i].name, label->name) != 0);
    METRICS_EXPECT(reader, metrics_take(reader, "=\""));
    const size_t length = strcspn(reader->at, "\"\\\n");
    METRICS_EXPECT(reader, reader->at[length] == '"' && length + 1 < METRIC_NAME_MAX);
    memcpy(label->value, reader->at, length);
    label->value[length] = '\0';
    reader->at += length + 1;
    sample->labels_count++;
}

static inline void metrics_value(struct metrics_reader *reader)
{
    char *end;
    METRICS_EXPECT(reader, isdigit((unsigned char)*reader->at));
    reader->sample.whole = strtoull(reader->at, NULL, 10);
    reader->sample.value = strtod(reader->at, &end);
    reader->at = end;
    METRICS_EXPECT(reader, metrics_take(reader, "\n"));
}

static inline void metrics_series(struct metrics_reader *reader, const char *start)
{
    const size_t length = (size_t)(reader->at - start);
    for (size_t i = 0; i < reader->series_count; i++)
        METRICS_EXPECT(reader, reader->series_lengths[i] != length ||
                                   memcmp(reader->series[i], start, length) != 0);
    METRICS_EXPECT(reader, reader->series_count < METRIC_SERIES_MAX);
    reader->series[reader->series_count] = start;
    reader->series_lengths[reader->series_count++] = length;
}

static inline void metrics_sample(struct metrics_reader *reader)
{
    const char *start = reader->at;
    struct metric_sample *sample = &reader->sample;
    METRICS_EXPECT(reader, reader->has_type && metrics_take(reader, sample->family));
    METRICS_EXPECT(reader, !sample->counter || metrics_take(reader, "_total"));
    sample->labels_count = 0;
    if (metrics_take(reader, "{")) {
        do {
            metrics_label(reader);
        } while (metrics_take(reader, ","));
        METRICS_EXPECT(reader, metrics_take(reader, "}"));
    }
    metrics_series(reader, start);
    METRICS_EXPECT(reader, metrics_take(reader, " "));
    metrics_value(reader);
    reader->has_samples = true;
}

/* Reads the whole text and calls `visit` for each sample; a breach ends the test. */
static inline void metrics_read(const char *text, metric_visitor *visit, void *context)
{
    static struct metrics_reader reader;
    memset(&reader, 0, sizeof(reader));
    reader.at = text;
    for (reader.line = 1; !metrics_take(&reader, "# EOF\n"); reader.line++) {
        if (metrics_take(&reader, "# TYPE ")) {
            metrics_type(&reader);
        } else if (metrics_take(&reader, "# UNIT ")) {
            metrics_unit(&reader);
        } else if (metrics_take(&reader, "# HELP ")) {
            metrics_help(&reader);
        } else {
            metrics_sample(&reader);
            visit(&reader.sample, context);
        }
    }
    METRICS_EXPECT(&reader, *reader.at == '\0');
}

/* The value of a label; "" if the sample lacks it. */
static inline const char *metric_label_of(const struct metric_sample *sample, const char *name)
{
    for (size_t i = 0; i < sample->labels_count; i++) {
        if (strcmp(sample->labels[i].name, name) == 0)
            return sample->labels[i].value;
    }
    return "";
}

#endif
