/* Who shows what: window blocks and extents of the file behind a shared space.
 *
 * Block b of the window shows extent b of the file, 64 KiB at the same offset, unless a move or an
 * alias made it show another one. What a block shows is kept as the distance to it, so that blocks
 * side by side that show extents side by side have the same number, and a place where neighbours
 * differ is a place where a mapping of the kernel ends:
 *
 *   window   | 0 | 1 | 2 | 3 | 4 | 5 | 6 |      4 and 5 were aliased to 1 and 2
 *   shift      0   0   0   0  -3  -3   0        two mappings more than one
 *   foreign    0   1   1   0   0   0   0        extents 4 and 5 are shown by nobody
 *
 * An extent lives as long as a used block shows it. When block 1 is retired while 4 still shows its
 * extent, block 1 is parked: it stays out of the buddy until 4 is retired too. So aliases cost
 * addresses and a count an extent, no second allocator, and a freed extent is always a hole at a
 * known place.
 *
 * An extent that nobody shows any more is doomed: its pages are given back without the lock, and
 * then its block, if that is parked, goes to the buddy. Doomed extents are linked through their
 * counts, which are 0 then. The block's own run may be retired meanwhile: that parks it, and
 * whoever ends the extent sees it.
 *
 * All calls: locked, unless they say otherwise. */
#ifndef TN_EXTENTS_H
#define TN_EXTENTS_H

#include "space/space.h"

struct tn_extent {
    uint32_t shift;   /* of this window block: the extent that it shows minus the block, mod 2^32 */
    uint32_t foreign; /* used window blocks, other than its own, that show this extent; or flags */
};

_Static_assert(sizeof(struct tn_extent) == TN_ROW_EXTENTS,
               "row size is part of the window's layout");

/* In `foreign`: the window block of this extent was retired while the extent was not free. */
#define TN_EXTENT_PARKED ((uint32_t)1 << 31)
/* The extent is doomed; below is the next one of the list plus one, 0 at its end. */
#define TN_EXTENT_DOOMED ((uint32_t)1 << 30)
#define TN_EXTENT_COUNT  (TN_EXTENT_DOOMED - 1)

static inline struct tn_extent *tn_extents_of(const struct terrane_space *space)
{
    return (struct tn_extent *)(void *)space->tables[TN_TABLE_EXTENTS];
}

static inline uint32_t tn_extent_shown(const struct tn_extent *extents, uint32_t block)
{
    return block + extents[block].shift;
}

static inline uint64_t tn_extent_offset(uint32_t extent)
{
    return (uint64_t)extent << TN_BLOCK_SHIFT;
}

/* Blocks from `block` on, at most `limit`, that show extents side by side. */
uint32_t tn_extents_neighbours(const struct tn_extent *extents, uint32_t block, uint32_t limit);

/* Mappings of the kernel that end in front of, between or behind some blocks. */
int tn_extents_ends(const struct terrane_space *space, struct tn_block_range blocks);

/* The same as it would be if they showed what as many blocks from `source` on show. */
int tn_extents_ends_showing(const struct terrane_space *space, struct tn_block_range blocks,
                            uint32_t source);

/* Extents to be given back, in the order in which they were doomed. */
struct tn_doomed {
    uint32_t first, last; /* extent plus one; 0: none */
};

/* What blocks of one run let go: extents of others, and their own ones, where these are a row.
 * Nobody but the holder of the run can ask for the latter. */
struct tn_let_go {
    struct tn_doomed others;
    struct tn_block_range own;
};

/* Blocks show what as many from `source` on show. */
void tn_extents_show(struct terrane_space *space, struct tn_block_range blocks, uint32_t source,
                     struct tn_let_go *let_go);

/* Two rows of `count` blocks exchange what they show. */
void tn_extents_swap(struct terrane_space *space, uint32_t a, uint32_t b, uint32_t count);

/* Splits a used run into blocks that show nothing: those that others show are parked, the others
 * are doomed. What is doomed because this run was the last to show it has a list of its own, so
 * that both are in the order of addresses. Returns by how many mappings there are fewer. */
int tn_extents_take_apart(struct terrane_space *space, uint32_t block, unsigned order,
                          struct tn_doomed lists[2]);

/* Takes the next row of neighbours off the list, all parked or none. False if it is empty. */
bool tn_extents_next_doomed(const struct terrane_space *space, struct tn_doomed *list,
                            struct tn_block_range *out, bool *parked);

/* Their pages are gone, or not if the file refused: those that are parked, perhaps only since,
 * belong to the buddy again. */
void tn_extents_end(struct terrane_space *space, struct tn_block_range doomed, bool clean);

/* Whether nobody else shows what used blocks show. */
bool tn_extents_exclusive(const struct terrane_space *space, struct tn_block_range blocks);

/* Bytes of a window range that lie side by side in the file and are all shown by nobody else, or
 * all by others too. */
struct tn_stretch {
    uint64_t offset;
    size_t bytes;
    bool exclusive;
};

/* The longest one from the start of a range on; `whole`: wherever in the file they lie. */
struct tn_stretch tn_extents_stretch(const struct terrane_space *space, const char *addr,
                                     size_t bytes, bool whole);

/* Checks counts against what the blocks below the frontier show, and the count of mappings. */
void tn_extents_audit(const struct terrane_space *space);

#endif
