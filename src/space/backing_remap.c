/* Shared backings: moves, aliases and exchanges, which make window blocks show other extents.
 *
 * The kernel is asked first, row of neighbours by row, and the table follows when all of it is
 * mapped; if the kernel refuses, what it granted is undone, last row first, so that the process is
 * never in a state with more mappings than on the way there. All of that is under the space's lock.
 * What nobody shows afterwards is given back without it.
 *
 * What a mapping costs is known exactly: a mapping ends where neighbours in the window are none in
 * the file. */
#include "base/base.h"
#include "os/os.h"
#include "space/backing_shared.h"

#include <errno.h>

static struct tn_block_range blocks_of(const struct terrane_space *space, const char *addr,
                                       size_t bytes)
{
    return (struct tn_block_range){tn_block_of(space, addr), (uint32_t)(bytes >> TN_BLOCK_SHIFT)};
}

static bool aligned_for(const struct terrane_space *space, const char *a, const char *b,
                        size_t bytes)
{
    const size_t mask = tn_max(space->page_bytes, TN_BLOCK_BYTES) - 1;
    return ((tn_offset_of(space, a) | tn_offset_of(space, b)) & mask) == 0 &&
           (bytes & (space->page_bytes - 1)) == 0;
}

/* ---- mapping ---- */

/* Maps a row of neighbours in the file, which starts with `extent` there. */
typedef int row_verb(struct terrane_space *space, char *from, char *to, size_t bytes,
                     uint32_t extent);

static int map_row(struct terrane_space *space, char *from, char *to, size_t bytes, uint32_t extent)
{
    (void)from;
    return tn_shared_map(space, to, bytes, extent);
}

/* By page table, so that no page of it has to be faulted in again. The kernel moves one mapping at
 * a time, and a row is one, unless something else has divided it. */
static int move_row(struct terrane_space *space, char *from, char *to, size_t bytes,
                    uint32_t extent)
{
    if (tn_os_move(from, to, bytes) != 0)
        return map_row(space, from, to, bytes, extent);
    if (space->backing == TERRANE_BACKING_SCRATCH) /* the advice has moved along */
        (void)tn_os_advise_huge(to, bytes, false);
    return 0;
}

/* Maps `target` as the blocks from `source` on are, row by row. Returns the blocks that are done.
 */
static uint32_t map_rows(struct terrane_space *space, uint32_t source, struct tn_block_range target,
                         row_verb *verb, int *error)
{
    const struct tn_extent *extents = tn_extents_of(space);
    uint32_t done = 0;
    *error = 0;
    while (done < target.count) {
        const uint32_t row = tn_extents_neighbours(extents, source + done, target.count - done);
        *error = verb(space, tn_block_addr(space, source + done),
                      tn_block_addr(space, target.block + done), (size_t)row << TN_BLOCK_SHIFT,
                      tn_extent_shown(extents, source + done));
        if (*error != 0)
            break;
        done += row;
    }
    return done;
}

/* Maps blocks as the table says. */
static int map_as_before(struct terrane_space *space, struct tn_block_range blocks)
{
    int error;
    (void)map_rows(space, blocks.block, blocks, map_row, &error);
    return error;
}

/* Undoes the rows that map_rows has done, last one first. Returns the blocks for which the kernel
 * refuses even that. */
static uint32_t unmap_rows(struct terrane_space *space, uint32_t source, uint32_t target,
                           uint32_t done)
{
    const struct tn_extent *extents = tn_extents_of(space);
    while (done > 0) {
        const uint32_t shift = extents[source + done - 1].shift;
        uint32_t left = done - 1;
        while (left > 0 && extents[source + left - 1].shift == shift)
            left--;
        if (map_as_before(space, (struct tn_block_range){target + left, done - left}) != 0)
            return done;
        done = left;
    }
    return 0;
}

/* Makes blocks show what those from `source` on show. Returns how many do: all, or after a refusal
 * none, or as many as could not be undone. */
typedef uint32_t map_verb(struct terrane_space *space, uint32_t source,
                          struct tn_block_range target, int *error);

static uint32_t map_shown(struct terrane_space *space, uint32_t source,
                          struct tn_block_range target, int *error)
{
    const uint32_t done = map_rows(space, source, target, map_row, error);
    return *error == 0 ? done : unmap_rows(space, source, target.block, done);
}

/* By page table, where the kernel can. */
static uint32_t move_shown(struct terrane_space *space, uint32_t source,
                           struct tn_block_range target, int *error)
{
    uint32_t done = map_rows(space, source, target, move_row, error);
    if (*error == 0)
        return done;
    done = unmap_rows(space, source, target.block, done);
    if (done == 0 && map_as_before(space, target) != 0)
        tn_run_note(space, target.block, TN_RUN_REMAPPED, 0); /* the move may have unmapped it */
    return done;
}

/* ---- moves and aliases ---- */

