/* Shared backings: the window shows one sparse file (memfd, huge-page memfd or scratch file).
 *
 * Window block b shows extent b of the file, 64 KiB at the same offset, unless a move or an alias
 * made it show another one. So the whole window is one mapping, a run needs no mapping call to be
 * used, and a run that is put back merges with its neighbours by itself.
 *
 *   window   | 0 | 1 | 2 | 3 | 4 | 5 |        5 was aliased to 2: extent 2 is foreign to 5
 *   shows      0   1   2   3   4   2          extents[5].shows = 2, extents[2].foreign = 1
 *
 * An extent lives as long as a used block shows it. When block 2 is retired while 5 still shows its
 * extent, block 2 is parked: it stays out of the buddy until 5 is retired too. So aliases cost
 * addresses and a count an extent, no second allocator, and a freed extent is always a hole at a
 * known place.
 *
 * Who shows what is under the space's lock. Moves, aliases and exchanges hold it over their mapping
 * calls, lest what they map be given away meanwhile. Retiring does not: see shared_retire.
 *
 * File space is reserved at commit where running out would otherwise be a SIGBUS later: on scratch
 * files and on huge pages. An ordinary memfd is memory: the kernel refuses it as it refuses any. */
#include "base/base.h"
#include "os/os.h"
#include "space/space.h"

#include <errno.h>
#include <string.h>

#define ALIAS_MAPPINGS 2

struct tn_extent {
    uint32_t shows;   /* extent that this window block shows, plus one; 0: its own */
    uint32_t foreign; /* used window blocks, other than its own, that show this extent */
};

/* In `foreign`: the window block of this extent was retired while others show the extent. */
#define PARKED ((uint32_t)1 << 31)

_Static_assert(sizeof(struct tn_extent) == TN_ROW_EXTENTS,
               "row size is part of the window's layout");

static struct tn_extent *extents_of(const struct terrane_space *space)
{
    return (struct tn_extent *)(void *)space->tables[TN_TABLE_EXTENTS];
}

static uint32_t shown_by(const struct tn_extent *extents, uint32_t block)
{
    return extents[block].shows == 0 ? block : extents[block].shows - 1;
}

static uint64_t file_offset(uint32_t extent)
{
    return (uint64_t)extent << TN_BLOCK_SHIFT;
}

/* Bytes from window block `block` on, at most `limit`, that lie side by side in the file. */
static size_t neighbours(const struct tn_extent *extents, uint32_t block, size_t limit)
{
    const uint32_t extent = shown_by(extents, block);
    uint32_t count = 1;
    while ((size_t)count << TN_BLOCK_SHIFT < limit &&
           shown_by(extents, block + count) == extent + count)
        count++;
    return tn_min((size_t)count << TN_BLOCK_SHIFT, limit);
}

