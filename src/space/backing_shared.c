/* Shared backings: the window shows one sparse file (memfd, huge-page memfd or scratch file).
 *
 * Window block b shows extent b of the file, 64 KiB at the same offset, unless a move or an alias
 * made it show another one (extents.h has the table, backing_remap.c the verbs). So the whole
 * window is one mapping, a run needs no mapping call to be used, and a run that is put back merges
 * with its neighbours by itself.
 *
 * Who shows what is under the space's lock. What maps other extents holds it over its mapping
 * calls, lest what it maps be given away meanwhile. Retiring does not: see shared_retire.
 *
 * File space is reserved at commit where running out would otherwise be a SIGBUS later: on scratch
 * files and on huge pages. An ordinary memfd is memory: the kernel refuses it as it refuses any. */
#include "space/backing_shared.h"

#include "base/base.h"
#include "os/os.h"
#include "space/extents.h"

#include <errno.h>
#include <string.h>

unsigned tn_space_file_ranges(struct terrane_space *space, struct tn_block_range blocks,
                              struct tn_file_range *out, unsigned max)
{
    const struct tn_extent *extents = tn_extents_of(space);
    unsigned ranges = 0;
    tn_lock_acquire(&space->lock);
    for (uint32_t at = blocks.block; at < blocks.block + blocks.count; at++) {
        const uint64_t offset = tn_extent_offset(tn_extent_shown(extents, at));
        if ((extents[at].foreign & TN_EXTENT_PARKED) != 0)
            continue;
        if (ranges > 0 && out[ranges - 1].offset + out[ranges - 1].bytes == offset)
            out[ranges - 1].bytes += TN_BLOCK_BYTES;
        else if (ranges == max)
            break;
        else
            out[ranges++] = (struct tn_file_range){offset, TN_BLOCK_BYTES};
    }
    tn_lock_release(&space->lock);
    return ranges;
}

/* A page of a scratch file that is not in memory is read alone: what the kernel would read around
 * it is up to several MiB, mostly of holes, and would count as used memory. Whether huge pages are
 * wanted says whether its 2 MiB are read (tn_space_unwant_huge); all else says no, so that
 * neighbours are one mapping. */
int tn_space_map_file(struct terrane_space *space, char *addr, size_t bytes, uint64_t offset)
{
    const int error = tn_os_map_file(addr, bytes, space->fd, offset);
    if (error == 0 && space->backing == TERRANE_BACKING_SCRATCH) {
        (void)tn_os_advise_single(addr, bytes); /* refused: more is read, nothing else */
        (void)tn_os_advise_huge(addr, bytes, false);
    }
    return error;
}

int tn_shared_map(struct terrane_space *space, char *addr, size_t bytes, uint32_t extent)
{
    return tn_space_map_file(space, addr, bytes, tn_extent_offset(extent));
}

/* Calls a verb of files for what [from, to) of the window shows, neighbours together. Pages that
 * were moved into a run show other parts of the file than those around them. */
static int each_shown(const struct terrane_space *space, size_t from, size_t to,
                      int (*verb)(int fd, uint64_t offset_bytes, uint64_t size_bytes))
{
    const struct tn_extent *extents = tn_extents_of(space);
    while (from < to) {
        const uint32_t block = (uint32_t)(from >> TN_BLOCK_SHIFT);
        const uint32_t behind = (uint32_t)((to + TN_BLOCK_BYTES - 1) >> TN_BLOCK_SHIFT);
        const size_t inside = from & (TN_BLOCK_BYTES - 1);
        const size_t row = (size_t)tn_extents_neighbours(extents, block, behind - block)
                           << TN_BLOCK_SHIFT;
        const size_t length = tn_min(row - inside, to - from);
        const uint64_t offset = tn_extent_offset(tn_extent_shown(extents, block)) + inside;
        const int error = verb(space->fd, offset, length);
        if (error != 0)
            return error;
        from += length;
    }
    return 0;
}

/* Disks keep what they found before they ran out of room, so it is given back: nobody has stored
 * anything there that counts. Where space cannot be reserved, nothing can be said in advance. */
static int shared_commit(struct terrane_space *space, char *addr, size_t bytes)
{
    if (!space->reserve_file)
        return 0;
    const size_t page = space->page_bytes;
    const size_t start = tn_offset_of(space, addr), end = start + bytes;
    const int error =
        each_shown(space, tn_round_down(start, page), tn_round_up(end, page), tn_os_file_reserve);
    if (error == 0 || error == -ENOTSUP)
        return 0;
    (void)each_shown(space, tn_round_up(start, page), tn_round_down(end, page), tn_os_file_punch);
    if (space->backing == TERRANE_BACKING_SCRATCH)
        tn_space_unwant_huge(space, addr, bytes); /* as behind every punch */
    return error;
}

/* Counts what a punch of the range is about to save: changed pages that were not written out yet.
 * Memory files never are, and where the kernel does not count, nothing is said. */
static uint64_t unwritten(const struct terrane_space *space, uint64_t offset, uint64_t bytes)
{
    struct tn_os_cached cached;
    if (space->backing != TERRANE_BACKING_SCRATCH || !tn_os_features()->cached ||
        tn_os_file_cached(space->fd, offset, bytes, &cached) != 0)
        return 0;
    return cached.dirty_bytes;
}

/* Gives whole pages of the file back, and with them the writing out of what they hold: one call
 * more on scratch files, a small part of what the punch costs. */
