/* Lists of warm runs; see warm.h. */
#include "pool/warm.h"

#include <string.h>

/* Blocks of a run whose home is noted, for the case that it is cut to pieces: 64 MiB. */
#define SETTLED_BLOCKS 1024u

/* ---- memory nodes ---- */

static unsigned node_now(const struct terrane_space *space)
{
    return space->nodes == 1 ? 0 : tn_os_node_now() % space->nodes;
}

static unsigned home_of(const struct terrane_space *space, uint32_t block)
{
    return space->nodes == 1 ? 0 : (uint8_t)space->tables[TN_TABLE_HOMES][block];
}

static struct tn_warm_set *set_of(struct terrane_space *space, unsigned node)
{
    if (node == 0)
        return &tn_pool_of(space)->warm;
    return (struct tn_warm_set *)(void *)(space->node_room +
                                          (size_t)(node - 1) * TN_NODE_ROOM_BYTES);
}

/* The sets in turn, that of `first` first; `step` counts from 0 to space->nodes. */
static struct tn_warm_set *set_after(struct terrane_space *space, unsigned first, unsigned step)
{
    return set_of(space, space->nodes == 1 ? 0 : (first + step) % space->nodes);
}

void tn_warm_settle(struct terrane_space *space, uint32_t block, size_t bytes)
{
    if (space->nodes == 1)
        return;
    const size_t blocks = (bytes + TN_BLOCK_BYTES - 1) >> TN_BLOCK_SHIFT;
    memset(space->tables[TN_TABLE_HOMES] + block, (int)node_now(space),
           tn_min(blocks, SETTLED_BLOCKS));
}

/* ---- lists ---- */

/* Takes a run off its list; its node remembers the part that is warm. */
static void unlink_run(struct terrane_space *space, uint32_t block, unsigned order, unsigned part)
{
    struct tn_warm_set *set = set_of(space, home_of(space, block));
    struct tn_node *nodes = space->buddy.nodes;
    struct tn_warm_list *list = &set->lists[order][part];
    const struct tn_node *node = &nodes[block];
    if (node->prev != TN_BLOCK_NONE)
        nodes[node->prev].next = node->next;
    else
        list->newest = node->next == TN_BLOCK_NONE ? 0 : node->next + 1;
    if (node->next != TN_BLOCK_NONE)
        nodes[node->next].prev = node->prev;
    else
        list->oldest = node->prev == TN_BLOCK_NONE ? 0 : node->prev + 1;
    if (list->newest == 0)
        set->parts[order] &= (uint8_t) ~(1u << part);
    if (set->parts[order] == 0)
        set->orders &= ~((uint32_t)1 << order);
    tn_pool_of(space)->warm_order_bytes[order] -= tn_warm_end(order, part);
    space->warm_bytes -= tn_warm_end(order, part);
    nodes[block].warm = (uint8_t)part;
}

void tn_warm_put(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes)
{
    struct tn_warm_set *set = set_of(space, home_of(space, block));
    struct tn_node *nodes = space->buddy.nodes;
    const unsigned used = tn_warm_part(order, bytes);
    const unsigned part = nodes[block].warm > used ? nodes[block].warm : used;
    struct tn_warm_list *list = &set->lists[order][part];
    nodes[block].prev = TN_BLOCK_NONE;
    nodes[block].next = list->newest == 0 ? TN_BLOCK_NONE : list->newest - 1;
    if (list->newest != 0)
        nodes[list->newest - 1].prev = block;
    else
        list->oldest = block + 1;
    list->newest = block + 1;
    nodes[block].warm = tn_pool_of(space)->epoch;
    set->parts[order] |= (uint8_t)(1u << part);
    set->orders |= (uint32_t)1 << order;
    tn_pool_of(space)->warm_order_bytes[order] += tn_warm_end(order, part);
    space->warm_bytes += tn_warm_end(order, part);
}

static void take_newest(struct terrane_space *space, const struct tn_warm_set *set, unsigned order,
                        unsigned part, uint32_t *block)
{
    *block = set->lists[order][part].newest - 1;
    unlink_run(space, *block, order, part);
}

