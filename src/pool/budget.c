/* When a resident budget is looked at, and what waits for it; see budget.h. Which pages go is
 * decided in evict.c.
 *
 * How much is resident is asked of the kernel, for the whole file at once, but only if there were
 * page faults since. The next time to ask follows from how much room is left and how fast memory
 * can be filled at most. Dropping starts at seven eighths of the budget: the rest is for what is
 * filled meanwhile. From three quarters on what would go next is prepared; below that nothing is
 * disturbed or written.
 *
 * No lock is held over any of this. */
#include "pool/budget.h"

#include "base/base.h"
#include "os/os.h"
#include "pool/evict.h"

#include <errno.h>

/* Shares of the budget. */
#define PREPARE_SHARE(limit) ((limit) / 4 * 3)
#define TARGET_SHARE(limit)  ((limit) / 8 * 7)

/* Pieces that one step looks at. */
#define STEP_VISITS 4096u

/* Most bytes that threads fill in a nanosecond. */
#define FILL_RATE 2u

#define INTERVAL_MIN_NS   1000000u
#define INTERVAL_MAX_NS   100000000u
#define INTERVAL_STUCK_NS 10000000u /* nothing could be dropped: the disk is full or broken */
#define ADMIT_NS          100000000u

static struct tn_budget *budget_of(const struct terrane_space *space)
{
    /* acquire; pairs with the release in publish */
    return atomic_load_explicit(&space->budget, memory_order_acquire);
}

/* ---- steps ---- */

/* Resident bytes of the file, counted anew if pages can have come since. */
static uint64_t resident_now(struct tn_step *step)
{
    struct tn_budget *budget = step->budget;
    struct tn_os_usage usage;
    tn_os_usage(&usage);
    const uint64_t faults = usage.minor_faults + usage.major_faults;
    const uint64_t known = atomic_load_explicit(&budget->resident, memory_order_relaxed);
    if (faults != 0 && faults == budget->faults && known <= TARGET_SHARE(step->limit))
        return known;
    budget->faults = faults;
    const uint64_t resident = tn_evict_resident(step);
    atomic_store_explicit(&budget->resident, resident, memory_order_relaxed);
    return resident;
}

static uint64_t step_once(struct tn_step *step, uint64_t now_ns)
{
    const uint64_t target = TARGET_SHARE(step->limit);
    uint64_t resident = resident_now(step);
    if (resident > target) {
        const uint64_t gone = tn_evict(step, resident - target);
        resident -= tn_min(gone, resident);
        atomic_store_explicit(&step->budget->resident, resident, memory_order_relaxed);
        if (resident > target)
            return now_ns + (gone > 0 ? 1 : INTERVAL_STUCK_NS);
    } else if (resident > PREPARE_SHARE(step->limit)) {
        tn_evict_prepare(step);
    }
    const uint64_t room_ns = (step->limit - resident) / FILL_RATE;
    return now_ns + tn_max(INTERVAL_MIN_NS, tn_min(room_ns, INTERVAL_MAX_NS));
}

/* Pieces below the frontier. */
static uint32_t used_pieces(struct terrane_space *space)
{
    tn_lock_acquire(&space->lock);
    const uint32_t frontier = space->buddy.frontier;
    tn_lock_release(&space->lock);
    return (frontier + TN_PIECE_BLOCKS - 1) / TN_PIECE_BLOCKS;
}

uint64_t tn_budget_step(struct terrane_space *space, uint64_t now_ns)
{
    struct tn_budget *budget = budget_of(space);
    const size_t limit = tn_budget_bytes(space);
    if (limit == 0)
        return 0;
    if (atomic_exchange_explicit(&budget->stepping, true, memory_order_acquire))
        return now_ns + INTERVAL_MIN_NS;
    struct tn_step step = {.space = space,
                           .budget = budget,
                           .limit = limit,
                           .end = used_pieces(space),
                           .visits = STEP_VISITS};
    const uint64_t next_ns = step_once(&step, now_ns);
    atomic_store_explicit(&budget->stepping, false, memory_order_release);
    return next_ns;
}

void tn_budget_admit(struct terrane_space *space)
{
    const struct tn_budget *budget = budget_of(space);
    const size_t limit = tn_budget_bytes(space);
    if (limit == 0)
        return;
    const uint64_t start_ns = tn_os_clock_ns();
    for (uint64_t now_ns = start_ns; now_ns - start_ns < ADMIT_NS; now_ns = tn_os_clock_ns()) {
        const uint64_t next_ns = tn_budget_step(space, now_ns);
        if (next_ns >= now_ns + INTERVAL_STUCK_NS ||
            atomic_load_explicit(&budget->resident, memory_order_relaxed) <= limit)
            return;
        tn_os_yield(); /* to the thread that steps */
    }
}

