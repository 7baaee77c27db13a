/* The slow half of locks: spin a little, then sleep; see lock.h. */
#include "os/lock.h"

#include "base/base.h"
#include "os/os.h"

/* Holders keep locks for well under a microsecond, so a short spin usually suffices. */
#define SPIN_MAX 60

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void tn_lock_slow(struct tn_lock *lock)
{
    for (unsigned spin = 0; spin < SPIN_MAX; spin++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 &&
            tn_lock_take_free(lock))
            return;
        pause_briefly();
    }
    /* From here on we take the lock as wanted: others may sleep too, and the holder wakes only one.
     */
    for (;;) {
        uint32_t state = 0;
        /* acquire; pairs with the release in tn_lock_let_go */
        if (atomic_compare_exchange_strong_explicit(&lock->state, &state,
                                                    tn_lock_self() | TN_LOCK_WANTED,
                                                    memory_order_acquire, memory_order_relaxed))
            return;
        const uint32_t wanted = state | TN_LOCK_WANTED;
        /* relaxed: it only asks to be woken */
        if (state == wanted ||
            atomic_compare_exchange_strong_explicit(&lock->state, &state, wanted,
                                                    memory_order_relaxed, memory_order_relaxed))
            tn_os_wait(&lock->state, wanted);
    }
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
