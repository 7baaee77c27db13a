/* From which size on a move by page table is cheaper than a copy: measured once on this machine.
 *
 * A move costs a system call, TLB work and a little for each page, splits the mappings at both
 * ends, and has the run that was left mapped afresh; a copy costs memory bandwidth. (A copy into
 * untouched pages costs their faults as well, but leaves the pages that it came from to the next
 * one, which a move takes along.) The break-even size is found by timing both at growing sizes on
 * memory of our own, a few rounds each, taking the fastest round: interference only ever makes a
 * round slower. */
#include "base/base.h"
#include "os/os.h"
#include "space/space.h"

#include <stdatomic.h>
#include <string.h>

#define PROBE_MIN    (16 * TN_KIB)
#define PROBE_MAX    (1024 * TN_KIB)
#define PROBE_ROUNDS 4
#define PROBE_BYTES  (5 * PROBE_MAX) /* two ranges, each with as much before and behind it */

/* Questions that are answered without measuring. */
#define FREE_QUESTIONS 64

/* What is assumed until something is measured, or where nothing can be. */
#define DEFAULT_BYTES (512 * TN_KIB)

/* 0 until measured. Relaxed: any thread may measure, each result will do. */
static _Atomic size_t threshold;
static _Atomic unsigned questions;

struct probe {
    char *a, *b; /* PROBE_MAX bytes each, in the middle of a mapping as runs are */
};

/* Fastest move of `bytes` from a to b, with a made fresh as a retired run is; 0 if the kernel
 * refuses. */
static uint64_t time_move(const struct probe *probe, size_t bytes)
{
    uint64_t best = UINT64_MAX;
    for (unsigned round = 0; round < PROBE_ROUNDS; round++) {
        memset(probe->a, 1, bytes);
        const uint64_t start = tn_os_clock_ns();
        if (tn_os_move(probe->a, probe->b, bytes) != 0 || tn_os_map_private(probe->a, bytes) != 0)
            return 0;
        best = tn_min(best, tn_os_clock_ns() - start);
        if (tn_os_map_private(probe->b, bytes) != 0) /* in one piece with the mapping again */
            return 0;
    }
    return best;
}

static uint64_t time_copy(const struct probe *probe, size_t bytes)
{
    uint64_t best = UINT64_MAX;
    memset(probe->a, 1, bytes);
    memset(probe->b, 1, bytes);
    for (unsigned round = 0; round < PROBE_ROUNDS; round++) {
        const uint64_t start = tn_os_clock_ns();
        memcpy(probe->b, probe->a, bytes);
        __asm__ volatile("" : : "r"(probe->b) : "memory"); /* the copy must happen */
        best = tn_min(best, tn_os_clock_ns() - start);
    }
    return best;
}

static size_t break_even(const struct probe *probe)
{
    for (size_t bytes = PROBE_MIN; bytes < PROBE_MAX; bytes *= 2) {
        const uint64_t move = time_move(probe, bytes);
        if (move == 0)
            return DEFAULT_BYTES;
        if (move < time_copy(probe, bytes))
            return bytes;
    }
    return PROBE_MAX;
}

static void measure(void)
{
    void *memory;
    size_t measured = DEFAULT_BYTES;
    if (tn_os_features()->move_keep && tn_os_allocate(PROBE_BYTES, &memory) == 0) {
        measured =
            break_even(&(struct probe){(char *)memory + PROBE_MAX, (char *)memory + 3 * PROBE_MAX});
        (void)tn_os_release(memory, PROBE_BYTES);
    }
    atomic_store_explicit(&threshold, measured, memory_order_relaxed);
}

size_t tn_move_threshold(const struct terrane_space *space)
{
    if (space->move_min_bytes != 0)
        return space->move_min_bytes;
    const size_t known = atomic_load_explicit(&threshold, memory_order_relaxed);
    if (TN_LIKELY(known != 0))
        return known;
    if (atomic_fetch_add_explicit(&questions, 1, memory_order_relaxed) < FREE_QUESTIONS)
        return DEFAULT_BYTES;
    measure();
    return atomic_load_explicit(&threshold, memory_order_relaxed);
}
