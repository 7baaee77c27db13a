/* Sampled guard pages: now and then an object gets a run of its own with a guard page behind it. */
#ifndef TN_SAMPLE_H
#define TN_SAMPLE_H

#include "heap/heap.h"

#include <stddef.h>

/* A guarded object of `size` bytes if it is this refill's turn, else NULL. */
void *tn_sample_guarded(struct terrane_heap *heap, size_t size);

#endif
