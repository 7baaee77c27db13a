/* The table of extents; see extents.h. Loops over blocks are as plain as they can be: they run
 * under the space's lock, over 16 384 blocks for 1 GiB. */
#include "space/extents.h"

#include "base/base.h"

/* ---- mappings ---- */

/* Whether four blocks have this shift. */
static bool four_alike(const struct tn_extent *at, uint32_t shift)
{
    return ((at[0].shift ^ shift) | (at[1].shift ^ shift) | (at[2].shift ^ shift) |
            (at[3].shift ^ shift)) == 0;
}

uint32_t tn_extents_neighbours(const struct tn_extent *extents, uint32_t block, uint32_t limit)
{
    const uint32_t shift = extents[block].shift;
    uint32_t count = 1;
    while (count + 4 <= limit && four_alike(&extents[block + count], shift))
        count += 4;
    while (count < limit && extents[block + count].shift == shift)
        count++;
    return count;
}

/* Places between blocks of a row where a mapping ends. */
static int ends_inside(const struct tn_extent *extents, struct tn_block_range blocks)
{
    int rows = 0;
    for (uint32_t done = 0; done < blocks.count; rows++)
        done += tn_extents_neighbours(extents, blocks.block + done, blocks.count - done);
    return rows - 1;
}

/* Whether one ends in front of a row whose first block has this shift; and behind one. */
static int end_before(const struct terrane_space *space, uint32_t block, uint32_t shift)
{
    return block > 0 && tn_extents_of(space)[block - 1].shift != shift;
}

static int end_behind(const struct terrane_space *space, uint32_t behind, uint32_t shift)
{
    return behind < space->block_count && tn_extents_of(space)[behind].shift != shift;
}

int tn_extents_ends(const struct terrane_space *space, struct tn_block_range blocks)
{
    return tn_extents_ends_showing(space, blocks, blocks.block);
}

int tn_extents_ends_showing(const struct terrane_space *space, struct tn_block_range blocks,
                            uint32_t source)
{
    const struct tn_extent *extents = tn_extents_of(space);
    const uint32_t away = source - blocks.block;
    const uint32_t end = blocks.block + blocks.count;
    return ends_inside(extents, (struct tn_block_range){source, blocks.count}) +
           end_before(space, blocks.block, extents[source].shift + away) +
           end_behind(space, end, extents[source + blocks.count - 1].shift + away);
}

/* ---- showing ---- */

static void doom(struct tn_extent *extents, struct tn_doomed *doomed, uint32_t extent)
{
    extents[extent].foreign = (extents[extent].foreign & TN_EXTENT_PARKED) | TN_EXTENT_DOOMED;
    if (doomed->first == 0)
        doomed->first = extent + 1;
    else
        extents[doomed->last - 1].foreign |= extent + 1;
    doomed->last = extent + 1;
}

/* A block of another extent no longer shows this one. */
static void drop_foreign(struct tn_extent *extents, struct tn_doomed *doomed, uint32_t extent)
{
    tn_assert((extents[extent].foreign & TN_EXTENT_DOOMED) == 0);
    tn_assert((extents[extent].foreign & TN_EXTENT_COUNT) > 0);
    const uint32_t left = --extents[extent].foreign;
    if (left == TN_EXTENT_PARKED || (left == 0 && extents[extent].shift != 0))
        doom(extents, doomed, extent);
}

/* A block of a used run no longer shows its own extent. */
static void drop_own(struct tn_extent *extents, struct tn_let_go *let_go, uint32_t block)
{
    if (let_go->own.count == 0)
        let_go->own.block = block;
    if (block == let_go->own.block + let_go->own.count)
        let_go->own.count++;
    else
        doom(extents, &let_go->others, block);
}

void tn_extents_show(struct terrane_space *space, struct tn_block_range blocks, uint32_t source,
                     struct tn_let_go *let_go)
{
    struct tn_extent *extents = tn_extents_of(space);
    const uint32_t away = source - blocks.block;
    for (uint32_t at = blocks.block; at < blocks.block + blocks.count; at++) {
        const uint32_t was = extents[at].shift;
        const uint32_t now = extents[at + away].shift + away;
        if (now == was)
            continue;
        extents[at].shift = now;
        if (now != 0)
            extents[at + now].foreign++;
        if (was != 0)
            drop_foreign(extents, &let_go->others, at + was);
        else if (extents[at].foreign == 0)
            drop_own(extents, let_go, at);
    }
}

/* What they show is shown by as many as before, so nothing is doomed. */
void tn_extents_swap(struct terrane_space *space, uint32_t a, uint32_t b, uint32_t count)
{
    struct tn_extent *extents = tn_extents_of(space);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at[2] = {a + i, b + i};
        const uint32_t was[2] = {tn_extent_shown(extents, at[0]), tn_extent_shown(extents, at[1])};
        for (unsigned side = 0; side < 2; side++) {
            const uint32_t now = was[1 - side];
            extents[was[side]].foreign -= was[side] != at[side];
            extents[now].foreign += now != at[side];
            extents[at[side]].shift = now - at[side];
        }
    }
}

/* ---- ending ---- */

