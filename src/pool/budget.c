/* When a resident budget is looked at, and what waits for it; see budget.h. Which pages go is
 * decided in evict.c.
 *
 * How much is resident is asked of the kernel, for the whole file at once, but only if there were
 * page faults since. The next time to ask follows from how much room is left and how fast memory
 * can be filled at most.
 *
 *      0 ................ | prepare .......... | drop .............. | budget
 *                           an eighth            headroom: an eighth to a half
 *
 * Where what came lately in BRAKE_MS would fill the rest there is a brake: pages come one by one
 * instead of 2 MiB at a time, at a third to a twentieth of the speed, until what is over is
 * dropped. Without it stores to regions that were acquired before outrun any disk.
 *
 * The headroom is for what is filled while the disk works and the stepping thread waits for a
 * processor: as much as came lately in REACTION_MS. Whoever stores to regions that he has cannot be
 * made to wait. Below the eighth in which the next ones to go are prepared nothing is disturbed or
 * written.
 *
 * No lock is held over any of this. */
#include "pool/budget.h"

#include "base/base.h"
#include "os/os.h"
#include "pool/decay_worker.h"
#include "pool/evict.h"
#include "pool/pool.h"

#include <errno.h>
#include <terrane/pool.h>

/* Shares of the budget. */
#define HEADROOM_MIN(limit)  ((limit) / 8)
#define HEADROOM_MAX(limit)  ((limit) / 2)
#define PREPARE_SHARE(limit) ((limit) / 8)
#define BRAKE_MIN(limit)     ((limit) / 16)

#define REACTION_MS 250u
#define BRAKE_MS    60u

/* A rate is not measured over less, and is half forgotten after so long. */
#define RATE_MIN_NS  5000000u
#define RATE_FADE_NS 1000000000u

#define NS_PER_MS 1000000u

/* From this budget on pages come in 2 MiB at once, as they go. */
#define WHOLE_FROM (16 * TN_MIB)

/* Pieces that one step looks at, and that it takes out. */
#define STEP_VISITS 4096u
#define STEP_OUTS   32u

/* Most bytes that threads fill in a nanosecond; half of the room is left for them. */
#define FILL_RATE 8u

#define INTERVAL_MIN_NS   1000000u
#define INTERVAL_MAX_NS   50000000u
#define INTERVAL_STUCK_NS 10000000u /* nothing could be dropped: the disk is full or broken */
#define ADMIT_NS          1000000000u

static struct tn_budget *budget_of(const struct terrane_space *space)
{
    /* acquire; pairs with the release in publish */
    return atomic_load_explicit(&space->budget, memory_order_acquire);
}

/* ---- steps ---- */

/* What may be resident if `wanted` bytes are to be kept free, `least` of the budget or more. */
static uint64_t with_headroom(const struct tn_step *step, uint64_t wanted, uint64_t least)
{
    return step->limit - tn_max(tn_min(wanted, HEADROOM_MAX(step->limit)), least);
}

/* Where dropping starts. */
static uint64_t target_of(const struct tn_step *step)
{
    return with_headroom(step, tn_max(step->budget->rate * REACTION_MS, step->wanted),
                         HEADROOM_MIN(step->limit));
}

/* Learns from `grown` bytes since the last look. A higher rate counts at once. */
static void note_rate(struct tn_budget *budget, uint64_t grown, uint64_t now_ns)
{
    const uint64_t since_ns = now_ns - budget->rate_ns;
    if (now_ns < budget->rate_ns || since_ns >= RATE_FADE_NS)
        budget->rate /= 2;
    else if (since_ns < RATE_MIN_NS)
        return;
    else
        budget->rate -= budget->rate * since_ns / (UINT64_C(2) * RATE_FADE_NS);
    budget->rate_ns = now_ns;
    if (since_ns < RATE_FADE_NS)
        budget->rate = tn_max(budget->rate, grown / (since_ns / NS_PER_MS));
}

