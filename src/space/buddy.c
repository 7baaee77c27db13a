/* Buddy allocator of runs; see buddy.h. */
#include "space/buddy.h"

#include "base/base.h"

/* A node's state byte: what the run is, and its order in the low five bits. */
#define NODE_ORDER 0x1f
#define NODE_CLEAN 0x20
#define NODE_DIRTY 0x40
#define NODE_USED  0x80

_Static_assert(sizeof(struct tn_node) == 12, "node size is part of the window's layout");
_Static_assert(TN_ORDER_MAX <= NODE_ORDER, "an order fits its bits");

static uint8_t free_node(unsigned order, enum tn_run_state state)
{
    return (uint8_t)(order | (state == TN_RUN_DIRTY ? NODE_DIRTY : NODE_CLEAN));
}

static uint32_t blocks_of(unsigned order)
{
    return (uint32_t)1 << order;
}

void tn_buddy_init(struct tn_buddy *buddy, struct tn_node *nodes, uint32_t block_count)
{
    *buddy = (struct tn_buddy){.nodes = nodes, .block_count = block_count};
    for (unsigned state = 0; state < TN_RUN_STATES; state++) {
        for (unsigned order = 0; order < TN_ORDERS; order++) {
            buddy->head[state][order] = TN_BLOCK_NONE;
            buddy->tail[state][order] = TN_BLOCK_NONE;
        }
    }
}

/* ---- lists ---- */

static void list_push(struct tn_buddy *buddy, uint32_t block, unsigned order,
                      enum tn_run_state state)
{
    const uint32_t next = buddy->head[state][order];
    buddy->nodes[block] =
        (struct tn_node){.next = next, .prev = TN_BLOCK_NONE, .state = free_node(order, state)};
    if (next != TN_BLOCK_NONE)
        buddy->nodes[next].prev = block;
    else
        buddy->tail[state][order] = block;
    buddy->head[state][order] = block;
    buddy->nonempty[state] |= (uint32_t)1 << order;
    buddy->free_blocks[state] += blocks_of(order);
    buddy->runs[state][order]++;
}

static void list_remove(struct tn_buddy *buddy, uint32_t block, unsigned order,
                        enum tn_run_state state)
{
    struct tn_node *node = &buddy->nodes[block];
    tn_assert(node->state == free_node(order, state));
    if (node->prev != TN_BLOCK_NONE)
        buddy->nodes[node->prev].next = node->next;
    else
        buddy->head[state][order] = node->next;
    if (node->next != TN_BLOCK_NONE)
        buddy->nodes[node->next].prev = node->prev;
    else
        buddy->tail[state][order] = node->prev;
    if (buddy->head[state][order] == TN_BLOCK_NONE)
        buddy->nonempty[state] &= ~((uint32_t)1 << order);
    buddy->free_blocks[state] -= blocks_of(order);
    buddy->runs[state][order]--;
    node->state = 0;
}

/* ---- taking ---- */

static void mark_used(struct tn_buddy *buddy, uint32_t block, unsigned order)
{
    buddy->nodes[block] = (struct tn_node){.state = (uint8_t)(NODE_USED | order)};
}

bool tn_buddy_take_listed(struct tn_buddy *buddy, unsigned order, enum tn_run_state state,
                          uint32_t *out)
{
    const uint32_t fitting = buddy->nonempty[state] & ~tn_mask32(order);
    if (fitting == 0)
        return false;
    unsigned have = tn_lowest_bit(fitting);
    const uint32_t block = buddy->head[state][have];
    list_remove(buddy, block, have, state);
    while (have > order) {
        buddy->splits[have]++;
        have--;
        list_push(buddy, block + blocks_of(have), have, state);
    }
    mark_used(buddy, block, order);
    *out = block;
    return true;
}

/* Order of the largest aligned run at the start of [from, to). */
static unsigned first_piece(uint32_t from, uint32_t to)
{
    const unsigned fits = tn_highest_bit(to - from);
    const unsigned aligned = from == 0 ? TN_ORDER_MAX : tn_lowest_bit(from);
    return fits < aligned ? fits : aligned;
}

/* Frees [from, to) as the largest aligned runs that fit. */
static void give_range(struct tn_buddy *buddy, uint32_t from, uint32_t to, enum tn_run_state state)
{
    while (from < to) {
        const unsigned order = first_piece(from, to);
        tn_buddy_give(buddy, from, order, state);
        from += blocks_of(order);
    }
}

uint64_t tn_buddy_frontier_after(const struct tn_buddy *buddy, unsigned order,
                                 enum tn_run_state state)
{
    if ((buddy->nonempty[state] & ~tn_mask32(order)) != 0)
        return buddy->frontier;
    const uint64_t size = blocks_of(order);
    return tn_min(tn_round_up(buddy->frontier, size) + size, buddy->block_count);
}

