/* fork: who takes which locks, in which order, and what the child may still do.
 *
 * The thread that forks takes every lock of the library first, so that the child, where it is the
 * only thread, finds every structure whole and every lock in its own hand:
 *
 *      prepare:  fork lock -> default space's -> registry -> arrays' -> heaps' -> regions' ->
 *                spaces' locks
 *      parent:   lets them go the other way round
 *      child:    the same, then each floor puts right what other threads have left behind
 *
 * The fork lock keeps forks apart, and away from the steps of the worker. The registry's lock is
 * first of those that guard data because it keeps the spaces whose locks are taken, and what upper
 * floors keep of each (tn_space_publish).
 *
 * Upper floors add their parts. The handlers are registered by what needs them first; the drop-in
 * malloc, which has locks above and below these, claims them and calls the three from handlers of
 * its own.
 *
 * What a child may do, by backing:
 *
 *   private   its own copy of everything, which works on
 *   memfd     reads and writes the very memory of the parent; it is a stranger to the space
 *             (terrane_space.foreign): nothing can be allocated, resized or given back
 *   scratch   the same, and the window is not there: touching it is a fault */
#ifndef TN_ATFORK_H
#define TN_ATFORK_H

#include "os/os.h"

/* What an upper floor does around a fork. */
struct tn_atfork_part {
    void (*take)(void);  /* its locks: the registry's is held, the spaces' not yet */
    void (*give)(void);  /* them back, in the parent and in the child */
    void (*child)(void); /* then, in the child alone, which is the only thread and holds no lock;
                            NULL: nothing */
};

/* In the order of their locks. */
enum tn_atfork_floor { TN_ATFORK_ARRAYS, TN_ATFORK_HEAPS, TN_ATFORK_REGIONS, TN_ATFORK_FLOORS };

/* Adds a part, which stays; repeating it does nothing. */
void tn_atfork_add(enum tn_atfork_floor floor, const struct tn_atfork_part *part);

/* Registers the handlers unless they are registered or claimed. No lock may be held. Where there is
 * no memory for it, the next call tries again. */
void tn_atfork_need(void);

/* The caller has handlers of its own that call the three below. */
void tn_atfork_claim(void);

void tn_atfork_prepare(void);
void tn_atfork_parent(void);
void tn_atfork_child(void);

/* Held by who must not be in the middle of something at a fork; rank TN_RANK_FORK. */
extern struct tn_lock tn_fork_lock;

#endif
