/* The worker: one thread a process that lets warm memory fade while nobody calls the pool.
 *
 * The pool's slow paths give back what time asks for, but a program that has just freed much may
 * make no further call. The worker looks at each space when that wants it (tn_pool_tick), sleeps in
 * between, and ends by itself after a while in which no space wanted anything: an idle process has
 * no thread that wakes up, and one whose main thread has left by pthread_exit ends.
 *
 *             need, start                 nothing due soon               nothing for long
 *      NONE -------------> STARTING -> BUSY ------------> RESTING ----------------------> ENDED
 *                              ^        ^  need, wake        |                              |
 *                              |        +--------------------+                              |
 *                              +------------------------------------------ need, start -----+
 *
 *      stop: from any to STOPPED, by way of STOPPING while there is a thread to join
 *      start: from STOPPED; a need does nothing there
 *      fork, in the child: STOPPED stays, all others become NONE
 *
 * A thread that has just given something to its cache, without a lock, may see BUSY although the
 * worker is about to rest after a look that did not see it. So the worker looks once more when it
 * has rested, before it ends. */
#ifndef TN_DECAY_WORKER_H
#define TN_DECAY_WORKER_H

#include "space/space.h"

/* Up to TN_WORKER_ENDED somebody who has something for the worker must act. */
enum tn_worker_state {
    TN_WORKER_NONE,
    TN_WORKER_RESTING,
    TN_WORKER_ENDED, /* by itself; not joined yet */
    TN_WORKER_BUSY,
    TN_WORKER_STARTING,
    TN_WORKER_STOPPING,
    TN_WORKER_STOPPED, /* by the user, or because no thread could be started */
};

extern _Atomic uint32_t tn_worker_state;

void tn_worker_need_slow(void);
void tn_worker_wake_slow(void);

/* There is, or will be, something to fade: starts the worker unless the user has stopped it. No
 * lock may be held. One relaxed load if the worker runs. */
static inline void tn_worker_need(void)
{
    /* relaxed: see above */
    if (TN_UNLIKELY(atomic_load_explicit(&tn_worker_state, memory_order_relaxed) <=
                    TN_WORKER_ENDED))
        tn_worker_need_slow();
}

/* The same for those who may not start a thread: malloc. */
static inline void tn_worker_wake(void)
{
    if (TN_UNLIKELY(atomic_load_explicit(&tn_worker_state, memory_order_relaxed) ==
                    TN_WORKER_RESTING))
        tn_worker_wake_slow();
}

/* fork, in the child: the thread does not exist. */
void tn_worker_fork_child(void);

#endif
