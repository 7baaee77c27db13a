/* Bounded text; see sink.h. */
#include "stats/sink.h"

static void put(struct tn_sink *sink, char c)
{
    if (sink->length + 1 < sink->size)
        sink->text[sink->length] = c;
    sink->length++;
}

void tn_sink_string(struct tn_sink *sink, const char *string)
{
    for (; *string != '\0'; string++)
        put(sink, *string);
}

void tn_sink_number(struct tn_sink *sink, uint64_t number)
{
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0)
        put(sink, digits[--count]);
}

size_t tn_sink_end(struct tn_sink *sink)
{
    if (sink->size > 0)
        sink->text[sink->length < sink->size ? sink->length : sink->size - 1] = '\0';
    return sink->length;
}
