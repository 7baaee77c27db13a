/* The malloc family for programs that are watched: each call does its work, then tells the report
 * and the profiler. Same contracts as the slow paths in malloc.c, which choose between the two. */
#ifndef TN_COUNTED_H
#define TN_COUNTED_H

#include "heap/heap.h"

#include <stdbool.h>
#include <stddef.h>

/* One request of any of the allocating calls. */
struct tn_request {
    size_t align; /* 0: none asked for */
    size_t size;
    bool zeroed;
};

void *tn_counted_alloc(struct terrane_heap *heap, const struct tn_request *request);
void tn_counted_free(struct terrane_heap *heap, void *pointer);
void *tn_counted_resize(struct terrane_heap *heap, void *pointer, size_t size);

/* The work itself. */
void *tn_plain_alloc(struct terrane_heap *heap, const struct tn_request *request);

#endif