unsigned tn_space_file_ranges(struct terrane_space *space, struct tn_block_range blocks,
                              struct tn_file_range *out, unsigned max)
{
    const struct tn_extent *extents = extents_of(space);
    unsigned ranges = 0;
    tn_lock_acquire(&space->lock);
    for (uint32_t at = blocks.block; at < blocks.block + blocks.count; at++) {
        const uint64_t offset = file_offset(shown_by(extents, at));
        if ((extents[at].foreign & PARKED) != 0)
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

static int map_extents(struct terrane_space *space, char *addr, size_t bytes, uint32_t extent)
{
    return tn_space_map_file(space, addr, bytes, file_offset(extent));
}

/* Calls a verb of files for what [from, to) of the window shows, neighbours together. Pages that
 * were moved into a run show other parts of the file than those around them. */
static int each_shown(const struct terrane_space *space, size_t from, size_t to,
                      int (*verb)(int fd, uint64_t offset_bytes, uint64_t size_bytes))
{
    const struct tn_extent *extents = extents_of(space);
    while (from < to) {
        const uint32_t block = (uint32_t)(from >> TN_BLOCK_SHIFT);
        const size_t inside = from & (TN_BLOCK_BYTES - 1);
        const size_t length = neighbours(extents, block, to - from + inside) - inside;
        const int error = verb(space->fd, file_offset(shown_by(extents, block)) + inside, length);
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

/* Punches the whole pages of a range that shows its own extents and clears the rest by hand; all of
 * it where the file system cannot punch. */
static int punch(struct terrane_space *space, char *addr, size_t bytes)
{
    const size_t start = tn_offset_of(space, addr);
    const size_t from = tn_round_up(start, space->page_bytes);
    const size_t to = tn_round_down(start + bytes, space->page_bytes);
    const int error = from < to ? punch_file(space, from, to - from) : -ENOTSUP;
    if (error == -ENOTSUP) {
        memset(addr, 0, bytes);
        return 0;
    }
    if (error != 0)
        return error;
    memset(addr, 0, from - start);
    memset(space->base + to, 0, start + bytes - to);
    return 0;
}

/* Contents must read as zero afterwards; where the file system cannot punch, they are cleared. */
static int shared_discard(struct terrane_space *space, char *addr, size_t bytes)
{
    const struct tn_extent *extents = extents_of(space);
    const uint32_t first = tn_block_of(space, addr);
    const uint32_t last = tn_block_of(space, addr + bytes - 1);
    for (uint32_t block = first; block <= last; block++) {
        if (shown_by(extents, block) != block || extents[block].foreign != 0) {
            memset(addr, 0, bytes); /* an extent that others may show is theirs too */
            return 0;
        }
    }
    return punch(space, addr, bytes);
}

/* ---- retiring ---- */

/* Blocks that nobody shows any more and whose pages are to be given back: used in the eyes of the
 * buddy, linked by their nodes in the order of their release, which mostly is that of their
 * addresses. */
struct doomed {
    uint32_t first, last; /* block plus one; 0: none */
};

static void doom(struct terrane_space *space, struct doomed *doomed, uint32_t block)
{
    struct tn_node *nodes = space->buddy.nodes;
    nodes[block].next = TN_BLOCK_NONE;
    if (doomed->first == 0)
        doomed->first = block + 1;
    else
        nodes[doomed->last - 1].next = block;
    doomed->last = block + 1;
}

/* Punches `count` blocks from `block` in one call, then gives each to the buddy. */
static void free_blocks(struct terrane_space *space, uint32_t block, uint32_t count)
{
    const size_t bytes = (size_t)count << TN_BLOCK_SHIFT;
    const int error = punch(space, tn_block_addr(space, block), bytes);
    tn_lock_acquire(&space->lock);
    for (uint32_t i = 0; i < count; i++)
        tn_space_put(space, block + i, 0, error == 0 ? TN_RUN_CLEAN : TN_RUN_DIRTY);
    tn_lock_release(&space->lock);
}

/* Frees a list, neighbours together. */
static void free_doomed(struct terrane_space *space, const struct doomed *doomed)
{
    uint32_t at = doomed->first == 0 ? TN_BLOCK_NONE : doomed->first - 1;
    while (at != TN_BLOCK_NONE) {
        uint32_t count = 0;
        uint32_t next = at;
        while (next == at + count) { /* before they are freed: then their links are the buddy's */
            next = space->buddy.nodes[next].next;
            count++;
        }
        free_blocks(space, at, count);
        at = next;
    }
}

/* The block stops showing a foreign extent. Locked. */
static void unshow(struct terrane_space *space, struct doomed *doomed, uint32_t block)
{
    struct tn_extent *extents = extents_of(space);
    const uint32_t extent = shown_by(extents, block);
    extents[block].shows = 0;
    if (extent == block)
        return;
    tn_assert((extents[extent].foreign & ~PARKED) > 0);
    extents[extent].foreign--;
    if (extents[extent].foreign == PARKED) {
        extents[extent].foreign = 0;
        doom(space, doomed, extent);
    }
}

/* Splits a used run into blocks that show nothing: those that others show are parked, the others
 * are doomed. What is doomed because this run was the last to show it has a list of its own, so
 * that both are in the order of addresses. Locked. */
static void take_apart(struct terrane_space *space, uint32_t block, unsigned order,
                       struct doomed lists[2])
{
    struct tn_extent *extents = extents_of(space);
    const uint32_t end = block + ((uint32_t)1 << order);
    tn_mappings_give(space, space->buddy.nodes[block].extra);
    tn_buddy_split_used(&space->buddy, block, order);
    for (uint32_t at = block; at < end; at++) {
        unshow(space, &lists[0], at);
        if (extents[at].foreign != 0)
            extents[at].foreign |= PARKED;
        else
            doom(space, &lists[1], at);
    }
}

/* A run that was never part of a move or alias: one punch. Where huge pages were wanted it is
 * mapped afresh, lest whoever comes next gets 2 MiB for each page that he touches. */
static void retire_plain(struct terrane_space *space, uint32_t block, unsigned order)
{
    char *addr = tn_block_addr(space, block);
    const size_t bytes = tn_bytes_of_order(order);
    const int error = punch(space, addr, bytes);
    const bool fresh =
        tn_space_any_huge(space, addr, bytes) && map_extents(space, addr, bytes, block) == 0;
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
    const bool mapped = map_extents(space, addr, bytes, block) == 0;
    tn_lock_acquire(&space->lock);
    if (mapped) {
        tn_space_forget_huge(space, addr, bytes);
    } else {
        node->next = space->stuck;
        space->stuck = block + 1;
    }
    tn_lock_release(&space->lock);
    return mapped;
}

/* The run is its retirer's alone, who calls the kernel without the lock: nobody else asks what its
 * addresses show. Who shows its extents is settled under the lock; what nobody shows afterwards
 * is out of reach for all others until it is given to the buddy. */
static void shared_retire(struct terrane_space *space, uint32_t block, unsigned order)
{
    struct doomed lists[2] = {{.first = 0}, {.first = 0}};
    if (space->buddy.nodes[block].flags == 0) {
        retire_plain(space, block, order);
    } else if (own_again(space, block, order)) {
        tn_lock_acquire(&space->lock);
        take_apart(space, block, order, lists);
        tn_lock_release(&space->lock);
        free_doomed(space, &lists[0]);
        free_doomed(space, &lists[1]);
    }
}

/* Window blocks from `to` on show the extents that those from `from` on show. */
static void show(struct terrane_space *space, char *from, char *to, size_t bytes)
{
    struct tn_extent *extents = extents_of(space);
    const uint32_t source = tn_block_of(space, from);
    const uint32_t target = tn_block_of(space, to);
    const uint32_t count = (uint32_t)(tn_round_up(bytes, TN_BLOCK_BYTES) >> TN_BLOCK_SHIFT);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t extent = shown_by(extents, source + i);
        if (shown_by(extents, target + i) == extent)
            continue; /* a move that is taken back: the target still counts as showing it */
        extents[target + i].shows = extent + 1;
        extents[extent].foreign++;
    }
    tn_run_note(space, source, TN_RUN_SHOWN, 0);
    tn_run_note(space, target, TN_RUN_REMAPPED, ALIAS_MAPPINGS);
    tn_space_forget_huge(space, to, bytes);
}

/* Maps at `to` what `from` shows, extent by extent where these are not neighbours in the file. */
static int map_shown(struct terrane_space *space, char *from, char *to, size_t bytes)
{
    const struct tn_extent *extents = extents_of(space);
    const uint32_t source = tn_block_of(space, from);
    for (size_t done = 0; done < bytes;) {
        const uint32_t first = source + (uint32_t)(done >> TN_BLOCK_SHIFT);
        const size_t length = neighbours(extents, first, bytes - done);
        const int error = map_extents(space, to + done, length, shown_by(extents, first));
        if (error != 0)
            return error;
        done += length;
    }
    return 0;
}

/* Puts the window's own extents back after a failure half-way; if even that is refused, the range
 * is marked as remapped, so that retiring the run tries again before it is reused. */
static void unmap_shown(struct terrane_space *space, char *to, size_t bytes)
{
    const uint32_t target = tn_block_of(space, to);
    if (map_extents(space, to, bytes, target) != 0)
        space->buddy.nodes[target].flags |= TN_RUN_REMAPPED;
}

static bool aligned_for(const struct terrane_space *space, const char *a, const char *b,
                        size_t bytes)
{
    const size_t mask = tn_max(space->page_bytes, TN_BLOCK_BYTES) - 1;
    return ((tn_offset_of(space, a) | tn_offset_of(space, b)) & mask) == 0 &&
           (bytes & (space->page_bytes - 1)) == 0;
}

static int shared_alias(struct terrane_space *space, char *from, char *to, size_t bytes)
{
    if (!aligned_for(space, from, to, bytes))
        return -ENOTSUP;
    if (!tn_mappings_take(space, ALIAS_MAPPINGS))
        return -ENOMEM;
    bytes = tn_round_up(bytes, TN_BLOCK_BYTES); /* the tables know only whole blocks */
    tn_lock_acquire(&space->lock);
    const int error = map_shown(space, from, to, bytes);
    if (error == 0)
        show(space, from, to, bytes);
    else
        unmap_shown(space, to, bytes);
    tn_lock_release(&space->lock);
    if (error != 0)
        tn_mappings_give(space, ALIAS_MAPPINGS);
    return error;
}

/* A move is an alias whose source is given back next; where the kernel can, page tables go along.
 */
static int shared_move(struct terrane_space *from_space, char *from, struct terrane_space *to_space,
                       char *to, size_t bytes)
{
    if (from_space != to_space || !aligned_for(to_space, from, to, bytes))
        return -ENOTSUP;
    if (!tn_os_features()->move_keep_file || to_space->page_bytes != tn_os_page_bytes())
        return shared_alias(to_space, from, to, bytes);
    if (!tn_mappings_take(to_space, ALIAS_MAPPINGS))
        return -ENOMEM;
    bytes = tn_round_up(bytes, TN_BLOCK_BYTES); /* the tables know only whole blocks */
    tn_lock_acquire(&to_space->lock);
    int error = tn_os_move(from, to, bytes);
    if (error != 0) /* it spans several mappings, or there is no room for more */
        error = map_shown(to_space, from, to, bytes);
    else if (to_space->backing == TERRANE_BACKING_SCRATCH) /* the advice has moved along */
        (void)tn_os_advise_huge(to, bytes, false);
    if (error == 0)
        show(to_space, from, to, bytes);
    else
        unmap_shown(to_space, to, bytes);
    tn_lock_release(&to_space->lock);
    if (error != 0)
        tn_mappings_give(to_space, ALIAS_MAPPINGS);
    return error;
}

/* Exchanges what two ranges of equal length show. */
static void swap_shown(struct terrane_space *space, char *a, char *b, size_t bytes)
{
    struct tn_extent *extents = extents_of(space);
    const uint32_t first_a = tn_block_of(space, a), first_b = tn_block_of(space, b);
    const uint32_t count = (uint32_t)(tn_round_up(bytes, TN_BLOCK_BYTES) >> TN_BLOCK_SHIFT);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at[2] = {first_a + i, first_b + i};
        const uint32_t was[2] = {shown_by(extents, at[0]), shown_by(extents, at[1])};
        for (unsigned side = 0; side < 2; side++) {
            const uint32_t now = was[1 - side];
            if (was[side] != at[side])
                extents[was[side]].foreign--;
            if (now != at[side])
                extents[now].foreign++;
            extents[at[side]].shows = now == at[side] ? 0 : now + 1;
        }
    }
}

static int shared_exchange(struct terrane_space *space, char *a, char *b, size_t bytes)
{
    if (!aligned_for(space, a, b, bytes) || (bytes & (TN_BLOCK_BYTES - 1)) != 0)
        return -ENOTSUP;
    if (!tn_mappings_take(space, 2 * ALIAS_MAPPINGS))
        return -ENOMEM;
    tn_lock_acquire(&space->lock);
    swap_shown(space, a, b, bytes);
    int error = map_shown(space, a, a, bytes);
    if (error == 0)
        error = map_shown(space, b, b, bytes);
    if (error != 0) {
        swap_shown(space, a, b, bytes);
        if (map_shown(space, a, a, bytes) != 0 || map_shown(space, b, b, bytes) != 0)
            tn_die("exchange: the kernel took back mappings that it had granted");
    } else {
        const uint8_t flags = TN_RUN_REMAPPED | TN_RUN_SHOWN;
        tn_run_note(space, tn_block_of(space, a), flags, ALIAS_MAPPINGS);
        tn_run_note(space, tn_block_of(space, b), flags, ALIAS_MAPPINGS);
        tn_space_forget_huge(space, a, bytes);
        tn_space_forget_huge(space, b, bytes);
    }
    tn_lock_release(&space->lock);
    if (error != 0)
        tn_mappings_give(space, 2 * ALIAS_MAPPINGS);
    return error;
}

const struct tn_backing_verbs tn_shared_verbs = {
    .commit = shared_commit,
    .discard = shared_discard,
    .retire = shared_retire,
    .move = shared_move,
    .exchange = shared_exchange,
    .alias = shared_alias,
};
