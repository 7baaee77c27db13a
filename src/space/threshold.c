/* From which size on a move by page table is cheaper than a copy: measured once on this machine.
 *
 * A move costs a system call, TLB work and a little for each page, splits the mappings at both
 * ends, and has the run that was left mapped afresh; a copy into warm pages costs memory bandwidth;
 * a copy into untouched pages costs their faults as well. So there are two break-even sizes. They
 * are found by timing both at growing sizes on memory of our own, a few rounds each, taking the
 * fastest round: interference only ever makes a round slower. */
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
#define WARM_DEFAULT (512 * TN_KIB)
#define COLD_DEFAULT (128 * TN_KIB)

/* Break-even sizes, 0 until measured. Relaxed: any thread may measure, each result will do. */
static _Atomic size_t threshold_warm;
static _Atomic size_t threshold_cold;
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

static uint64_t time_copy(const struct probe *probe, size_t bytes, bool warm)
{
    uint64_t best = UINT64_MAX;
    memset(probe->a, 1, bytes);
    memset(probe->b, 1, bytes);
    for (unsigned round = 0; round < PROBE_ROUNDS; round++) {
        if (!warm && tn_os_discard(probe->b, bytes) != 0)
            return UINT64_MAX;
        const uint64_t start = tn_os_clock_ns();
        memcpy(probe->b, probe->a, bytes);
        __asm__ volatile("" : : "r"(probe->b) : "memory"); /* the copy must happen */
        best = tn_min(best, tn_os_clock_ns() - start);
    }
    return best;
}

static size_t break_even(const struct probe *probe, bool warm)
{
    for (size_t bytes = PROBE_MIN; bytes < PROBE_MAX; bytes *= 2) {
        const uint64_t move = time_move(probe, bytes);
        if (move == 0)
            return warm ? WARM_DEFAULT : COLD_DEFAULT;
        if (move < time_copy(probe, bytes, warm))
            return bytes;
    }
    return PROBE_MAX;
}

static void measure(void)
{
    struct probe probe;
    void *memory;
    size_t warm = WARM_DEFAULT, cold = COLD_DEFAULT;
    if (tn_os_features()->move_keep && tn_os_allocate(PROBE_BYTES, &memory) == 0) {
        probe = (struct probe){(char *)memory + PROBE_MAX, (char *)memory + 3 * PROBE_MAX};
        warm = break_even(&probe, true);
        cold = break_even(&probe, false);
        (void)tn_os_release(memory, PROBE_BYTES);
    }
    atomic_store_explicit(&threshold_cold, cold, memory_order_relaxed);
    atomic_store_explicit(&threshold_warm, tn_max(warm, cold), memory_order_relaxed);
}

size_t tn_move_threshold(const struct terrane_space *space, bool warm)
{
    if (space->move_min_bytes != 0)
        return space->move_min_bytes;
    const _Atomic size_t *which = warm ? &threshold_warm : &threshold_cold;
    if (TN_LIKELY(atomic_load_explicit(which, memory_order_relaxed) != 0))
        return atomic_load_explicit(which, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&questions, 1, memory_order_relaxed) < FREE_QUESTIONS)
        return warm ? WARM_DEFAULT : COLD_DEFAULT;
    measure();
    return atomic_load_explicit(which, memory_order_relaxed);
}
