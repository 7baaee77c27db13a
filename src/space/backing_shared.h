/* Between the two halves of the shared backings: backing_shared.c and backing_remap.c. */
#ifndef TN_BACKING_SHARED_H
#define TN_BACKING_SHARED_H

#include "space/extents.h"

/* Maps a range of the window to the file from an extent on. -ENOMEM, -ENOTSUP. */
int tn_shared_map(struct terrane_space *space, char *addr, size_t bytes, uint32_t extent);

/* Gives the pages of doomed extents back, and to the buddy the blocks that wait for it. Takes the
 * lock. */
void tn_shared_free(struct terrane_space *space, struct tn_doomed *doomed);

/* The same for extents that nobody shows and whose blocks are used: pages only. Where the file
 * refuses they stay until the blocks are retired. */
int tn_shared_punch_unshown(struct terrane_space *space, struct tn_block_range extents);

/* Mappings that were taken without asking, or (below 0) are given back. */
static inline void tn_shared_count_mappings(struct terrane_space *space, int change)
{
    tn_count(space, TN_COUNT_MAPPINGS, (uint64_t)(int64_t)change); /* wraps downwards */
}

/* The verbs that make blocks show other extents; see struct tn_backing_verbs. */
int tn_shared_move(struct terrane_space *from_space, char *from, struct terrane_space *to_space,
                   char *to, size_t bytes);
int tn_shared_exchange(struct terrane_space *space, char *a, char *b, size_t bytes);
int tn_shared_alias(struct terrane_space *space, char *from, char *to, size_t bytes);

#endif