static int punch_file(struct terrane_space *space, uint64_t offset, uint64_t bytes)
{
    const uint64_t elided = unwritten(space, offset, bytes);
    const int error = tn_os_file_punch(space->fd, offset, bytes);
    if (error == 0) {
        /* relaxed: a counter */
        atomic_fetch_add_explicit(&space->pool_counters[TN_POOL_ELIDED_BYTES], elided,
                                  memory_order_relaxed);
        /* after the punch: who wants it looks for holes after he has said so */
        if (space->backing == TERRANE_BACKING_SCRATCH)
            tn_space_unwant_huge(space, space->base + offset, bytes);
    }
    return error;
}

/* Punches the whole pages of a range, which shows its file from `offset` on, and clears the rest by
 * hand; all of it where the file system cannot punch. */
static int punch(struct terrane_space *space, char *addr, size_t bytes, uint64_t offset)
{
    const uint64_t from = tn_round_up(offset, space->page_bytes);
    const uint64_t to = tn_round_down(offset + bytes, space->page_bytes);
    const int error = from < to ? punch_file(space, from, to - from) : -ENOTSUP;
    if (error == -ENOTSUP) {
        memset(addr, 0, bytes);
        return 0;
    }
    if (error != 0)
        return error;
    memset(addr, 0, from - offset);
    memset(addr + (to - offset), 0, offset + bytes - to);
    return 0;
}

static int punch_own(struct terrane_space *space, uint32_t block, uint32_t count)
{
    return punch(space, tn_block_addr(space, block), (size_t)count << TN_BLOCK_SHIFT,
                 tn_extent_offset(block));
}

/* Contents must read as zero afterwards; where the file system cannot punch, they are cleared. What
 * others show too is theirs, and stays. */
static int shared_discard(struct terrane_space *space, char *addr, size_t bytes)
{
    int error = 0;
    while (bytes > 0 && error == 0) {
        tn_lock_acquire(&space->lock);
        const struct tn_stretch stretch = tn_extents_stretch(space, addr, bytes, false);
        tn_lock_release(&space->lock);
        if (stretch.exclusive) /* and stays so: it is the caller's */
            error = punch(space, addr, stretch.bytes, stretch.offset);
        addr += stretch.bytes;
        bytes -= stretch.bytes;
    }
    return error;
}

/* ---- retiring ---- */

void tn_shared_free(struct terrane_space *space, struct tn_doomed *doomed)
{
    struct tn_block_range row;
    bool parked;
    tn_lock_acquire(&space->lock);
    while (tn_extents_next_doomed(space, doomed, &row, &parked)) {
        tn_lock_release(&space->lock);
        const int error =
            parked ? punch_own(space, row.block, row.count) : tn_shared_punch_unshown(space, row);
        tn_lock_acquire(&space->lock);
        tn_extents_end(space, row, error == 0);
    }
    tn_lock_release(&space->lock);
}

int tn_shared_punch_unshown(struct terrane_space *space, struct tn_block_range extents)
{
    return punch_file(space, tn_extent_offset(extents.block),
                      (uint64_t)extents.count << TN_BLOCK_SHIFT);
}

/* A run that was never part of a move or alias: one punch. Where huge pages were wanted it is
 * mapped afresh, lest whoever comes next gets 2 MiB for each page that he touches. */
static void retire_plain(struct terrane_space *space, uint32_t block, unsigned order)
{
    char *addr = tn_block_addr(space, block);
    const size_t bytes = tn_bytes_of_order(order);
    const int error = punch(space, addr, bytes, tn_extent_offset(block));
    const bool fresh =
        tn_space_any_huge(space, addr, bytes) && tn_shared_map(space, addr, bytes, block) == 0;
    tn_lock_acquire(&space->lock);
    if (fresh)
        tn_space_forget_huge(space, addr, bytes);
    tn_space_put(space, block, order, error == 0 ? TN_RUN_CLEAN : TN_RUN_DIRTY);
    tn_lock_release(&space->lock);
}

/* Gives the window its own extents back; false if the kernel refused and the run waits for a better
 * time. */
static bool own_again(struct terrane_space *space, uint32_t block, unsigned order)
{
    struct tn_node *node = &space->buddy.nodes[block];
    char *addr = tn_block_addr(space, block);
    const size_t bytes = tn_bytes_of_order(order);
    if ((node->flags & TN_RUN_REMAPPED) == 0)
        return true;
    const bool mapped = tn_shared_map(space, addr, bytes, block) == 0;
    tn_lock_acquire(&space->lock);
    if (mapped)
        tn_space_forget_huge(space, addr, bytes);
    else
        tn_space_stick(space, block);
    tn_lock_release(&space->lock);
    return mapped;
}

/* The run is its retirer's alone, who calls the kernel without the lock: nobody else asks what its
 * addresses show. Who shows its extents is settled under the lock; what nobody shows afterwards
 * is out of reach for all others until it is given to the buddy. */
static void shared_retire(struct terrane_space *space, uint32_t block, unsigned order)
{
    struct tn_doomed lists[2] = {{.first = 0}, {.first = 0}};
    if (space->buddy.nodes[block].flags == 0) {
        retire_plain(space, block, order);
    } else if (own_again(space, block, order)) {
        tn_lock_acquire(&space->lock);
        tn_mappings_give(space, space->buddy.nodes[block].extra);
        tn_shared_count_mappings(space, -tn_extents_take_apart(space, block, order, lists));
        tn_lock_release(&space->lock);
        tn_shared_free(space, &lists[0]);
        tn_shared_free(space, &lists[1]);
    }
}

const struct tn_backing_verbs tn_shared_verbs = {
    .commit = shared_commit,
    .discard = shared_discard,
    .retire = shared_retire,
    .move = tn_shared_move,
    .exchange = tn_shared_exchange,
    .alias = tn_shared_alias,
};
