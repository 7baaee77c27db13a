/* The worker's life and its rounds; see decay_worker.h. */
#include "pool/decay_worker.h"

#include "base/base.h"
#include "os/os.h"
#include "pool/budget.h"
#include "pool/fork.h"
#include "pool/pool.h"

#include <terrane/pool.h>

/* Between two looks at a space that wants to be called at once: others need its lock, too. */
#define PAUSE_NS 100000u

/* What is due within this time is waited for; else the worker rests, and whoever gives something
 * back must wake it. At most one wake-up in this time, however often that is. */
#define SOON_NS 50000000u

/* A rest with nothing to do, after which the worker ends. */
#define REST_NS 2000000000u

_Atomic uint32_t tn_worker_state;

/* Written while STARTING; read by who joins. */
static struct tn_os_thread thread;

static uint32_t state_now(void)
{
    /* acquire; pairs with the release in set_state: `thread` */
    return atomic_load_explicit(&tn_worker_state, memory_order_acquire);
}

static bool change_state(uint32_t from, uint32_t to)
{
    /* acquire and release; whoever takes a state over sees what was done in it */
    return atomic_compare_exchange_strong_explicit(&tn_worker_state, &from, to,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

/* Out of STARTING and STOPPING, which nobody else leaves. */
static void set_state(uint32_t to)
{
    /* release; pairs with the acquire in state_now */
    atomic_store_explicit(&tn_worker_state, to, memory_order_release);
    tn_os_wake_all(&tn_worker_state);
}

/* ---- rounds ---- */

/* No fork comes in the middle of a look: what it has in hand would be lost to the child. But one
 * may come while a budget waits for the disk: its space is foreign to the child. */
static uint64_t look_at(uint32_t id)
{
    tn_lock_acquire(&tn_fork_lock);
    struct terrane_space *space = tn_space_visit(id);
    uint64_t next_ns = space != NULL ? tn_pool_tick(space, tn_os_clock_ns()) : 0;
    tn_lock_release(&tn_fork_lock);
    if (space == NULL)
        return 0;
    next_ns = tn_earlier(next_ns, tn_budget_step(space, tn_os_clock_ns()));
    tn_space_leave(id);
    return next_ns;
}

/* Looks at all spaces. Returns when the first of them wants to be looked at again, 0: none does. */
static uint64_t look_at_all(void)
{
    uint64_t next_ns = 0;
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        if (tn_space_at(id) != NULL)
            next_ns = tn_earlier(next_ns, look_at(id));
    }
    return next_ns;
}

static uint64_t time_left(uint64_t next_ns)
{
    const uint64_t now_ns = tn_os_clock_ns();
    return tn_max(PAUSE_NS, next_ns > now_ns ? next_ns - now_ns : 0);
}

/* Sleeps until the next look. `rounds` counts those since anything was due soon. False: the worker
 * is to end. */
static bool sleep_until(uint64_t next_ns, unsigned *rounds)
{
    const uint64_t left_ns = next_ns == 0 ? REST_NS : time_left(next_ns);
    const uint32_t state = state_now();
    if (state == TN_WORKER_STOPPING)
        return false;
    if (left_ns <= SOON_NS || (state == TN_WORKER_BUSY && *rounds > 1))
        *rounds = 0; /* something to do, or somebody who says so */
    if (*rounds == 0)
        (void)change_state(TN_WORKER_RESTING, TN_WORKER_BUSY);
    if ((*rounds)++ == 0) {
        tn_os_wait_for(&tn_worker_state, TN_WORKER_BUSY, tn_min(left_ns, SOON_NS));
        return true;
    }
    (void)change_state(TN_WORKER_BUSY, TN_WORKER_RESTING);
    if (next_ns == 0 && *rounds > 2)
        return !change_state(TN_WORKER_RESTING, TN_WORKER_ENDED);
    tn_os_wait_for(&tn_worker_state, TN_WORKER_RESTING, left_ns);
    return true;
}

static void *work(void *nothing)
{
    unsigned rounds = 0;
    while (state_now() == TN_WORKER_STARTING)
        tn_os_wait(&tn_worker_state, TN_WORKER_STARTING);
    while (sleep_until(look_at_all(), &rounds))
        continue;
    return nothing;
}

/* ---- start and stop ---- */

/* Starts the thread out of NONE, ENDED or STOPPED; false: somebody else was faster. */
static bool start_from(uint32_t before, uint32_t otherwise, int *error)
{
    if (!change_state(before, TN_WORKER_STARTING))
        return false;
    if (before == TN_WORKER_ENDED)
        tn_os_thread_join(&thread);
    tn_fork_need();
    *error = tn_os_thread_start(&thread, work, "terrane-worker");
    set_state(*error == 0 ? TN_WORKER_BUSY : otherwise);
    return true;
}

int terrane_worker_start(void)
{
    for (;;) {
        int error = 0;
        const uint32_t state = state_now();
        if (state == TN_WORKER_BUSY || state == TN_WORKER_RESTING)
            return 0;
        const uint32_t otherwise = state == TN_WORKER_ENDED ? TN_WORKER_NONE : state;
        if (state == TN_WORKER_STARTING || state == TN_WORKER_STOPPING)
            tn_os_wait(&tn_worker_state, state);
        else if (start_from(state, otherwise, &error))
            return error;
    }
}

static bool stop_from(uint32_t state)
{
    if (state == TN_WORKER_NONE)
        return change_state(state, TN_WORKER_STOPPED);
    if (!change_state(state, TN_WORKER_STOPPING))
        return false;
    tn_os_wake_all(&tn_worker_state);
    tn_os_thread_join(&thread);
    set_state(TN_WORKER_STOPPED);
    return true;
}

void terrane_worker_stop(void)
{
    for (;;) {
        const uint32_t state = state_now();
        if (state == TN_WORKER_STOPPED)
            return;
        if (state == TN_WORKER_STARTING || state == TN_WORKER_STOPPING)
            tn_os_wait(&tn_worker_state, state);
        else if (stop_from(state))
            return;
    }
}

void tn_worker_wake_slow(void)
{
    if (change_state(TN_WORKER_RESTING, TN_WORKER_BUSY))
        tn_os_wake_all(&tn_worker_state);
}

/* Where no thread can be started, none is tried again until the user asks for it: the pool's slow
 * paths do the work. */
void tn_worker_need_slow(void)
{
    int error;
    const uint32_t state = state_now();
    if (state == TN_WORKER_RESTING)
        tn_worker_wake_slow();
    else if (state == TN_WORKER_NONE || state == TN_WORKER_ENDED)
        (void)start_from(state, TN_WORKER_STOPPED, &error);
}

void tn_worker_fork_child(void)
{
    const uint32_t state = state_now();
    const bool stopped = state == TN_WORKER_STOPPED || state == TN_WORKER_STOPPING;
    /* relaxed: the only thread */
    atomic_store_explicit(&tn_worker_state, stopped ? TN_WORKER_STOPPED : TN_WORKER_NONE,
                          memory_order_relaxed);
}