/* Resident bytes of the file, counted anew if pages can have come since. */
static uint64_t resident_now(struct tn_step *step, uint64_t now_ns)
{
    struct tn_budget *budget = step->budget;
    struct tn_os_usage usage;
    tn_os_usage(&usage);
    const uint64_t faults = usage.minor_faults + usage.major_faults;
    const uint64_t known = atomic_load_explicit(&budget->resident, memory_order_relaxed);
    if (faults != 0 && faults == budget->faults && known <= target_of(step))
        return known;
    budget->faults = faults;
    const uint64_t resident = tn_evict_resident(step);
    atomic_store_explicit(&budget->resident, resident, memory_order_relaxed);
    note_rate(budget, resident - tn_min(known, resident), now_ns);
    return resident;
}

/* Sets the brake, or lets it go once what is over has gone. */
static void brake(struct tn_step *step, uint64_t resident)
{
    const uint64_t most =
        with_headroom(step, step->budget->rate * BRAKE_MS, BRAKE_MIN(step->limit));
    const bool wanted = resident > (step->budget->braked ? tn_min(most, target_of(step)) : most);
    if (wanted == step->budget->braked || step->limit < WHOLE_FROM ||
        tn_os_features()->thp == TN_OS_THP_NEVER)
        return; /* they come one by one anyway */
    tn_space_pause_huge(step->space, wanted);
    step->budget->braked = wanted;
}

