/* The clock behind resident budgets: which pieces of a scratch file go; see evict.c. Private to
 * budgets. */
#ifndef TN_EVICT_H
#define TN_EVICT_H

#include "space/space.h"

#define TN_PIECE_BYTES  TN_HUGE_BYTES
#define TN_PIECE_SHIFT  TN_HUGE_SHIFT
#define TN_PIECE_BLOCKS ((uint32_t)(TN_PIECE_BYTES >> TN_BLOCK_SHIFT))

/* Of a piece. */
#define TN_PIECE_OUT  1u /* between the hands */
#define TN_PIECE_COLD 2u /* advised cold, still to be dropped */

struct tn_budget {
    _Atomic size_t limit_bytes;  /* relaxed; 0: none */
    _Atomic uint64_t resident;   /* relaxed; as last counted */
    _Atomic uint32_t cold_count; /* relaxed; pieces with TN_PIECE_COLD, about */
    /* acquire by who sets it, release by who clears it; the hands are whose who has set it */
    _Atomic uint32_t stepping;
    uint32_t front, back, cold; /* hands: pieces */
    uint32_t ahead;             /* pieces with TN_PIECE_OUT */
    uint64_t rate;              /* bytes a millisecond by which pages came lately */
    uint64_t rate_ns;           /* when it was looked at */
    bool braked;                /* pages come one by one until less is resident */
    uint64_t faults;            /* of the process when `resident` was counted */
    _Atomic uint64_t due_ns;    /* relaxed; when the next step is due */
    size_t map_bytes;           /* of this struct; constant */
    uint32_t piece_count;       /* of the window; constant */
    _Atomic uint8_t pieces[];   /* relaxed; TN_PIECE_COLD by anybody, the rest by who steps */
};

/* A step under way, by the thread that has set `stepping`. */
struct tn_step {
    struct terrane_space *space;
    struct tn_budget *budget;
    size_t limit;
    size_t wanted;   /* room for what is about to be handed out */
    uint32_t end;    /* pieces below the frontier */
    unsigned spared; /* pieces that were used again and stay */
    unsigned visits; /* pieces that may still be looked at */
    unsigned outs;   /* pieces that may still be taken out */
};

/* Takes pieces out of the page tables and starts to write them out, until half of the budget is
 * that far or the step has done its share. */
void tn_evict_prepare(struct tn_step *step);

/* Drops about `bytes`, at most a step's worth, and returns how many went. */
uint64_t tn_evict(struct tn_step *step, uint64_t bytes);

/* Resident bytes of the file below the frontier. */
uint64_t tn_evict_resident(const struct tn_step *step);

#endif
