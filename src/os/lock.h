/* Locks: a word that sleeps in the kernel when contended, with a rank.
 *
 * Ranks order all locks of the library: a thread takes them in rising rank only, and fork takes all
 * of them in that order. Debug builds check every acquisition against the ranks that the thread
 * holds. docs/concurrency.md says what each lock guards. */
#ifndef TN_LOCK_H
#define TN_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum tn_lock_rank {
    TN_RANK_START,    /* the drop-in's start */
    TN_RANK_LATE,     /* the drop-in's heap of threads past their end */
    TN_RANK_FORK,     /* one fork at a time, and none during a step of the worker */
    TN_RANK_DEFAULT,  /* creation of the default space */
    TN_RANK_REGISTRY, /* the table of spaces, and making a space's table of heaps known */
    TN_RANK_ARRAYS,   /* arrays: one of the heaps that they share, or what is said of some bodies */
    TN_RANK_HEAPS,    /* a space's table of heaps */
    TN_RANK_HEAP,     /* the list of large objects of one heap */
    TN_RANK_REGIONS,  /* a space's caches of regions: which are in use */
    TN_RANK_SPACE,    /* a space's runs: buddy, commit frontier, extents */
    TN_RANK_PROFILE,  /* the profiler's tables */
    TN_RANK_COUNT
};

/* `state` is 0 for a free lock, else the holder's mark, with TN_LOCK_WANTED if somebody sleeps. */
struct tn_lock {
    _Atomic uint32_t state;
    uint32_t rank; /* enum tn_lock_rank; constant */
    bool kept;     /* by tn_lock_fork_take: the forking thread held it already */
};

#define TN_LOCK_WANTED 1u

#define TN_LOCK_INIT(rank_)                                                                        \
    {                                                                                              \
        .rank = (rank_)                                                                            \
    }

/* A value that differs between live threads and is never 0. */
extern __thread char tn_thread_byte;
static inline uintptr_t tn_thread_mark(void)
{
    return (uintptr_t)&tn_thread_byte;
}

/* The calling thread as a lock's holder: even, never 0, and different for live threads whose
 * storage lies within 128 GiB; only fork asks whether a holder is the caller. */
static inline uint32_t tn_lock_self(void)
{
    const uint32_t mark = (uint32_t)(tn_thread_mark() >> 6) << 1;
    return mark != 0 ? mark : 2;
}

void tn_lock_slow(struct tn_lock *lock);
void tn_lock_wake(struct tn_lock *lock);

#ifdef TN_DEBUG
void tn_lock_check_rank(const struct tn_lock *lock, bool taken);
#else
static inline void tn_lock_check_rank(const struct tn_lock *lock, bool taken)
{
    (void)lock, (void)taken;
}
#endif

/* One attempt that does not wait. */
static inline bool tn_lock_take_free(struct tn_lock *lock)
{
    uint32_t expected = 0;
    /* acquire; pairs with the release in tn_lock_let_go */
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, tn_lock_self(),
                                                   memory_order_acquire, memory_order_relaxed);
}

static inline void tn_lock_let_go(struct tn_lock *lock)
{
    /* release; pairs with the acquire of the next holder */
    if ((atomic_exchange_explicit(&lock->state, 0, memory_order_release) & TN_LOCK_WANTED) != 0)
        tn_lock_wake(lock);
}

static inline bool tn_lock_try(struct tn_lock *lock)
{
    if (!tn_lock_take_free(lock))
        return false;
    tn_lock_check_rank(lock, true);
    return true;
}

static inline void tn_lock_acquire(struct tn_lock *lock)
{
    if (!tn_lock_take_free(lock))
        tn_lock_slow(lock);
    tn_lock_check_rank(lock, true);
}

static inline void tn_lock_release(struct tn_lock *lock)
{
    tn_lock_check_rank(lock, false);
    tn_lock_let_go(lock);
}

/* For fork only, which takes all locks, several of a rank at once, in rank order.
 *
 * A signal handler may fork while its thread holds a lock of ours in the interrupted code. That
 * lock is left as it is: in the parent and in the child the handler returns to the code that holds
 * it. */
static inline void tn_lock_fork_take(struct tn_lock *lock)
{
    const uint32_t state = atomic_load_explicit(&lock->state, memory_order_relaxed);
    if ((state & ~TN_LOCK_WANTED) == tn_lock_self())
        lock->kept = true;
    else if (!tn_lock_take_free(lock))
        tn_lock_slow(lock);
}

/* After fork, in the parent and in the child. */
static inline void tn_lock_fork_give(struct tn_lock *lock)
{
    if (lock->kept)
        lock->kept = false;
    else
        tn_lock_let_go(lock);
}

#endif
