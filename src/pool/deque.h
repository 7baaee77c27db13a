/* A work-stealing deque: one owner pushes and pops at the bottom without a lock, any thread takes
 * the oldest element at the top.
 *
 * The algorithm is that of Chase and Lev ("Dynamic Circular Work-Stealing Deque", SPAA 2005) in the
 * C11 form of Le, Pop, Cohen and Zappa Nardelli ("Correct and Efficient Work-Stealing for Weak
 * Memory Models", PPoPP 2013), with two changes:
 *
 * - The array does not grow. A full deque refuses, and the caller has a better place anyway.
 * - Where they put a fence between a store and a load, the store (in pop) is an exchange and the
 *   loads (pop, steal) are seq_cst themselves. That is one locked instruction, as a fence would be,
 *   is no dearer on arm64, and the thread sanitizer understands it.
 *
 * `top` and `bottom` count elements and only ever name the slot modulo the size; 64 bits do not
 * wrap round in the life of a process. Elements with index top .. bottom - 1 are in the deque.
 * `top` only grows, and only by a compare-and-swap: who moves it from i to i + 1 has taken element
 * i. The owner takes the newest element, index b, without a compare-and-swap if it sees top < b
 * after it has announced bottom = b; why no thief takes the same one is argued at tn_deque_pop.
 *
 * A thief can read a slot that the owner overwrites meanwhile, with an element of a later index.
 * Its compare-and-swap fails then: the owner has seen top move before it used the slot again.
 *
 * After fork, in the child, the owner and thieves of other threads are frozen at some instruction,
 * for ever. What they left is safe to steal from (deques lie in private memory: the parent goes on
 * in its own copy):
 *
 * - in push, before its store to bottom: the element was never in. It is lost.
 * - in pop, between the exchange and the end: bottom is one lower. Thieves never look at the
 *   element behind it. It is lost, also where top had not reached it.
 * - in pop of the last one, after its compare-and-swap: bottom = top or top - 1, and both read as
 *   empty.
 * - in steal, after its compare-and-swap: the element is the thief's, and lost with it.
 *
 * So each frozen thread takes at most one element along, and none is ever in two hands: who is
 * frozen does not come back for it. tn_deque_adopt comes before a later owner. */
#ifndef TN_DEQUE_H
#define TN_DEQUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/* The checker of all schedules (test/model/deque_schedules.c) brings a size and accesses of its
 * own. */
#ifndef TN_DEQUE_LOAD
#define TN_DEQUE_SLOTS                        64
#define TN_DEQUE_LOAD(word, order)            atomic_load_explicit(word, order)
#define TN_DEQUE_STORE(word, value, order)    atomic_store_explicit(word, value, order)
#define TN_DEQUE_EXCHANGE(word, value, order) atomic_exchange_explicit(word, value, order)
#define TN_DEQUE_CAS(word, old, value, order)                                                      \
    atomic_compare_exchange_strong_explicit(word, old, value, order, memory_order_relaxed)
#endif

_Static_assert((TN_DEQUE_SLOTS & (TN_DEQUE_SLOTS - 1)) == 0, "an index is cut to a slot by a mask");

/* All zero is empty. The owner's hot pair touches top, bottom and one slot, thieves look at top and
 * bottom together, and a steal must disturb the owner anyway because it reads top: so they share a
 * line, and only deques are kept apart. */
struct tn_deque {
    _Alignas(64) _Atomic uint64_t top; /* index of the oldest element */
    _Atomic uint64_t bottom;           /* index behind the newest; only the owner stores */
    _Atomic uint32_t slots[TN_DEQUE_SLOTS];
};

enum tn_steal {
    TN_STEAL_EMPTY, /* nothing to take at some moment of the call */
    TN_STEAL_LOST,  /* somebody else took the one that was tried; there may be more */
    TN_STEAL_TAKEN,
};

static inline _Atomic uint32_t *tn_deque_slot(struct tn_deque *deque, uint64_t index)
{
    return &deque->slots[index & (TN_DEQUE_SLOTS - 1)];
}

/* Owner only. False: full. */
static inline bool tn_deque_push(struct tn_deque *deque, uint32_t value)
{
    /* relaxed: only the owner, so this thread, stores to bottom. */
    const uint64_t bottom = TN_DEQUE_LOAD(&deque->bottom, memory_order_relaxed);
    /* acquire, with the compare-and-swap of a steal: the thief has read its slot before the store
     * below reuses it. An old value only makes the deque look fuller. */
    const uint64_t top = TN_DEQUE_LOAD(&deque->top, memory_order_acquire);
    if (bottom - top >= TN_DEQUE_SLOTS)
        return false;
    /* relaxed: the store to bottom publishes it. */
    TN_DEQUE_STORE(tn_deque_slot(deque, bottom), value, memory_order_relaxed);
    /* release, with the load of bottom in a steal: who sees the index sees the slot, and what the
     * owner did to the region before. */
    TN_DEQUE_STORE(&deque->bottom, bottom + 1, memory_order_release);
    return true;
}

