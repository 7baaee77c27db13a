/* How long idle memory may stay: pure arithmetic on byte counts and times, without locks.
 *
 * Memory that was given back is worth keeping as long as somebody is likely to want it again. What
 * was idle all the time is not. So time is cut into epochs, TN_DECAY_STEPS to the decay time, and
 * in each the fewest idle bytes are remembered: that many have been idle throughout. Bytes above
 * that low mark have come in the epoch, whichever runs they were; they are as young as it is. An
 * acquire takes the youngest bytes first, which is also what the warm lists do. Memory that is
 * acquired and released all the time lies above every low mark and never grows old.
 *
 *      idle bytes          came in this epoch: all may stay
 *         |   ,-.      ,-----------------------------------
 *         |  /   \    /    ^
 *         | '     `--'     low mark: idle for an epoch and more; the older, the less may stay
 *         +----------------------------------------------------> time
 *
 * Of bytes that have been idle for a share x of the decay time, 1 - (6x^5 - 15x^4 + 10x^3) may
 * stay: all at 0, half at 1/2, none at 1, flat at both ends, so that neither the first nor the last
 * epoch gives back much at once. The polynomial is Perlin's (Improving Noise, 2002); jemalloc gives
 * pages back along a like curve, but counts only what came, so that what is used again and again
 * fades with it. The bytes that came in one epoch are one cohort; cohorts are kept as what of them
 * may still stay, and what may not is overdue. That is exact whether or not the caller has given it
 * back meanwhile.
 *
 * Counts are of bytes, but a caller gives back whole runs: it should give one back only if what is
 * left is still at least what may stay, else a single large run would go in its first epoch.
 *
 * A look that comes late is as good as many in time for what was idle between them. Bytes that came
 * since the last look count as just come, so whoever gives much back looks at the clock, too. */
#ifndef TN_DECAY_H
#define TN_DECAY_H

#include <stdint.h>

/* Epochs in the decay time. */
#define TN_DECAY_STEPS 32

/* Decay times with a meaning of their own. */
#define TN_DECAY_AT_ONCE 0
#define TN_DECAY_NEVER   UINT64_MAX

/* Guarded by the lock of what it is embedded in. */
struct tn_decay {
    uint64_t time_ns;              /* of the whole curve */
    uint64_t epoch_start_ns;       /* of the current epoch */
    uint64_t low_bytes;            /* fewest idle bytes since the last look */
    uint64_t epoch_low_bytes;      /* fewest before it in this epoch; at most overdue + stay */
    uint64_t overdue_bytes;        /* idle, and may not stay */
    uint64_t stay[TN_DECAY_STEPS]; /* by age in epochs: idle, and may stay until this one ends */
};

/* Starts anew; whatever is idle counts as just come. */
void tn_decay_init(struct tn_decay *decay, uint64_t time_ns, uint64_t now_ns);

/* To be called after each change of the idle bytes. */
static inline void tn_decay_note(struct tn_decay *decay, uint64_t idle_bytes)
{
    if (idle_bytes < decay->low_bytes)
        decay->low_bytes = idle_bytes;
}

/* Looks at the clock. Returns how many of the idle bytes may stay. O(TN_DECAY_STEPS), however much
 * time has passed; a clock that runs backwards only makes memory stay longer. */
uint64_t tn_decay_allowed(struct tn_decay *decay, uint64_t now_ns, uint64_t idle_bytes);

/* The oldest bytes are no longer idle because they went to the kernel. To be called before the
 * lower count is noted: else it would look as if somebody had wanted them. */
void tn_decay_purged(struct tn_decay *decay, uint64_t bytes);

/* When to look next: the end of the epoch as long as anything is idle, else 0. */
uint64_t tn_decay_next(const struct tn_decay *decay, uint64_t idle_bytes);

#endif