/* Makes `to` show what `from` shows; both are whole blocks. */
static int show(struct terrane_space *space, char *from, char *to, size_t bytes, map_verb *map,
                struct tn_let_go *let_go)
{
    const uint32_t source = tn_block_of(space, from);
    const struct tn_block_range target = blocks_of(space, to, bytes);
    const int before = tn_extents_ends(space, target);
    int more = tn_extents_ends_showing(space, target, source) - before;
    const unsigned taken = more > 0 ? (unsigned)more : 0;
    if (taken > 0 && !tn_mappings_take(space, taken))
        return -ENOMEM;
    int error;
    const uint32_t done = map(space, source, target, &error);
    if (done > 0) {
        tn_extents_show(space, (struct tn_block_range){target.block, done}, source, let_go);
        tn_run_note(space, source, TN_RUN_SHOWN, 0);
        tn_run_note(space, target.block, TN_RUN_REMAPPED, 0);
        tn_space_forget_huge(space, to, (size_t)done << TN_BLOCK_SHIFT);
    }
    if (error != 0)
        more = tn_extents_ends(space, target) - before;
    tn_shared_count_mappings(space, more - (int)taken);
    return error;
}

int tn_shared_alias(struct terrane_space *space, char *from, char *to, size_t bytes)
{
    struct tn_let_go let_go = {.own = {.count = 0}};
    if (!aligned_for(space, from, to, bytes))
        return -ENOTSUP;
    bytes = tn_round_up(bytes, TN_BLOCK_BYTES); /* the table knows only whole blocks */
    tn_lock_acquire(&space->lock);
    const int error = show(space, from, to, bytes, map_shown, &let_go);
    tn_lock_release(&space->lock);
    if (let_go.own.count > 0)
        (void)tn_shared_punch_unshown(space, let_go.own);
    tn_shared_free(space, &let_go.others);
    return error;
}

/* A move is an alias whose source is given back next; where the kernel can, page tables go along.
 * Its target has no pages, so what that lets go of its own need not be given back. */
int tn_shared_move(struct terrane_space *from_space, char *from, struct terrane_space *to_space,
                   char *to, size_t bytes)
{
    struct tn_let_go let_go = {.own = {.count = 0}};
    if (from_space != to_space || !aligned_for(to_space, from, to, bytes))
        return -ENOTSUP;
    const bool by_table =
        tn_os_features()->move_keep_file && to_space->page_bytes == tn_os_page_bytes();
    bytes = tn_round_up(bytes, TN_BLOCK_BYTES);
    tn_lock_acquire(&to_space->lock);
    const int error = show(to_space, from, to, bytes, by_table ? move_shown : map_shown, &let_go);
    tn_lock_release(&to_space->lock);
    tn_shared_free(to_space, &let_go.others);
    return error;
}

/* ---- exchanges ---- */

/* Mappings that end at or in two rows; where they touch, only once. */
static int ends_of_both(const struct terrane_space *space, struct tn_block_range a,
                        struct tn_block_range b)
{
    const uint32_t first = a.block < b.block ? a.block : b.block;
    if (a.block + a.count == b.block || b.block + b.count == a.block)
        return tn_extents_ends(space, (struct tn_block_range){first, a.count + b.count});
    return tn_extents_ends(space, a) + tn_extents_ends(space, b);
}

/* Maps two rows as the table says since they were swapped, or as before. */
static int map_swapped(struct terrane_space *space, struct tn_block_range a,
                       struct tn_block_range b)
{
    int error = map_as_before(space, a);
    if (error == 0)
        error = map_as_before(space, b);
    if (error == 0)
        return 0;
    tn_extents_swap(space, a.block, b.block, a.count);
    if (map_as_before(space, a) != 0 || map_as_before(space, b) != 0)
        tn_die("exchange: the kernel took back mappings that it had granted");
    return error;
}

static int exchange(struct terrane_space *space, struct tn_block_range a, struct tn_block_range b)
{
    const uint8_t flags = TN_RUN_REMAPPED | TN_RUN_SHOWN;
    const int before = ends_of_both(space, a, b);
    tn_extents_swap(space, a.block, b.block, a.count);
    const int more = ends_of_both(space, a, b) - before;
    if (more > 0 && !tn_mappings_take(space, (unsigned)more)) {
        tn_extents_swap(space, a.block, b.block, a.count);
        return -ENOMEM;
    }
    const int error = map_swapped(space, a, b);
    if (error == 0) {
        tn_run_note(space, a.block, flags, 0);
        tn_run_note(space, b.block, flags, 0);
    }
    tn_shared_count_mappings(space, ends_of_both(space, a, b) - before - (more > 0 ? more : 0));
    return error;
}

int tn_shared_exchange(struct terrane_space *space, char *a, char *b, size_t bytes)
{
    if (!aligned_for(space, a, b, bytes) || (bytes & (TN_BLOCK_BYTES - 1)) != 0)
        return -ENOTSUP;
    tn_lock_acquire(&space->lock);
    const int error = exchange(space, blocks_of(space, a, bytes), blocks_of(space, b, bytes));
    if (error == 0) {
        tn_space_forget_huge(space, a, bytes);
        tn_space_forget_huge(space, b, bytes);
    }
    tn_lock_release(&space->lock);
    return error;
}
