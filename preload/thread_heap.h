/* The calling thread's heap in the drop-in malloc: how it comes, stays through fork, and goes. */
#ifndef TN_THREAD_HEAP_H
#define TN_THREAD_HEAP_H

#include "heap/heap.h"

#include <stdbool.h>

#define TN_PUBLISH_DIR_MAX 256

/* What TERRANE_OPTIONS says; see docs/tuning.md. Constant after the first allocation. */
struct tn_preload_options {
    bool hardened;           /* hardened=1 */
    bool realloc_zero_frees; /* realloc_zero_frees=1: realloc(p, 0) frees p and returns NULL */
    uint32_t guard_rate;     /* guard_sample=N: one of N cache refills yields a guarded object */
    unsigned fresh_ratio;    /* fresh_ratio=N, 0 to 100 */
    bool publish;            /* publish=1 or publish=DIR: keep a stat page */
    char publish_dir[TN_PUBLISH_DIR_MAX]; /* DIR, else empty */
};
extern struct tn_preload_options tn_preload_options;

/* Reads TERRANE_OPTIONS. An unknown or malformed option is a warning and has no effect. */
void tn_preload_options_read(void);

/* The calling thread's heap; tn_heap_none until it first needs one. */
extern __thread struct terrane_heap *tn_thread_heap;

/* Gives the thread a heap if it has none. NULL: no memory, errno is set. A thread that allocates
 * after its last thread-exit destructors has no heap of its own any more: then *shared is set, the
 * heap is that of all such threads, and tn_thread_heap_release must follow. */
struct terrane_heap *tn_thread_heap_get(bool *shared);
void tn_thread_heap_release(bool shared);

/* Every call of the malloc family takes the slow path from now on, to be counted. */
extern bool tn_preload_counted;

#endif
