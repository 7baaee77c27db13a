/* Lists of warm runs; see warm.h. */
#include "pool/warm.h"

/* Takes a run off its list; its node remembers the part that is warm. */
static void unlink_run(struct terrane_space *space, uint32_t block, unsigned order, unsigned part)
{
    struct tn_pool_state *pool = tn_pool_of(space);
    struct tn_node *nodes = space->buddy.nodes;
    struct tn_warm_list *list = &pool->warm[order][part];
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
        pool->warm_parts[order] &= (uint8_t) ~(1u << part);
    if (pool->warm_parts[order] == 0)
        pool->warm_orders &= ~((uint32_t)1 << order);
    pool->warm_order_bytes[order] -= tn_warm_end(order, part);
    space->warm_bytes -= tn_warm_end(order, part);
    nodes[block].warm = (uint8_t)part;
}

void tn_warm_put(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes)
{
    struct tn_pool_state *pool = tn_pool_of(space);
    struct tn_node *nodes = space->buddy.nodes;
    const unsigned used = tn_warm_part(order, bytes);
    const unsigned part = nodes[block].warm > used ? nodes[block].warm : used;
    struct tn_warm_list *list = &pool->warm[order][part];
    nodes[block].prev = TN_BLOCK_NONE;
    nodes[block].next = list->newest == 0 ? TN_BLOCK_NONE : list->newest - 1;
    if (list->newest != 0)
        nodes[list->newest - 1].prev = block;
    else
        list->oldest = block + 1;
    list->newest = block + 1;
    nodes[block].warm = pool->epoch;
    pool->warm_parts[order] |= (uint8_t)(1u << part);
    pool->warm_orders |= (uint32_t)1 << order;
    pool->warm_order_bytes[order] += tn_warm_end(order, part);
    space->warm_bytes += tn_warm_end(order, part);
}

static void take_newest(struct terrane_space *space, unsigned order, unsigned part, uint32_t *block)
{
    *block = tn_pool_of(space)->warm[order][part].newest - 1;
    unlink_run(space, *block, order, part);
}

bool tn_warm_take(struct terrane_space *space, unsigned order, size_t bytes, uint32_t *block)
{
    const unsigned have = tn_pool_of(space)->warm_parts[order];
    if (have == 0)
        return false;
    const unsigned enough = have & ~tn_mask32(tn_warm_part(order, bytes));
    take_newest(space, order, enough != 0 ? tn_lowest_bit(enough) : tn_highest_bit(have), block);
    return true;
}

bool tn_warm_take_exact(struct terrane_space *space, unsigned order, unsigned part, uint32_t *block)
{
    if ((tn_pool_of(space)->warm_parts[order] >> part & 1) == 0)
        return false;
    take_newest(space, order, part, block);
    return true;
}

/* The lists of an order whose runs have at most `most` warm bytes. */
static unsigned parts_up_to(unsigned order, size_t most)
{
    const size_t eighth = tn_bytes_of_order(order) / TN_PARTS;
    return most / eighth >= TN_PARTS ? (1u << TN_PARTS) - 1 : (1u << most / eighth) - 1;
}

bool tn_warm_take_largest(struct terrane_space *space, unsigned least, size_t most, uint32_t *block,
                          unsigned *order)
{
    const struct tn_pool_state *pool = tn_pool_of(space);
    uint32_t orders = pool->warm_orders & ~tn_mask32(least);
    while (orders != 0) {
        *order = tn_highest_bit(orders);
        const unsigned parts = pool->warm_parts[*order] & parts_up_to(*order, most);
        if (parts != 0) {
            const unsigned part = tn_highest_bit(parts);
            *block = pool->warm[*order][part].oldest - 1;
            unlink_run(space, *block, *order, part);
            return true;
        }
        orders &= tn_mask32(*order);
    }
    return false;
}

/* Epochs that a run has waited; wrong by a multiple of 256, which makes it wait for one more. */
static unsigned age_of(struct terrane_space *space, uint32_t block)
{
    return (uint8_t)(tn_pool_of(space)->epoch - space->buddy.nodes[block].warm);
}

bool tn_warm_take_aged(struct terrane_space *space, size_t most, uint32_t *block, unsigned *order)
{
    const struct tn_pool_state *pool = tn_pool_of(space);
    unsigned best_age = 1, best_part = 0;
    for (uint32_t orders = pool->warm_orders; orders != 0; orders &= orders - 1) {
        const unsigned at = tn_lowest_bit(orders);
        unsigned parts = pool->warm_parts[at] & parts_up_to(at, most);
        for (; parts != 0; parts &= parts - 1) {
            const unsigned part = tn_lowest_bit(parts);
            const uint32_t oldest = pool->warm[at][part].oldest - 1;
            if (age_of(space, oldest) <= best_age)
                continue;
            best_age = age_of(space, oldest);
            best_part = part;
            *block = oldest;
            *order = at;
        }
    }
    if (best_age > 1)
        unlink_run(space, *block, *order, best_part);
    return best_age > 1;
}
