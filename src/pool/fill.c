/* Warm pages for the part that a run grew by.
 *
 * What grows in place or moves to other addresses has untouched pages behind its contents. Each of
 * them would be a fault and a page to be zeroed, while pages that others have freed lie idle in
 * runs of other sizes. Moving these by page table costs a tenth of that. */
#include "os/os.h"
#include "pool/pool.h"
#include "pool/warm.h"

/* Pieces for one growth: each costs the run mappings of its own. */
#define PIECES_MAX 8

static bool take(struct terrane_space *space, size_t most, struct tn_held *out)
{
    const unsigned least = tn_order_of_bytes(tn_move_threshold(space));
    *out = (struct tn_held){.space = space};
    tn_lock_acquire(&space->lock);
    const uint64_t before = space->warm_bytes;
    const bool taken = tn_warm_take_largest(space, least, most, &out->block, &out->order);
    out->bytes = before - space->warm_bytes;
    tn_pool_note(space);
    tn_lock_release(&space->lock);
    return taken;
}

static void put_back(const struct tn_held *held)
{
    tn_lock_acquire(&held->space->lock);
    tn_warm_put(held->space, held->block, held->order, held->bytes);
    tn_pool_note(held->space);
    tn_lock_release(&held->space->lock);
}

void tn_pool_fill(struct terrane_space *space, char *addr, size_t bytes)
{
    struct tn_held piece;
    if (space->backing != TERRANE_BACKING_PRIVATE || space->lazy_commit ||
        bytes < tn_move_threshold(space))
        return;
    for (unsigned pieces = 0; pieces < PIECES_MAX && take(space, bytes, &piece); pieces++) {
        char *from = tn_block_addr(space, piece.block);
        if (tn_space_move(space, from, space, addr, piece.bytes) != 0) {
            put_back(&piece);
            return;
        }
        tn_pool_give_moved(space, piece.block, piece.order);
        addr += piece.bytes;
        bytes -= piece.bytes;
    }
}
