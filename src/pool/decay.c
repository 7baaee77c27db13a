/* The decay curve and its cohorts; see decay.h. */
#include "pool/decay.h"

#include "base/base.h"

#include <stdbool.h>

/* steps^5: the curve at whole epochs is a fraction with this denominator, without rounding. */
#define SHARE_ONE                                                                                  \
    ((uint64_t)TN_DECAY_STEPS * TN_DECAY_STEPS * TN_DECAY_STEPS * TN_DECAY_STEPS * TN_DECAY_STEPS)

_Static_assert(SHARE_ONE <= UINT32_MAX, "a product of two shares fits 64 bits");

/* What may stay of bytes that have been idle for `age` epochs, of SHARE_ONE. */
static uint64_t share_at(uint64_t age)
{
    const uint64_t n = TN_DECAY_STEPS;
    const uint64_t cube = age * age * age;
    return SHARE_ONE - cube * (10 * n * n + 6 * age * age - 15 * age * n);
}

/* What may stay at a later age of bytes that may stay at `age`; never more than they are. */
static uint64_t part_at(uint64_t bytes, uint64_t age, uint64_t later)
{
    const uint64_t now = share_at(age);
    const uint64_t then = share_at(later);
    return bytes / now * then + bytes % now * then / now;
}

static bool is_curve(const struct tn_decay *decay)
{
    return decay->time_ns != TN_DECAY_AT_ONCE && decay->time_ns != TN_DECAY_NEVER;
}

static uint64_t epoch_ns(const struct tn_decay *decay)
{
    const uint64_t ns = decay->time_ns / TN_DECAY_STEPS;
    return ns == 0 ? 1 : ns;
}

static uint64_t take_from(uint64_t *from, uint64_t bytes)
{
    const uint64_t taken = tn_min(*from, bytes);
    *from -= taken;
    return bytes - taken;
}

/* Somebody wanted all but `low` of the bytes that were idle when the epoch began: the youngest. */
static void take_youngest(struct tn_decay *decay, uint64_t low)
{
    uint64_t old = decay->overdue_bytes;
    for (unsigned age = 0; age < TN_DECAY_STEPS; age++)
        old += decay->stay[age];
    uint64_t wanted = old - tn_min(low, old);
    for (unsigned age = 0; age < TN_DECAY_STEPS && wanted != 0; age++)
        wanted = take_from(&decay->stay[age], wanted);
    (void)take_from(&decay->overdue_bytes, wanted);
}

/* Makes every cohort older. */
static void grow_older(struct tn_decay *decay, uint64_t epochs)
{
    if (epochs == 0)
        return;
    for (unsigned age = TN_DECAY_STEPS; age-- > 0;) {
        const uint64_t bytes = decay->stay[age];
        const bool fades = epochs < TN_DECAY_STEPS - age;
        const uint64_t left = fades ? part_at(bytes, age, age + epochs) : 0;
        decay->stay[age] = 0;
        decay->overdue_bytes += bytes - left;
        if (fades)
            decay->stay[age + epochs] = left;
    }
}

/* Ends `epochs` epochs, one or more. What came before the last look has stayed since as far as the
 * low mark says; what came after it came in the last of the epochs for all we know. */
static void end_epochs(struct tn_decay *decay, uint64_t epochs, uint64_t idle_bytes)
{
    decay->stay[0] = decay->low_bytes - decay->epoch_low_bytes;
    grow_older(decay, epochs - 1);
    decay->stay[0] += idle_bytes - decay->low_bytes;
    grow_older(decay, 1);
    decay->epoch_start_ns += epochs * epoch_ns(decay);
    decay->epoch_low_bytes = idle_bytes;
}

void tn_decay_init(struct tn_decay *decay, uint64_t time_ns, uint64_t now_ns)
{
    *decay = (struct tn_decay){.time_ns = time_ns, .epoch_start_ns = now_ns};
}

uint64_t tn_decay_allowed(struct tn_decay *decay, uint64_t now_ns, uint64_t idle_bytes)
{
    if (!is_curve(decay))
        return decay->time_ns == TN_DECAY_NEVER ? idle_bytes : 0;
    tn_decay_note(decay, idle_bytes);
    decay->epoch_low_bytes = tn_min(decay->epoch_low_bytes, decay->low_bytes);
    take_youngest(decay, decay->epoch_low_bytes);
    if (now_ns < decay->epoch_start_ns)
        decay->epoch_start_ns = now_ns;
    const uint64_t epochs = (now_ns - decay->epoch_start_ns) / epoch_ns(decay);
    if (epochs != 0)
        end_epochs(decay, epochs, idle_bytes);
    decay->low_bytes = idle_bytes;
    return idle_bytes - tn_min(decay->overdue_bytes, idle_bytes);
}

void tn_decay_purged(struct tn_decay *decay, uint64_t bytes)
{
    (void)take_from(&decay->low_bytes, bytes);
    (void)take_from(&decay->epoch_low_bytes, bytes);
    uint64_t left = take_from(&decay->overdue_bytes, bytes);
    for (unsigned age = TN_DECAY_STEPS; age-- > 0 && left != 0;)
        left = take_from(&decay->stay[age], left);
}

uint64_t tn_decay_next(const struct tn_decay *decay, uint64_t idle_bytes)
{
    if (!is_curve(decay) || idle_bytes == 0)
        return 0;
    const uint64_t ns = epoch_ns(decay);
    return decay->epoch_start_ns > UINT64_MAX - ns ? UINT64_MAX : decay->epoch_start_ns + ns;
}
