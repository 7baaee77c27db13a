/* A clock with two hands over the pages of a scratch file; see evict.h.
 *
 * The window below the frontier is looked at in pieces of 2 MiB, whatever regions lie there: what
 * has pages counts. Both hands go round in the same direction over the pieces that have any:
 *
 *      ... | kept | kept | out | out | out | kept | kept | ...      out: taken out of the page
 *                         ^ back hand       ^ front hand                 tables, write-out started
 *
 * The front hand takes a piece out of the page tables and starts to write it out; its pages stay.
 * Whoever uses it meanwhile gets it back for the price of soft faults. When the back hand comes, a
 * piece that is in the page tables again is spared, else its pages, on the disk by now, are
 * dropped. The front hand is half the budget ahead, so that the back hand seldom waits for
 * the disk, and little is left to be written when pages come faster than they can be. Pieces
 * advised cold go first, without a second chance.
 *
 * Corbató, "A paging experiment with the Multics system", 1968, has one hand; 4.3BSD has two.
 *
 * A dropped piece is read back in one go, so that its pages are not faulted in one by one, unless
 * the file has a hole there: a store to one page of what was read as one makes the file system find
 * room for all, which on a full disk would end the process.
 *
 * Pieces are addresses. What they show of the file is asked under the space's lock, one piece at a
 * time, and may change right after: pages are dropped only if they are clean and in no page table,
 * the kernel sees to that, so nothing is ever lost, only kept longer than it should be. */
#include "pool/evict.h"

#include "base/base.h"
#include "os/os.h"

/* Pieces that are asked about at once to find out that none of them has pages. */
#define GROUP_PIECES 64u

/* Pieces that one step drops, and those it spares at most before it drops used ones too. */
#define STEP_VICTIMS 16u
#define STEP_SPARED  64u

/* How far the front hand is ahead. */
#define AHEAD_SHARE(limit) ((limit) / 2)

struct victim {
    uint32_t piece;
    uint64_t resident;
};

/* ---- pieces ---- */

static unsigned piece_flags(const struct tn_step *step, uint32_t piece)
{
    return atomic_load_explicit(&step->budget->pieces[piece], memory_order_relaxed);
}

static void piece_set(const struct tn_step *step, uint32_t piece, unsigned flag)
{
    atomic_fetch_or_explicit(&step->budget->pieces[piece], (uint8_t)flag, memory_order_relaxed);
}

/* Returns the flags before. */
static unsigned piece_clear(const struct tn_step *step, uint32_t piece, unsigned flag)
{
    return atomic_fetch_and_explicit(&step->budget->pieces[piece], (uint8_t)~flag,
                                     memory_order_relaxed);
}

static char *piece_addr(const struct tn_step *step, uint32_t piece)
{
    return step->space->base + ((size_t)piece << TN_PIECE_SHIFT);
}

/* Bytes of `count` pieces, the last of the window perhaps being shorter. */
static size_t piece_bytes(const struct tn_step *step, uint32_t piece, uint32_t count)
{
    const size_t start = (size_t)piece << TN_PIECE_SHIFT;
    const size_t window = (size_t)step->space->block_count << TN_BLOCK_SHIFT;
    return tn_min((size_t)count << TN_PIECE_SHIFT, window - start);
}

/* Resident bytes of an address range, page by page. */
static uint64_t count_pages(char *addr, size_t bytes)
{
    unsigned char present[512];
    const size_t page = tn_os_page_bytes();
    uint64_t pages = 0;
    while (bytes > 0) {
        const size_t part = tn_min(bytes, sizeof(present) * page);
        if (tn_os_resident(addr, part, present) != 0)
            return 0;
        for (size_t i = 0; i < part / page; i++)
            pages += present[i] & 1;
        addr += part;
        bytes -= part;
    }
    return pages * page;
}

/* What the addresses of some pieces show of the file; at most `max` ranges. */
static unsigned ranges_of(const struct tn_step *step, uint32_t piece, uint32_t pieces,
                          struct tn_file_range *ranges, unsigned max)
{
    const struct tn_block_range blocks = {
        piece * TN_PIECE_BLOCKS, (uint32_t)(piece_bytes(step, piece, pieces) >> TN_BLOCK_SHIFT)};
    return tn_space_file_ranges(step->space, blocks, ranges, max);
}