/* Owner only. False: empty, or a thief was faster with the last one.
 *
 * Element b is taken without a compare-and-swap when top < b is read after bottom = b was stored.
 * Say a thief took it too. It read top = b and then bottom > b. In the one order of all seq_cst
 * operations stand: our exchange; our load of top, which still read less; the compare-and-swap that
 * made top b; the thief's load of that; the thief's load of bottom. The last therefore reads our
 * exchange or a later store. A later store greater than b is a push, and the element is a new one.
 */
static inline bool tn_deque_pop(struct tn_deque *deque, uint32_t *value)
{
    /* relaxed, as in push. */
    const uint64_t behind = TN_DEQUE_LOAD(&deque->bottom, memory_order_relaxed);
    /* relaxed: top never exceeds bottom, so even an old top that equals it says empty, for sure and
     * without the exchange. Nothing is read in its name. */
    uint64_t old = TN_DEQUE_LOAD(&deque->top, memory_order_relaxed);
    if (old == behind)
        return false;
    const uint64_t bottom = behind - 1;
    if (old == bottom) {
        /* The last one, if it is still there. The owner competes at the top like a thief, with no
         * step at the bottom: one locked instruction, and the hot pair is always this case.
         * relaxed: this thread stored it. */
        *value = TN_DEQUE_LOAD(tn_deque_slot(deque, bottom), memory_order_relaxed);
        /* seq_cst, with the same in steal: one of all succeeds. As a release, with the load of top
         * in steal: who sees that it is gone sees no older bottom. It fails only if it is gone. */
        return TN_DEQUE_CAS(&deque->top, &old, behind, memory_order_seq_cst);
    }
    /* seq_cst, both, with the loads and the compare-and-swap of a steal: see above. */
    TN_DEQUE_EXCHANGE(&deque->bottom, bottom, memory_order_seq_cst);
    uint64_t top = TN_DEQUE_LOAD(&deque->top, memory_order_seq_cst);
    bool taken = top <= bottom;
    /* relaxed: this thread stored it. */
    *value = TN_DEQUE_LOAD(tn_deque_slot(deque, bottom), memory_order_relaxed);
    if (top < bottom)
        return true;
    /* The last one, or none, since thieves have been here: the owner competes with them, and goes
     * back to an empty deque with top = bottom. seq_cst, with the same in steal: one of all
     * succeeds. */
    if (taken)
        taken = TN_DEQUE_CAS(&deque->top, &top, top + 1, memory_order_seq_cst);
    /* relaxed: it shows no new element. Who reads it finds top = bottom, or fails at top. */
    TN_DEQUE_STORE(&deque->bottom, behind, memory_order_relaxed);
    return taken;
}

/* Any thread, also the owner: the oldest element. */
static inline enum tn_steal tn_deque_steal(struct tn_deque *deque, uint32_t *value)
{
    /* seq_cst, both and in this order, with the exchange in pop: see there. The one of bottom is
     * also the acquire that belongs to the release in push. */
    uint64_t top = TN_DEQUE_LOAD(&deque->top, memory_order_seq_cst);
    const uint64_t bottom = TN_DEQUE_LOAD(&deque->bottom, memory_order_seq_cst);
    if (bottom <= top)
        return TN_STEAL_EMPTY;
    /* relaxed: ordered by the load before and the compare-and-swap behind it; what it reads counts
     * only if that succeeds. */
    const uint32_t found = TN_DEQUE_LOAD(tn_deque_slot(deque, top), memory_order_relaxed);
    /* seq_cst, with the exchange and the load of top in pop; as a release, with the load of top in
     * push. */
    if (!TN_DEQUE_CAS(&deque->top, &top, top + 1, memory_order_seq_cst))
        return TN_STEAL_LOST;
    *value = found;
    return TN_STEAL_TAKEN;
}

/* Elements at some moment, for any thread: a hint. relaxed: nothing is read in its name. */
static inline size_t tn_deque_count(const struct tn_deque *deque)
{
    const uint64_t top = TN_DEQUE_LOAD(&deque->top, memory_order_relaxed);
    const uint64_t bottom = TN_DEQUE_LOAD(&deque->bottom, memory_order_relaxed);
    return bottom > top ? (size_t)(bottom - top) : 0;
}

/* The owner of the deque is gone, and what will hand it to another one orders the two. Only after
 * fork can bottom be below top; it is brought up. relaxed: it shows no element. */
static inline void tn_deque_adopt(struct tn_deque *deque)
{
    const uint64_t top = TN_DEQUE_LOAD(&deque->top, memory_order_relaxed);
    const uint64_t bottom = TN_DEQUE_LOAD(&deque->bottom, memory_order_relaxed);
    if (bottom < top)
        TN_DEQUE_STORE(&deque->bottom, top, memory_order_relaxed);
}

#endif