static uint64_t step_once(struct tn_step *step, uint64_t now_ns)
{
    uint64_t resident = resident_now(step, now_ns);
    brake(step, resident);
    const uint64_t target = target_of(step);
    if (resident > target) {
        /* What nobody uses goes first, and need not be written out. */
        uint64_t gone = tn_pool_shed(step->space, resident - target);
        if (gone < resident - target)
            gone += tn_evict(step, resident - target - gone);
        resident -= tn_min(gone, resident);
        atomic_store_explicit(&step->budget->resident, resident, memory_order_relaxed);
        if (resident > target)
            return now_ns + (gone > 0 ? 1 : INTERVAL_STUCK_NS);
    } else if (resident > target - PREPARE_SHARE(step->limit)) {
        tn_evict_prepare(step);
    }
    if (step->outs == 0)
        return now_ns + 1;
    const uint64_t room_ns = (step->limit - resident) / 2 / FILL_RATE;
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

static uint64_t make_step(struct terrane_space *space, uint64_t now_ns, size_t wanted)
{
    struct tn_budget *budget = budget_of(space);
    const size_t limit = tn_budget_bytes(space);
    if (limit == 0 || space->foreign)
        return 0;
    if (atomic_exchange_explicit(&budget->stepping, 1, memory_order_acquire) != 0)
        return now_ns + INTERVAL_MIN_NS;
    struct tn_step step = {.space = space,
                           .budget = budget,
                           .limit = limit,
                           .wanted = wanted,
                           .end = used_pieces(space),
                           .visits = STEP_VISITS,
                           .outs = STEP_OUTS};
    const uint64_t next_ns = step_once(&step, now_ns);
    atomic_store_explicit(&budget->due_ns, next_ns, memory_order_relaxed);
    atomic_store_explicit(&budget->stepping, 0, memory_order_release);
    return next_ns;
}

uint64_t tn_budget_step(struct terrane_space *space, uint64_t now_ns)
{
    return make_step(space, now_ns, 0);
}

void tn_budget_admit(struct terrane_space *space, size_t bytes)
{
    const struct tn_budget *budget = budget_of(space);
    const size_t limit = tn_budget_bytes(space);
    if (limit == 0)
        return;
    const size_t wanted = tn_min(bytes, HEADROOM_MAX(limit));
    const uint64_t start_ns = tn_os_clock_ns();
    uint64_t next_ns = atomic_load_explicit(&budget->due_ns, memory_order_relaxed);
    for (uint64_t now_ns = start_ns; now_ns - start_ns < ADMIT_NS; now_ns = tn_os_clock_ns()) {
        const uint64_t resident = atomic_load_explicit(&budget->resident, memory_order_relaxed);
        if (resident + wanted <= limit && now_ns < next_ns)
            return;
        next_ns = make_step(space, now_ns, wanted);
        if (next_ns == 0 || next_ns >= now_ns + INTERVAL_STUCK_NS)
            return; /* there is no budget any more, or room, or nothing can be done about it */
        tn_os_wait_for(&budget->stepping, 1, INTERVAL_MIN_NS); /* for the thread that steps */
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

/* A file whose pages cannot be dropped is found out after so many tries, and so long. */
#define PROBE_TRIES    20
#define PROBE_PAUSE_NS 2000000u

/* Writes a page of the file, at `offset` behind the window, and tries to drop it. -EAGAIN: it
 * stayed, perhaps because somebody else, the kernel or another thread that probes, had it in hand.
 */
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
        error = -EAGAIN;
    return error;
}

/* Whether pages of the space's file can be dropped at all: 0 or why not. */
static int probe_drop(const struct terrane_space *space)
{
    const size_t bytes = tn_os_page_bytes();
    const uint64_t offset = (uint64_t)space->block_count << TN_BLOCK_SHIFT;
    const _Atomic uint32_t nobody = 0; /* wakes it */
    void *page;
    int error = tn_os_allocate(bytes, &page);
    if (error != 0)
        return error;
    error = tn_os_file_resize(space->fd, offset + bytes);
    if (error == 0)
        error = try_drop(space, page, offset);
    for (unsigned tries = 1; error == -EAGAIN && tries < PROBE_TRIES; tries++) {
        tn_os_wait_for(&nobody, 0, PROBE_PAUSE_NS);
        error = try_drop(space, page, offset);
    }
    (void)tn_os_release(page, bytes);
    (void)tn_os_file_punch(space->fd, offset, bytes);
    if (error == -EAGAIN)
        return -ENOTSUP;
    return error == -EFBIG ? -ENOSPC : error;
}

static void budget_release(struct terrane_space *space)
{
    struct tn_budget *budget = budget_of(space);
    (void)tn_os_release(budget, budget->map_bytes);
}

/* Makes the budget known; whoever comes second uses the first one's. */
static void publish(struct terrane_space *space, struct tn_budget *mine)
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
}

static int create(struct terrane_space *space)
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
    publish(space, mine);
    return 0;
}

int tn_budget_prepare(struct terrane_space *space)
{
    if (space->backing != TERRANE_BACKING_SCRATCH || space->foreign)
        return -EINVAL;
    return budget_of(space) != NULL ? 0 : create(space);
}

void tn_budget_set(struct terrane_space *space, size_t bytes)
{
    struct tn_budget *budget = budget_of(space);
    if (budget == NULL)
        return;
    atomic_store_explicit(&space->whole_pieces,
                          bytes >= WHOLE_FROM && tn_os_features()->thp != TN_OS_THP_NEVER,
                          memory_order_relaxed);
    atomic_store_explicit(&budget->due_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&budget->limit_bytes, bytes, memory_order_relaxed);
}

int terrane_pool_set_resident_budget(struct terrane_space *space, size_t bytes)
{
    if (space == NULL)
        return -EINVAL; /* the default space is private */
    int error = tn_budget_prepare(space);
    if (error == 0 && bytes != 0)
        error = terrane_worker_start();
    if (error != 0)
        return error;
    tn_budget_set(space, bytes);
    tn_worker_need(); /* it may be at rest */
    return 0;
}

size_t tn_budget_bytes(const struct terrane_space *space)
{
    const struct tn_budget *budget = budget_of(space);
    return budget == NULL ? 0 : atomic_load_explicit(&budget->limit_bytes, memory_order_relaxed);
}