void tn_budget_cold(struct terrane_space *space, const void *addr, size_t bytes)
{
    struct tn_budget *budget = budget_of(space);
    if (budget == NULL)
        return;
    const size_t offset = tn_offset_of(space, addr);
    const size_t end = (offset + bytes) >> TN_PIECE_SHIFT;
    for (size_t piece = tn_round_up(offset, TN_PIECE_BYTES) >> TN_PIECE_SHIFT; piece < end;
         piece++) {
        const unsigned before =
            atomic_fetch_or_explicit(&budget->pieces[piece], TN_PIECE_COLD, memory_order_relaxed);
        if ((before & TN_PIECE_COLD) == 0)
            atomic_fetch_add_explicit(&budget->cold_count, 1, memory_order_relaxed);
    }
}

/* ---- setting ---- */

/* Writes a page of the file, at `offset` behind the window, and tries to drop it. */
static int try_drop(const struct terrane_space *space, char *page, uint64_t offset)
{
    const size_t bytes = tn_os_page_bytes();
    unsigned char present = 1;
    int error = tn_os_file_reserve(space->fd, offset, bytes);
    if (error == 0)
        error = tn_os_map_file(page, bytes, space->fd, offset);
    if (error != 0)
        return error;
    *(volatile char *)page = 1;
    error = tn_os_file_write_out(space->fd, offset, bytes, true);
    if (error == 0)
        error = tn_os_unmap_pages(page, bytes);
    if (error == 0)
        error = tn_os_file_drop(space->fd, offset, bytes);
    if (error == 0)
        error = tn_os_resident(page, bytes, &present);
    if (error == -EBUSY || (error == 0 && (present & 1) != 0))
        error = -ENOTSUP;
    return error;
}

/* Whether pages of the space's file can be dropped at all: 0 or why not. */
static int probe_drop(const struct terrane_space *space)
{
    const size_t bytes = tn_os_page_bytes();
    const uint64_t offset = (uint64_t)space->block_count << TN_BLOCK_SHIFT;
    void *page;
    int error = tn_os_allocate(bytes, &page);
    if (error != 0)
        return error;
    error = tn_os_file_resize(space->fd, offset + bytes);
    if (error == 0)
        error = try_drop(space, page, offset);
    (void)tn_os_release(page, bytes);
    (void)tn_os_file_punch(space->fd, offset, bytes);
    return error == -EFBIG ? -ENOSPC : error;
}

static void budget_release(struct terrane_space *space)
{
    struct tn_budget *budget = budget_of(space);
    (void)tn_os_release(budget, budget->map_bytes);
}

/* Makes the budget known; whoever comes second uses the first one's. */
static struct tn_budget *publish(struct terrane_space *space, struct tn_budget *mine)
{
    tn_lock_acquire(&space->lock);
    struct tn_budget *first = budget_of(space);
    if (first == NULL) {
        space->budget_release = budget_release;
        /* release; pairs with the acquire in budget_of */
        atomic_store_explicit(&space->budget, mine, memory_order_release);
    }
    tn_lock_release(&space->lock);
    if (first != NULL)
        (void)tn_os_release(mine, mine->map_bytes);
    return first != NULL ? first : mine;
}

static int create(struct terrane_space *space, struct tn_budget **out)
{
    const uint32_t pieces = (space->block_count + TN_PIECE_BLOCKS - 1) / TN_PIECE_BLOCKS;
    const size_t bytes = tn_round_up(sizeof(struct tn_budget) + pieces, tn_os_page_bytes());
    void *memory;
    int error = probe_drop(space);
    if (error == 0)
        error = tn_os_allocate(bytes, &memory);
    if (error != 0)
        return error;
    struct tn_budget *mine = memory;
    mine->map_bytes = bytes;
    mine->piece_count = pieces;
    *out = publish(space, mine);
    return 0;
}

int tn_budget_set(struct terrane_space *space, size_t bytes)
{
    if (space->backing != TERRANE_BACKING_SCRATCH)
        return -EINVAL;
    struct tn_budget *budget = budget_of(space);
    if (budget == NULL && bytes != 0) {
        const int error = create(space, &budget);
        if (error != 0)
            return error;
    }
    if (budget != NULL)
        atomic_store_explicit(&budget->limit_bytes, bytes, memory_order_relaxed);
    return 0;
}

size_t tn_budget_bytes(const struct terrane_space *space)
{
    const struct tn_budget *budget = budget_of(space);
    return budget == NULL ? 0 : atomic_load_explicit(&budget->limit_bytes, memory_order_relaxed);
}
