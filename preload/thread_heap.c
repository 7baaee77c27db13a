/* The calling thread's heap; see thread_heap.h.
 *
 * At its first allocation a thread obtains an abandoned heap or a new one, and a key's destructor
 * is armed to take it back.
 *
 * At its end the destructor leaves the heap to the next thread. Other destructors may run later and
 * allocate: the thread then obtains a heap again, and the key is armed again. POSIX promises only a
 * few rounds of destructors; from the last one on the thread uses the late heap, which all such
 * threads share under a lock.
 *
 * At fork all locks are taken in rank order, so that the child finds every structure whole; heaps
 * of threads that are not in the child are lost there.
 *
 * A process whose program never starts a thread pays for none of this but one key. */
#include "thread_heap.h"

#include "base/base.h"
#include "observe.h"
#include "profile.h"
#include "stats/stats.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

__thread struct terrane_heap *tn_thread_heap = &tn_heap_none;

/* In a watched process, where tn_thread_heap stays as it is so that every call is seen. */
static __thread struct terrane_heap *counted_heap;

bool tn_preload_counted;

/* Rounds of destructors that this thread has been through. */
static __thread unsigned char endings;

/* Rounds in which the key may still be armed again; one is left to the C library. */
#define ENDINGS_MAX (PTHREAD_DESTRUCTOR_ITERATIONS - 1)

static struct tn_lock start_lock = TN_LOCK_INIT(TN_RANK_START);
static struct tn_lock late_lock = TN_LOCK_INIT(TN_RANK_LATE);
static struct terrane_heap *late_heap; /* under late_lock */
static pthread_key_t key;
static _Atomic bool started;
static bool key_made;

static void thread_ends(void *heap)
{
    if (endings < UCHAR_MAX)
        endings++;
    tn_thread_heap = &tn_heap_none;
    counted_heap = NULL;
    tn_report_thread_end();
    tn_heap_leave(heap);
}

static void start(void)
{
    tn_lock_acquire(&start_lock);
    if (!atomic_load_explicit(&started, memory_order_relaxed)) {
        tn_preload_options_read();
        key_made = pthread_key_create(&key, thread_ends) == 0;
        /* release; pairs with the acquire in obtain */
        atomic_store_explicit(&started, true, memory_order_release);
    }
    tn_lock_release(&start_lock);
}

static struct terrane_heap *obtain(void)
{
    /* acquire; pairs with the release in start */
    if (!atomic_load_explicit(&started, memory_order_acquire))
        start();
    struct terrane_space *space = terrane_space_default();
    if (space == NULL)
        return NULL;
    struct terrane_heap *heap = tn_heap_obtain(space, tn_preload_options.hardened);
    if (heap != NULL) {
        heap->guard_rate = tn_preload_options.guard_rate;
        heap->fresh_ratio = tn_preload_options.fresh_ratio;
    }
    return heap;
}

static struct terrane_heap *obtain_late(void)
{
    tn_lock_acquire(&late_lock);
    if (late_heap == NULL)
        late_heap = obtain();
    if (late_heap == NULL)
        tn_lock_release(&late_lock);
    return late_heap;
}

struct terrane_heap *tn_thread_heap_get(bool *shared)
{
    *shared = false;
    if (TN_LIKELY(tn_thread_heap != &tn_heap_none))
        return tn_thread_heap;
    if (counted_heap != NULL)
        return counted_heap;
    const int saved_errno = errno;
    struct terrane_heap *heap;
    if (endings >= ENDINGS_MAX) {
        heap = obtain_late();
        *shared = heap != NULL;
    } else {
        heap = obtain();
        if (heap != NULL) {
            if (tn_preload_counted)
                counted_heap = heap;
            else
                tn_thread_heap = heap;
            /* May allocate, which finds the heap in place. Without a key, or without room for its
             * value, the heap stays with a thread that is gone: a leak, and nothing worse. */
            if (key_made)
                (void)pthread_setspecific(key, heap);
        }
    }
    errno = heap != NULL ? saved_errno : ENOMEM;
    return heap;
}

void tn_thread_heap_release(bool shared)
{
    if (shared)
        tn_lock_release(&late_lock);
}

/* ---- fork ---- */

static void fork_prepare(void)
{
    tn_lock_fork_take(&start_lock);
    tn_lock_fork_take(&late_lock);
    tn_atfork_prepare();
    tn_observe_fork_prepare();
}

static void fork_parent(void)
{
    tn_observe_fork_parent();
    tn_atfork_parent();
    tn_lock_fork_give(&late_lock);
    tn_lock_fork_give(&start_lock);
}

static void fork_child(void)
{
    tn_atfork_child();
    tn_lock_fork_give(&late_lock);
    tn_lock_fork_give(&start_lock);
    tn_observe_fork_child();
}

/* ---- start ---- */

/* Before the constructors of the program. Registering the handlers allocates, so it cannot be done
 * at the first allocation; threads cannot exist before this has run. */
__attribute__((constructor(101))) static void preload_starts(int argc, char *argv[])
{
    tn_atfork_claim();
    (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
    /* A program that has not allocated yet has not read its options either. */
    if (!atomic_load_explicit(&started, memory_order_acquire))
        start();
    tn_observe_start(argc, argv);
    tn_preload_counted = tn_report_active() || tn_profile_active();
    if (tn_preload_counted && tn_thread_heap != &tn_heap_none) {
        counted_heap = tn_thread_heap;
        tn_thread_heap = &tn_heap_none;
    }
}
