/* Buddy allocator of runs: which blocks of a window are free, and in which state.
 *
 * A run of order k is 2^k blocks, naturally aligned. Free runs are clean (never touched, or given
 * back to the kernel: they read as zero) or dirty (their pages are still there, warm). Two runs
 * that are buddies join only in the same state, so that the state of every page stays known.
 *
 *   blocks  0    1    2    3    4    5    6    7   8 ...         frontier
 *          |used|dirt|  clean  |       used        |  clean ...  | never seen ...
 *
 * Blocks from the frontier on have never been handed out and have no node yet: the node table is
 * touched only as far as the window has been used. The frontier moves up when nothing else fits.
 *
 * A node is valid at the first block of a free or used run; inside a run its state is 0. Free runs
 * of one order and state form a list, most recently freed first. Callers lock. Every call is
 * O(orders).
 *
 * Knowlton, "A fast storage allocator", CACM 1965; Knuth, TAOCP 1, 2.5. */
#ifndef TN_BUDDY_H
#define TN_BUDDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 2^26 blocks of 64 KiB: 4 TiB. */
#define TN_ORDER_MAX  26
#define TN_ORDERS     (TN_ORDER_MAX + 1)
#define TN_BLOCK_NONE UINT32_MAX

enum tn_run_state { TN_RUN_CLEAN, TN_RUN_DIRTY, TN_RUN_STATES };

struct tn_node {
    uint32_t next, prev; /* neighbours in the free list, TN_BLOCK_NONE at its ends */
    uint8_t state;       /* NODE_* and order, 0 inside a run; see buddy.c */
    uint8_t flags;       /* used runs: TN_RUN_ bits; kept while the run is used */
    uint8_t extra; /* used runs: kernel mappings that it costs, given back when it is retired */
    uint8_t warm;  /* used runs: last eighth of it that was warm when it was taken */
};

/* The run shows other extents than its own, or parts of it are guarded or protected. */
#define TN_RUN_REMAPPED 1
/* Other runs show its pages. */
#define TN_RUN_SHOWN 2
/* Blocks behind the used ones were given back: the run is a row of smaller used runs. */
#define TN_RUN_CUT 4
/* Pages were moved into it: ordinary memory, but a mapping of its own. */
#define TN_RUN_MOVED 8
/* Somebody's file was mapped in it (private spaces): no page is the run's own before it is mapped
 * afresh. */
#define TN_RUN_FILE 16

/* Flags of a used run. Others may come to show its pages while its holder asks without the lock;
 * relaxed, because he does not ask for that. */
static inline uint8_t tn_run_flags(const struct tn_node *node)
{
    return __atomic_load_n(&node->flags, __ATOMIC_RELAXED);
}

struct tn_buddy {
    struct tn_node *nodes; /* one a block, zero at first, touched as the frontier moves */
    uint32_t block_count;  /* blocks of the window */
    uint32_t frontier;     /* first block never handed out */
    uint32_t nonempty[TN_RUN_STATES]; /* bit k: the list of order k holds a run */
    uint32_t head[TN_RUN_STATES][TN_ORDERS];
    uint32_t tail[TN_RUN_STATES][TN_ORDERS];
    uint64_t free_blocks[TN_RUN_STATES];     /* below the frontier */
    uint32_t runs[TN_RUN_STATES][TN_ORDERS]; /* on each list */
    uint64_t splits[TN_ORDERS];              /* runs of the order that were divided, so far */
    uint64_t joins[TN_ORDERS]; /* runs of the order that were made of two smaller ones, so far */
};

/* A run as handed out. */
struct tn_found {
    uint32_t block;
    enum tn_run_state state;
};

void tn_buddy_init(struct tn_buddy *buddy, struct tn_node *nodes, uint32_t block_count);

/* Takes a run of `order`: the smallest free one that fits, `first` state first, split as needed;
 * else new blocks at the frontier. False when the window has no such run. */
bool tn_buddy_take(struct tn_buddy *buddy, unsigned order, enum tn_run_state first,
                   struct tn_found *out);

/* The frontier after taking a run of `order`, first in `state`: nodes below it will be touched. */
uint64_t tn_buddy_frontier_after(const struct tn_buddy *buddy, unsigned order,
                                 enum tn_run_state state);

/* Takes the newest free run of the smallest order >= `order` in one state, split as needed. */
bool tn_buddy_take_listed(struct tn_buddy *buddy, unsigned order, enum tn_run_state state,
                          uint32_t *block);

/* Whether all blocks of a run of that order, used or not, are free and clean. */
bool tn_buddy_is_clean(const struct tn_buddy *buddy, uint32_t block, unsigned order);

/* Gives a used run back. */
void tn_buddy_give(struct tn_buddy *buddy, uint32_t block, unsigned order, enum tn_run_state state);

/* Makes the used run at `block` larger, from `order` to `wanted`, if the blocks behind it are free;
 * *out_dirty tells whether any of them was dirty. The address stays; false and nothing changed if
 * a neighbour is used or the run is not at the start of the larger one. */
bool tn_buddy_extend(struct tn_buddy *buddy, uint32_t block, unsigned order, unsigned wanted,
                     bool *out_dirty);

/* Cuts the used run at `block` from `order` down to `wanted`; the rest becomes free in `state`. */
void tn_buddy_shrink(struct tn_buddy *buddy, uint32_t block, unsigned order, unsigned wanted,
                     enum tn_run_state state);

/* Keeps the first `keep` of `blocks` used blocks from `block`, which need not be powers of two, and
 * frees the rest in `state`. The run is cut from then on. */
void tn_buddy_cut(struct tn_buddy *buddy, uint32_t block, uint32_t blocks, uint32_t keep,
                  enum tn_run_state state);

/* Frees a cut run of `blocks` blocks. */
void tn_buddy_give_cut(struct tn_buddy *buddy, uint32_t block, uint32_t blocks,
                       enum tn_run_state state);

/* Makes a cut run of `blocks` blocks whole again, with `order`, if all blocks behind it are free;
 * *out_dirty tells whether any of them was dirty. False: nothing changed. */
bool tn_buddy_uncut(struct tn_buddy *buddy, uint32_t block, uint32_t blocks, unsigned order,
                    bool *out_dirty);

/* Makes one used run of `order` into used runs of one block each. */
void tn_buddy_split_used(struct tn_buddy *buddy, uint32_t block, unsigned order);

/* Takes the least recently freed dirty run of the largest order up to `most` that has one, as used.
 */
bool tn_buddy_take_dirty(struct tn_buddy *buddy, unsigned most, uint32_t *block, unsigned *order);

/* Order of the used run that starts at `block`; -1 if none starts there. */
int tn_buddy_order(const struct tn_buddy *buddy, uint32_t block);

/* Walks every run below the frontier and checks nodes, lists and counts against each other. */
void tn_buddy_audit(const struct tn_buddy *buddy);

#endif