int tn_extents_take_apart(struct terrane_space *space, uint32_t block, unsigned order,
                          struct tn_doomed lists[2])
{
    struct tn_extent *extents = tn_extents_of(space);
    const struct tn_block_range blocks = {block, (uint32_t)1 << order};
    const int before = tn_extents_ends(space, blocks);
    tn_buddy_split_used(&space->buddy, block, order);
    for (uint32_t at = block; at < block + blocks.count; at++) {
        const uint32_t extent = tn_extent_shown(extents, at);
        extents[at].shift = 0;
        const bool wanted = extents[at].foreign != 0;
        extents[at].foreign |= TN_EXTENT_PARKED;
        if (extent != at)
            drop_foreign(extents, &lists[0], extent);
        if (!wanted)
            doom(extents, &lists[1], at);
    }
    return before - tn_extents_ends(space, blocks);
}

bool tn_extents_next_doomed(const struct terrane_space *space, struct tn_doomed *list,
                            struct tn_block_range *out, bool *parked)
{
    const struct tn_extent *extents = tn_extents_of(space);
    if (list->first == 0)
        return false;
    *out = (struct tn_block_range){list->first - 1, 0};
    const uint32_t flag = extents[out->block].foreign & TN_EXTENT_PARKED;
    do
        list->first = extents[out->block + out->count++].foreign & TN_EXTENT_COUNT;
    while (list->first == out->block + out->count + 1 &&
           (extents[list->first - 1].foreign & TN_EXTENT_PARKED) == flag);
    *parked = flag != 0;
    return true;
}

/* Blocks of a row, from `at` on, that are all parked or all not. */
static uint32_t alike_parked(const struct tn_extent *extents, uint32_t at, uint32_t end)
{
    const uint32_t flag = extents[at].foreign & TN_EXTENT_PARKED;
    uint32_t count = 1;
    while (at + count < end && (extents[at + count].foreign & TN_EXTENT_PARKED) == flag)
        count++;
    return count;
}

void tn_extents_end(struct terrane_space *space, struct tn_block_range doomed, bool clean)
{
    struct tn_extent *extents = tn_extents_of(space);
    const uint32_t end = doomed.block + doomed.count;
    for (uint32_t at = doomed.block, count; at < end; at += count) {
        const bool parked = (extents[at].foreign & TN_EXTENT_PARKED) != 0;
        count = alike_parked(extents, at, end);
        for (uint32_t i = 0; i < count; i++)
            extents[at + i].foreign = 0;
        if (!parked)
            continue;
        tn_buddy_give_cut(&space->buddy, at, count, clean ? TN_RUN_CLEAN : TN_RUN_DIRTY);
        tn_space_forget_clean(space, at, count);
    }
    tn_space_note_dirty(space);
}

/* ---- questions ---- */

/* Whether a used block is the only one to show what it shows. */
static bool is_exclusive(const struct tn_extent *extents, uint32_t block)
{
    if (extents[block].shift == 0)
        return extents[block].foreign == 0;
    const struct tn_extent *shown = &extents[tn_extent_shown(extents, block)];
    return (shown->foreign & TN_EXTENT_COUNT) == 1 &&
           (shown->shift != 0 || (shown->foreign & TN_EXTENT_PARKED) != 0);
}

/* The first of some blocks for which the answer is another one, or their end. Mostly they show
 * their own extents, and nobody else does. */
static uint32_t alike_exclusive(const struct tn_extent *extents, uint32_t block, uint32_t end,
                                bool exclusive)
{
    for (; block < end; block++) {
        const bool plain = (extents[block].shift | extents[block].foreign) == 0;
        if ((plain || is_exclusive(extents, block)) != exclusive)
            break;
    }
    return block;
}

bool tn_extents_exclusive(const struct terrane_space *space, struct tn_block_range blocks)
{
    const uint32_t end = blocks.block + blocks.count;
    return alike_exclusive(tn_extents_of(space), blocks.block, end, true) == end;
}

struct tn_stretch tn_extents_stretch(const struct terrane_space *space, const char *addr,
                                     size_t bytes, bool whole)
{
    const struct tn_extent *extents = tn_extents_of(space);
    const uint32_t first = tn_block_of(space, addr);
    const uint32_t last = tn_block_of(space, addr + bytes - 1);
    const size_t inside = tn_offset_of(space, addr) & (TN_BLOCK_BYTES - 1);
    const bool exclusive = is_exclusive(extents, first);
    const uint32_t row =
        whole ? last + 1 - first : tn_extents_neighbours(extents, first, last + 1 - first);
    const uint32_t end = alike_exclusive(extents, first, first + row, exclusive);
    return (struct tn_stretch){
        .offset = tn_extent_offset(tn_extent_shown(extents, first)) + inside,
        .bytes = tn_min(bytes, ((size_t)(end - first) << TN_BLOCK_SHIFT) - inside),
        .exclusive = exclusive,
    };
}

/* Adds `change` to the count of every extent that a block of another one shows. */
static void count_again(const struct terrane_space *space, uint32_t change)
{
    struct tn_extent *extents = tn_extents_of(space);
    for (uint32_t at = 0; at < space->buddy.frontier; at++) {
        if (extents[at].shift != 0)
            extents[tn_extent_shown(extents, at)].foreign += change;
    }
}

void tn_extents_audit(const struct terrane_space *space)
{
    const struct tn_extent *extents = tn_extents_of(space);
    const uint32_t end = space->buddy.frontier;
    for (uint32_t at = 0; at < end; at++)
        tn_check(tn_extent_shown(extents, at) < end);
    count_again(space, (uint32_t)-1);
    for (uint32_t at = 0; at < end; at++) {
        const uint32_t foreign = extents[at].foreign;
        tn_check((foreign & TN_EXTENT_DOOMED) != 0 || (foreign & TN_EXTENT_COUNT) == 0);
    }
    count_again(space, 1);
}