static bool take_frontier(struct tn_buddy *buddy, unsigned order, struct tn_found *out)
{
    const uint64_t size = blocks_of(order);
    const uint64_t start = tn_round_up(buddy->frontier, size);
    if (start + size > buddy->block_count)
        return false;
    const uint32_t gap = buddy->frontier;
    buddy->frontier = (uint32_t)(start + size);
    mark_used(buddy, (uint32_t)start, order);
    give_range(buddy, gap, (uint32_t)start, TN_RUN_CLEAN);
    *out = (struct tn_found){(uint32_t)start, TN_RUN_CLEAN};
    return true;
}

bool tn_buddy_take(struct tn_buddy *buddy, unsigned order, enum tn_run_state first,
                   struct tn_found *out)
{
    if (order > TN_ORDER_MAX)
        return false;
    const enum tn_run_state second = first == TN_RUN_DIRTY ? TN_RUN_CLEAN : TN_RUN_DIRTY;
    out->state = first;
    if (tn_buddy_take_listed(buddy, order, first, &out->block))
        return true;
    out->state = second;
    return tn_buddy_take_listed(buddy, order, second, &out->block) ||
           take_frontier(buddy, order, out);
}

bool tn_buddy_take_dirty(struct tn_buddy *buddy, unsigned most, uint32_t *block, unsigned *order)
{
    const uint32_t orders = buddy->nonempty[TN_RUN_DIRTY] & tn_mask32(most + 1);
    if (orders == 0)
        return false;
    *order = tn_highest_bit(orders);
    *block = buddy->tail[TN_RUN_DIRTY][*order];
    list_remove(buddy, *block, *order, TN_RUN_DIRTY);
    mark_used(buddy, *block, *order);
    return true;
}

/* ---- giving ---- */

void tn_buddy_give(struct tn_buddy *buddy, uint32_t block, unsigned order, enum tn_run_state state)
{
    buddy->nodes[block].state = 0;
    while (order < TN_ORDER_MAX) {
        const uint32_t other = block ^ blocks_of(order);
        if (other >= buddy->frontier || buddy->nodes[other].state != free_node(order, state))
            break;
        list_remove(buddy, other, order, state);
        block &= ~blocks_of(order);
        order++;
        buddy->joins[order]++;
    }
    list_push(buddy, block, order, state);
}

/* Whether the run of `order` right behind is wholly free as one run of any state. */
static bool free_as_one(const struct tn_buddy *buddy, uint32_t block, unsigned order,
                        enum tn_run_state *state)
{
    if (block >= buddy->frontier)
        return false;
    *state =
        buddy->nodes[block].state == free_node(order, TN_RUN_DIRTY) ? TN_RUN_DIRTY : TN_RUN_CLEAN;
    return buddy->nodes[block].state == free_node(order, *state);
}

bool tn_buddy_is_clean(const struct tn_buddy *buddy, uint32_t block, unsigned order)
{
    for (; order <= TN_ORDER_MAX; order++) { /* clean neighbours are joined */
        const uint32_t start = block & ~(blocks_of(order) - 1);
        if (start < buddy->frontier && buddy->nodes[start].state == free_node(order, TN_RUN_CLEAN))
            return true;
    }
    return false;
}

bool tn_buddy_extend(struct tn_buddy *buddy, uint32_t block, unsigned order, unsigned wanted,
                     bool *out_dirty)
{
    if (wanted > TN_ORDER_MAX || (block & (blocks_of(wanted) - 1)) != 0)
        return false;
    uint32_t frontier = buddy->frontier;
    for (unsigned at = order; at < wanted; at++) {
        const uint32_t other = block + blocks_of(at);
        enum tn_run_state state;
        if (other == frontier && (uint64_t)other + blocks_of(at) <= buddy->block_count)
            frontier = other + blocks_of(at); /* never seen: the frontier may jump over it */
        else if (!free_as_one(buddy, other, at, &state))
            return false;
    }
    *out_dirty = false;
    for (unsigned at = order; at < wanted; at++) {
        const uint32_t other = block + blocks_of(at);
        enum tn_run_state state;
        if (other == buddy->frontier) {
            buddy->frontier = other + blocks_of(at);
        } else if (free_as_one(buddy, other, at, &state)) {
            *out_dirty |= state == TN_RUN_DIRTY;
            list_remove(buddy, other, at, state);
        }
        buddy->joins[at + 1]++;
    }
    buddy->nodes[block].state = (uint8_t)(NODE_USED | wanted);
    buddy->nodes[block].warm = 0; /* it was an eighth of the smaller run */
    return true;
}

void tn_buddy_shrink(struct tn_buddy *buddy, uint32_t block, unsigned order, unsigned wanted,
                     enum tn_run_state state)
{
    buddy->nodes[block].state = (uint8_t)(NODE_USED | wanted);
    for (unsigned at = order; at > wanted; at--) {
        buddy->splits[at]++;
        tn_buddy_give(buddy, block + blocks_of(at - 1), at - 1, state);
    }
}

/* ---- cut runs ---- */