/* Resident bytes of a part of the file; -1 if the kernel does not say. */
static int64_t resident_range(const struct tn_step *step, const struct tn_file_range *range)
{
    struct tn_os_cached cached;
    if (!tn_os_features()->cached ||
        tn_os_file_cached(step->space->fd, range->offset, range->bytes, &cached) != 0)
        return -1;
    return (int64_t)cached.resident_bytes;
}

static uint64_t resident_of(const struct tn_step *step, uint32_t piece)
{
    struct tn_file_range ranges[TN_PIECE_BLOCKS];
    const unsigned count = ranges_of(step, piece, 1, ranges, TN_PIECE_BLOCKS);
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        const int64_t resident = resident_range(step, &ranges[i]);
        if (resident < 0)
            return count_pages(piece_addr(step, piece), piece_bytes(step, piece, 1));
        sum += (uint64_t)resident;
    }
    return sum;
}

uint64_t tn_evict_resident(const struct tn_step *step)
{
    const size_t bytes = step->end == 0 ? 0 : piece_bytes(step, 0, step->end);
    const int64_t resident =
        bytes == 0 ? 0 : resident_range(step, &(const struct tn_file_range){0, bytes});
    return resident < 0 ? count_pages(step->space->base, bytes) : (uint64_t)resident;
}

/* Whether a group of pieces is as it was made and has no pages. */
static bool group_empty(const struct tn_step *step, uint32_t piece, uint32_t pieces)
{
    struct tn_file_range ranges[2];
    const unsigned count = ranges_of(step, piece, pieces, ranges, 2);
    return count == 0 || (count == 1 && resident_range(step, &ranges[0]) == 0);
}

static int write_out(const struct tn_step *step, uint32_t piece, bool wait)
{
    struct tn_file_range ranges[TN_PIECE_BLOCKS];
    const unsigned count = ranges_of(step, piece, 1, ranges, TN_PIECE_BLOCKS);
    int error = 0;
    for (unsigned i = 0; i < count && error == 0; i++)
        error = tn_os_file_write_out(step->space->fd, ranges[i].offset, ranges[i].bytes, wait);
    return error;
}

/* Lets a piece be read back whole if it is one piece of the file as well and the file system has
 * room for all of it. That is asked after it is said: whoever punches a hole takes it back
 * afterwards. */
static void read_back_whole(const struct tn_step *step, uint32_t piece)
{
    struct tn_file_range range;
    bool backed = false;
    char *addr = piece_addr(step, piece);
    if (ranges_of(step, piece, 1, &range, 1) != 1 || range.bytes != TN_PIECE_BYTES ||
        range.offset % TN_PIECE_BYTES != 0)
        return;
    tn_space_advise_huge(step->space, addr, TN_PIECE_BYTES);
    if (tn_os_file_backed(step->space->fd, range.offset, range.bytes, &backed) != 0 || !backed)
        tn_space_unwant_huge(step->space, addr, TN_PIECE_BYTES);
}

/* ---- the hands ---- */

/* The next piece of the front hand that has pages and is not out; false if there is none within
 * the visits that are left. */
static bool front_next(struct tn_step *step, uint32_t *piece)
{
    uint32_t *at = &step->budget->front;
    for (uint32_t seen = 0; seen < step->end && step->visits > 0; step->visits--) {
        if (*at >= step->end)
            *at = 0;
        const uint32_t left = step->end - *at;
        const uint32_t group = left < GROUP_PIECES ? left : GROUP_PIECES;
        if (*at % GROUP_PIECES == 0 && group_empty(step, *at, group)) {
            *at += group;
            seen += group;
            continue;
        }
        *piece = (*at)++;
        seen++;
        if ((piece_flags(step, *piece) & TN_PIECE_OUT) == 0 && resident_of(step, *piece) > 0)
            return true;
    }
    return false;
}

void tn_evict_prepare(struct tn_step *step)
{
    const size_t wanted = tn_max(AHEAD_SHARE(step->limit), TN_PIECE_BYTES);
    uint32_t piece;
    while ((size_t)step->budget->ahead << TN_PIECE_SHIFT < wanted && step->outs > 0 &&
           front_next(step, &piece)) {
        step->outs--;
        if (tn_os_unmap_pages(piece_addr(step, piece), piece_bytes(step, piece, 1)) != 0)
            continue;                        /* locked by the user, or no memory: it stays */
        (void)write_out(step, piece, false); /* a broken disk is noticed when it counts */
        piece_set(step, piece, TN_PIECE_OUT);
        step->budget->ahead++;
    }
}

