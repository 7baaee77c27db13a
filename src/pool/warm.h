/* Warm runs, kept as they were given back, for the next wish of about their size. Private to the
 * pool.
 *
 * Lists by order and, in each, by how many eighths of the run are warm. A wish takes the run with
 * the fewest that are enough, so that little stays resident behind what it uses; what does is
 * remembered in the run's node until the run comes back. While a run waits, its node remembers the
 * epoch in which it came instead. Runs on these lists are used ones for the buddy; their nodes'
 * links are free for us. All calls are locked.
 *
 * On machines with several memory nodes there are lists for each. A run is at home on the node of
 * the thread that took it clean, because that touches its pages first; it comes back to the lists
 * of its home, and a wish looks at those of the node that its thread runs on before the others. A
 * space whose pages come from one chosen node has one set of lists, as has one on a machine where
 * all memory is alike: there nobody asks for nodes. */
#ifndef TN_WARM_H
#define TN_WARM_H

#include "pool/state.h"

/* End of the given eighth of a run of `order`, in bytes from its start. */
static inline size_t tn_warm_end(unsigned order, unsigned part)
{
    return tn_bytes_of_order(order) / TN_PARTS * (part + 1);
}

/* The eighth of a run of `order` that its first `bytes` reach into. */
static inline unsigned tn_warm_part(unsigned order, size_t bytes)
{
    return (unsigned)((bytes - 1) >> (TN_BLOCK_SHIFT + order - 3)) & (TN_PARTS - 1);
}

/* A run was taken clean: its pages will come from the node of the calling thread. */
void tn_warm_settle(struct terrane_space *space, uint32_t block, size_t bytes);

/* Whether the pages of a used run come from the node that the calling thread runs on. Needs no
 * lock. */
static inline bool tn_warm_is_local(const struct terrane_space *space, uint32_t block)
{
    return space->nodes == 1 ||
           (uint8_t)space->tables[TN_TABLE_HOMES][block] == tn_os_node_now() % space->nodes;
}

/* End of what may have pages in a run of which `bytes` are used: what an earlier use left warm
 * behind them must not outlive it unseen. */
static inline size_t tn_touched_end(const struct terrane_space *space, uint32_t block,
                                    unsigned order, size_t bytes)
{
    const struct tn_node *node = &space->buddy.nodes[block]; /* ours alone while the run is used */
    if ((tn_run_flags(node) & TN_RUN_CUT) != 0)
        return (size_t)tn_blocks_of_bytes(bytes) << TN_BLOCK_SHIFT;
    return tn_max(bytes, tn_warm_end(order, node->warm));
}

/* Puts a used, plain, whole run on its list, as the newest. */
void tn_warm_put(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes);

/* Takes the newest run of `order` whose warm part holds `bytes`, else the one with the largest. */
bool tn_warm_take(struct terrane_space *space, unsigned order, size_t bytes, uint32_t *block);

/* Whether there is a run of just that order and eighth, and takes the newest. */
bool tn_warm_has(struct terrane_space *space, unsigned order, unsigned part);
bool tn_warm_take_exact(struct terrane_space *space, unsigned order, unsigned part,
                        uint32_t *block);

/* Takes the run of at most `most` warm bytes that has waited longest, if it has been here since
 * before the last epoch but one: what is wanted again and again is left alone. */
bool tn_warm_take_aged(struct terrane_space *space, size_t most, uint32_t *block, unsigned *order);

/* Takes the oldest run of the largest order there is, of at least `least`, of whose bytes at most
 * `most` are warm. */
bool tn_warm_take_largest(struct terrane_space *space, unsigned least, size_t most, uint32_t *block,
                          unsigned *order);

#endif
