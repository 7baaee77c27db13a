/* What the pool keeps of each space, in the room that the space gives it. Private to the pool. All
 * of it is guarded by the space's lock. */
#ifndef TN_POOL_STATE_H
#define TN_POOL_STATE_H

#include "pool/decay.h"
#include "space/space.h"

/* Ends of a list of warm runs, linked by their nodes: block plus one, 0 if empty. */
struct tn_warm_list {
    uint32_t newest, oldest;
};
#define TN_PARTS 8

/* The warm runs whose pages come from one memory node. */
struct tn_warm_set {
    struct tn_warm_list lists[TN_ORDERS][TN_PARTS]; /* by order and used part */
    uint8_t parts[TN_ORDERS];                       /* bit p: list p of the order has a run */
    uint32_t orders;                                /* bit k: a list of order k has a run */
};

_Static_assert(sizeof(struct tn_warm_set) <= TN_NODE_ROOM_BYTES, "the space has room for it");

/* Counters of the runs of one order. */
struct tn_order_counts {
    uint64_t acquires;
    uint64_t releases;
    uint64_t dirty_hits;
    uint64_t steals;
    uint64_t refills;
    uint64_t purged_bytes;
    uint64_t held_bytes; /* handed out, to users and to caches */
    uint64_t held_peak;
};

struct tn_pool_state {
    struct tn_warm_set warm; /* of the first memory node; the others' are in space->node_room */
    uint64_t warm_order_bytes[TN_ORDERS];

    struct tn_decay decay; /* of the dirty bytes in shared lists */
    uint64_t decay_ns;     /* if `decay_set`, else the default */
    uint32_t releases;     /* of all; the clock is asked at some of them */
    uint8_t epoch;         /* counts epochs of `decay` in which somebody looked */
    bool decay_set;
    bool decaying; /* `decay` has been initialised */

    struct tn_order_counts counts[TN_ORDERS];
    uint64_t owed_bytes; /* of what goes back next, those that are not counted any more */
    uint64_t regions;    /* of the runs handed out, those that are regions, cached ones included */
    uint64_t purges;
    uint64_t refusals;
    uint64_t pressure_calls;
};

_Static_assert(sizeof(struct tn_pool_state) <= TN_POOL_ROOM_BYTES, "the space has room for it");

static inline struct tn_pool_state *tn_pool_of(struct terrane_space *space)
{
    return (struct tn_pool_state *)(void *)space->pool_room;
}

/* ---- runs in use ---- */

static inline uint32_t tn_blocks_of_bytes(size_t bytes)
{
    return (uint32_t)((bytes + TN_BLOCK_BYTES - 1) >> TN_BLOCK_SHIFT);
}

/* Whether a used run has to be mapped afresh before the buddy may have it, which knows neither of
 * mappings nor of what they cost. */
static inline bool tn_run_is_special(const struct terrane_space *space, uint32_t block)
{
    return (tn_run_flags(&space->buddy.nodes[block]) & (uint8_t)~TN_RUN_CUT) != 0;
}

/* ---- locked steps that more than one file of the pool takes ---- */

/* Gives a run back whose pages have all been moved away. Takes the lock. */
void tn_pool_give_moved(struct terrane_space *space, uint32_t block, unsigned order);

/* Brings what is known of dirty bytes up to date. */
void tn_pool_note(struct terrane_space *space);

/* ---- giving back ---- */

/* Gives dirty runs to the kernel until at most `keep` bytes are left. `gently`: never so large a
 * run that fewer would be left. */
size_t tn_pool_purge_to(struct terrane_space *space, size_t keep, bool gently);

#endif
