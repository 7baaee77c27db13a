/* Lists of warm runs; see warm.h. */
#include "pool/warm.h"

static void unlink_run(struct terrane_space *space, uint32_t block, unsigned order, unsigned part)
{
    struct tn_node *nodes = space->buddy.nodes;
    struct tn_warm_list *list = &space->warm[order][part];
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
        space->warm_parts[order] &= (uint8_t) ~(1u << part);
    if (space->warm_parts[order] == 0)
        space->warm_orders &= ~((uint32_t)1 << order);
    space->warm_bytes -= tn_warm_end(order, part);
}

void tn_warm_put(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes)
{
    struct tn_node *nodes = space->buddy.nodes;
    const unsigned used = tn_warm_part(order, bytes);
    const unsigned part = nodes[block].warm > used ? nodes[block].warm : used;
    struct tn_warm_list *list = &space->warm[order][part];
    nodes[block].prev = TN_BLOCK_NONE;
    nodes[block].next = list->newest == 0 ? TN_BLOCK_NONE : list->newest - 1;
    if (list->newest != 0)
        nodes[list->newest - 1].prev = block;
    else
        list->oldest = block + 1;
    list->newest = block + 1;
    space->warm_parts[order] |= (uint8_t)(1u << part);
    space->warm_orders |= (uint32_t)1 << order;
    space->warm_bytes += tn_warm_end(order, part);
}

bool tn_warm_take(struct terrane_space *space, unsigned order, size_t bytes, uint32_t *block)
{
    const unsigned have = space->warm_parts[order];
    if (have == 0)
        return false;
    const unsigned enough = have & ~tn_mask32(tn_warm_part(order, bytes));
    const unsigned part = enough != 0 ? tn_lowest_bit(enough) : tn_highest_bit(have);
    *block = space->warm[order][part].newest - 1;
    unlink_run(space, *block, order, part);
    space->buddy.nodes[*block].warm = (uint8_t)part;
    return true;
}

bool tn_warm_take_largest(struct terrane_space *space, unsigned least, uint32_t *block,
                          unsigned *order)
{
    const uint32_t orders = space->warm_orders & ~tn_mask32(least);
    if (orders == 0)
        return false;
    *order = tn_highest_bit(orders);
    const unsigned part = tn_highest_bit(space->warm_parts[*order]);
    *block = space->warm[*order][part].oldest - 1;
    unlink_run(space, *block, *order, part);
    return true;
}