bool tn_warm_take(struct terrane_space *space, unsigned order, size_t bytes, uint32_t *block)
{
    const unsigned least = tn_warm_part(order, bytes);
    const unsigned first = node_now(space);
    struct tn_warm_set *warmest = set_after(space, first, 0);
    for (unsigned step = 0; step < space->nodes; step++) {
        struct tn_warm_set *set = set_after(space, first, step);
        const unsigned enough = set->parts[order] & ~tn_mask32(least);
        if (enough != 0) {
            take_newest(space, set, order, tn_lowest_bit(enough), block);
            return true;
        }
        if (set->parts[order] > warmest->parts[order])
            warmest = set;
    }
    if (warmest->parts[order] == 0)
        return false;
    take_newest(space, warmest, order, tn_highest_bit(warmest->parts[order]), block);
    return true;
}

bool tn_warm_has(struct terrane_space *space, unsigned order, unsigned part)
{
    for (unsigned step = 0; step < space->nodes; step++) {
        if ((set_of(space, step)->parts[order] >> part & 1) != 0)
            return true;
    }
    return false;
}

bool tn_warm_take_exact(struct terrane_space *space, unsigned order, unsigned part, uint32_t *block)
{
    const unsigned first = node_now(space);
    for (unsigned step = 0; step < space->nodes; step++) {
        struct tn_warm_set *set = set_after(space, first, step);
        if ((set->parts[order] >> part & 1) != 0) {
            take_newest(space, set, order, part, block);
            return true;
        }
    }
    return false;
}

/* The lists of an order whose runs have at most `most` warm bytes. */
static unsigned parts_up_to(unsigned order, size_t most)
{
    const size_t eighth = tn_bytes_of_order(order) / TN_PARTS;
    return most / eighth >= TN_PARTS ? (1u << TN_PARTS) - 1 : (1u << most / eighth) - 1;
}

static bool take_oldest(struct terrane_space *space, const struct tn_warm_set *set, unsigned order,
                        size_t most, uint32_t *block)
{
    const unsigned parts = set->parts[order] & parts_up_to(order, most);
    if (parts == 0)
        return false;
    const unsigned part = tn_highest_bit(parts);
    *block = set->lists[order][part].oldest - 1;
    unlink_run(space, *block, order, part);
    return true;
}

bool tn_warm_take_largest(struct terrane_space *space, unsigned least, size_t most, uint32_t *block,
                          unsigned *order)
{
    const unsigned first = node_now(space);
    uint32_t orders = 0;
    for (unsigned node = 0; node < space->nodes; node++)
        orders |= set_of(space, node)->orders;
    for (orders &= ~tn_mask32(least); orders != 0; orders &= tn_mask32(*order)) {
        *order = tn_highest_bit(orders);
        for (unsigned step = 0; step < space->nodes; step++) {
            if (take_oldest(space, set_after(space, first, step), *order, most, block))
                return true;
        }
    }
    return false;
}

/* ---- age ---- */

/* Epochs that a run has waited; wrong by a multiple of 256, which makes it wait for one more. */
static unsigned age_of(struct terrane_space *space, uint32_t block)
{
    return (uint8_t)(tn_pool_of(space)->epoch - space->buddy.nodes[block].warm);
}

/* The run that has waited longest so far in a search. */
struct eldest {
    uint32_t block;
    unsigned order;
    unsigned part;
    unsigned age;
};

static void look_for_older(struct terrane_space *space, const struct tn_warm_set *set, size_t most,
                           struct eldest *eldest)
{
    for (uint32_t orders = set->orders; orders != 0; orders &= orders - 1) {
        const unsigned order = tn_lowest_bit(orders);
        unsigned parts = set->parts[order] & parts_up_to(order, most);
        for (; parts != 0; parts &= parts - 1) {
            const unsigned part = tn_lowest_bit(parts);
            const uint32_t oldest = set->lists[order][part].oldest - 1;
            const unsigned age = age_of(space, oldest);
            if (age > eldest->age)
                *eldest = (struct eldest){oldest, order, part, age};
        }
    }
}

bool tn_warm_take_aged(struct terrane_space *space, size_t most, uint32_t *block, unsigned *order)
{
    struct eldest eldest = {.age = 1};
    for (unsigned node = 0; node < space->nodes; node++)
        look_for_older(space, set_of(space, node), most, &eldest);
    if (eldest.age == 1)
        return false;
    unlink_run(space, eldest.block, eldest.order, eldest.part);
    *block = eldest.block;
    *order = eldest.order;
    return true;
}