/* Whether somebody has used the piece since the front hand took it out. */
static bool used_again(const struct tn_step *step, uint32_t piece)
{
    size_t pages = 0;
    return tn_os_mapped_pages(piece_addr(step, piece), piece_bytes(step, piece, 1), &pages) == 0 &&
           pages > 0;
}

/* The next piece of the back hand that may go. */
static bool back_next(struct tn_step *step, uint32_t *piece)
{
    uint32_t *at = &step->budget->back;
    while (step->budget->ahead > 0) { /* so there is one with TN_PIECE_OUT */
        if (*at >= step->budget->piece_count)
            *at = 0;
        *piece = (*at)++;
        if ((piece_clear(step, *piece, TN_PIECE_OUT) & TN_PIECE_OUT) == 0)
            continue;
        step->budget->ahead--;
        if (step->spared == STEP_SPARED || !used_again(step, *piece))
            return true;
        step->spared++;
    }
    return false;
}

/* The next piece that was advised cold. */
static bool cold_next(struct tn_step *step, uint32_t *piece)
{
    struct tn_budget *budget = step->budget;
    for (uint32_t seen = 0; seen < step->end; seen++) {
        if (atomic_load_explicit(&budget->cold_count, memory_order_relaxed) == 0)
            return false;
        if (budget->cold >= step->end)
            budget->cold = 0;
        *piece = budget->cold++;
        if ((piece_flags(step, *piece) & TN_PIECE_COLD) == 0)
            continue;
        if ((piece_clear(step, *piece, TN_PIECE_COLD) & TN_PIECE_COLD) != 0)
            atomic_fetch_sub_explicit(&budget->cold_count, 1, memory_order_relaxed);
        if ((piece_clear(step, *piece, TN_PIECE_OUT) & TN_PIECE_OUT) != 0)
            budget->ahead--;
        if (resident_of(step, *piece) > 0)
            return true;
    }
    return false;
}

/* ---- dropping ---- */

/* Chooses what goes: at most `bytes` of it, but for the last piece. */
static unsigned choose(struct tn_step *step, uint64_t bytes, struct victim victims[STEP_VICTIMS])
{
    unsigned count = 0;
    uint32_t piece;
    for (uint64_t sum = 0; sum < bytes && count < STEP_VICTIMS;) {
        if (!cold_next(step, &piece)) {
            tn_evict_prepare(step);
            if (!back_next(step, &piece))
                break;
        }
        const uint64_t resident = resident_of(step, piece);
        if (resident == 0)
            continue;
        victims[count++] = (struct victim){piece, resident};
        sum += resident;
    }
    return count;
}

/* Drops the pages of a piece that are on the disk by now; the bytes that went. */
static uint64_t drop(const struct tn_step *step, const struct victim *victim)
{
    struct tn_file_range ranges[TN_PIECE_BLOCKS];
    if (write_out(step, victim->piece, true) != 0)
        return 0;
    const unsigned count = ranges_of(step, victim->piece, 1, ranges, TN_PIECE_BLOCKS);
    for (unsigned i = 0; i < count; i++)
        (void)tn_os_file_drop(step->space->fd, ranges[i].offset, ranges[i].bytes);
    read_back_whole(step, victim->piece);
    const uint64_t left = resident_of(step, victim->piece);
    return victim->resident - tn_min(left, victim->resident);
}

uint64_t tn_evict(struct tn_step *step, uint64_t bytes)
{
    struct victim victims[STEP_VICTIMS];
    uint64_t gone = 0;
    const unsigned count = choose(step, bytes, victims);
    for (unsigned i = 0; i < count; i++) { /* all are on their way before one is waited for */
        const uint32_t piece = victims[i].piece;
        (void)tn_os_unmap_pages(piece_addr(step, piece), piece_bytes(step, piece, 1));
        (void)write_out(step, piece, false);
    }
    for (unsigned i = 0; i < count; i++)
        gone += drop(step, &victims[i]);
    atomic_fetch_add_explicit(&step->space->pool_counters[TN_POOL_EVICTED_BYTES], gone,
                              memory_order_relaxed);
    return gone;
}