/* Marks [block, block + blocks) as a row of used runs; what the first node says otherwise stays. */
static void mark_row(struct tn_buddy *buddy, uint32_t block, uint32_t blocks)
{
    for (uint32_t at = block; at < block + blocks;) {
        const unsigned order = first_piece(at, block + blocks);
        if (at == block)
            buddy->nodes[at].state = (uint8_t)(NODE_USED | order);
        else
            mark_used(buddy, at, order);
        at += blocks_of(order);
    }
}

/* Forgets the marks of a row, so that nothing inside a run looks like the start of one. */
static void unmark_row(struct tn_buddy *buddy, uint32_t block, uint32_t blocks)
{
    for (uint32_t at = block; at < block + blocks;) {
        const uint32_t size = blocks_of(buddy->nodes[at].state & NODE_ORDER);
        buddy->nodes[at].state = 0;
        at += size;
    }
}

void tn_buddy_cut(struct tn_buddy *buddy, uint32_t block, uint32_t blocks, uint32_t keep,
                  enum tn_run_state state)
{
    unmark_row(buddy, block, blocks);
    mark_row(buddy, block, keep);
    buddy->nodes[block].flags |= TN_RUN_CUT;
    give_range(buddy, block + keep, block + blocks, state);
}

void tn_buddy_give_cut(struct tn_buddy *buddy, uint32_t block, uint32_t blocks,
                       enum tn_run_state state)
{
    unmark_row(buddy, block, blocks);
    give_range(buddy, block, block + blocks, state);
}

bool tn_buddy_uncut(struct tn_buddy *buddy, uint32_t block, uint32_t blocks, unsigned order,
                    bool *out_dirty)
{
    const uint32_t end = block + blocks_of(order);
    enum tn_run_state state;
    for (uint32_t at = block + blocks; at < end; at += blocks_of(first_piece(at, end))) {
        if (!free_as_one(buddy, at, first_piece(at, end), &state))
            return false;
    }
    *out_dirty = false;
    for (uint32_t at = block + blocks; at < end; at += blocks_of(first_piece(at, end))) {
        (void)free_as_one(buddy, at, first_piece(at, end), &state);
        *out_dirty |= state == TN_RUN_DIRTY;
        list_remove(buddy, at, first_piece(at, end), state);
    }
    unmark_row(buddy, block, blocks);
    buddy->nodes[block].state = (uint8_t)(NODE_USED | order);
    buddy->nodes[block].flags &= (uint8_t)~TN_RUN_CUT;
    return true;
}

void tn_buddy_split_used(struct tn_buddy *buddy, uint32_t block, unsigned order)
{
    for (uint32_t at = block; at < block + blocks_of(order); at++)
        mark_used(buddy, at, 0);
}

int tn_buddy_order(const struct tn_buddy *buddy, uint32_t block)
{
    if (block >= buddy->frontier || (buddy->nodes[block].state & NODE_USED) == 0)
        return -1;
    return buddy->nodes[block].state & NODE_ORDER;
}

/* ---- audit ---- */

/* Counts the list of one order and state, checking its links; returns its runs. */
static uint64_t audit_list(const struct tn_buddy *buddy, unsigned order, enum tn_run_state state)
{
    uint64_t runs = 0;
    uint32_t prev = TN_BLOCK_NONE;
    for (uint32_t block = buddy->head[state][order]; block != TN_BLOCK_NONE;) {
        const struct tn_node *node = &buddy->nodes[block];
        tn_check(block < buddy->frontier && (block & (blocks_of(order) - 1)) == 0);
        tn_check(node->state == free_node(order, state) && node->prev == prev);
        prev = block;
        block = node->next;
        tn_check(++runs <= buddy->block_count);
    }
    tn_check(buddy->tail[state][order] == prev);
    tn_check((buddy->nonempty[state] >> order & 1) == (runs > 0));
    tn_check(buddy->runs[state][order] == runs);
    return runs;
}

void tn_buddy_audit(const struct tn_buddy *buddy)
{
    uint64_t listed[TN_RUN_STATES] = {0};
    for (unsigned state = 0; state < TN_RUN_STATES; state++) {
        for (unsigned order = 0; order < TN_ORDERS; order++)
            listed[state] += audit_list(buddy, order, (enum tn_run_state)state) << order;
        tn_check(listed[state] == buddy->free_blocks[state]);
    }
    uint64_t seen[TN_RUN_STATES] = {0};
    for (uint32_t block = 0; block < buddy->frontier;) {
        const uint8_t state = buddy->nodes[block].state;
        const uint32_t size = blocks_of(state & NODE_ORDER);
        tn_check(state != 0 && (block & (size - 1)) == 0 && block + size <= buddy->frontier);
        if ((state & NODE_USED) == 0)
            seen[(state & NODE_DIRTY) != 0 ? TN_RUN_DIRTY : TN_RUN_CLEAN] += size;
        block += size;
    }
    tn_check(seen[TN_RUN_CLEAN] == listed[TN_RUN_CLEAN]);
    tn_check(seen[TN_RUN_DIRTY] == listed[TN_RUN_DIRTY]);
}
