/* Text into a buffer that may be too small, as with snprintf. */
#ifndef TN_SINK_H
#define TN_SINK_H

#include <stddef.h>
#include <stdint.h>

/* `length` counts all that was put; of that, size - 1 bytes are kept. */
struct tn_sink {
    char *text;
    size_t size; /* 0: nothing is kept, and `text` may be NULL */
    size_t length;
};

void tn_sink_string(struct tn_sink *sink, const char *string);
void tn_sink_number(struct tn_sink *sink, uint64_t number);

/* Terminates the text; returns its whole length. */
size_t tn_sink_end(struct tn_sink *sink);

#endif
