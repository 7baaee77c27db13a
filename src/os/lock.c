/* The slow half of locks: spin a little, then sleep; see lock.h. */
#include "os/lock.h"

#include "base/base.h"
#include "os/os.h"

/* Holders keep locks for well under a microsecond, so a short spin usually suffices. */
#define SPIN_MAX 60

void tn_lock_slow(struct tn_lock *lock)
{
    for (unsigned spin = 0; spin < SPIN_MAX; spin++) {
        uint32_t expected = 0;
        /* acquire; pairs with the release in tn_lock_release */
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_weak_explicit(&lock->state, &expected, 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return;
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
    /* From here on the state says that somebody may sleep, so that the holder wakes us.
     * acquire; pairs with the release in tn_lock_release */
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
        tn_os_wait(&lock->state, 2);
}

void tn_lock_wake(struct tn_lock *lock)
{
    tn_os_wake_one(&lock->state);
}

__thread char tn_thread_byte;

#ifdef TN_DEBUG
/* Bit r is set while this thread holds a lock of rank r. Two locks of one rank are never held
 * together, so a bit suffices. */
static __thread uint32_t ranks_held;

void tn_lock_check_rank(const struct tn_lock *lock, bool taken)
{
    const uint32_t bit = (uint32_t)1 << lock->rank;
    if (taken)
        tn_check(ranks_held < bit);
    else
        tn_check((ranks_held & bit) != 0);
    ranks_held ^= bit;
}
#endif
