/* Who wants to know when the pool has work to do: a hook for floors above, which the pool cannot
 * name. */
#ifndef TN_OBSERVER_H
#define TN_OBSERVER_H

#include "os/os.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Called with tn_os_clock_ns at every step of tn_pool_tick and whenever a run is taken, on any
 * thread, with no lock of this floor or of one below held; must be quick as a rule. NULL: nobody.
 * Relaxed: what it uses is ordered by its own means. */
extern void (*_Atomic tn_pool_observer)(uint64_t now_ns);

static inline void tn_pool_observe(uint64_t now_ns)
{
    void (*const call)(uint64_t) = atomic_load_explicit(&tn_pool_observer, memory_order_relaxed);
    if (call != NULL)
        call(now_ns);
}

/* The same where the time is not known; it is not asked for nobody. */
static inline void tn_pool_observe_now(void)
{
    if (atomic_load_explicit(&tn_pool_observer, memory_order_relaxed) != NULL)
        tn_pool_observe(tn_os_clock_ns());
}

#endif
