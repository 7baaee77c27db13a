/* The verbs on the pages of runs: checks and counts here, the work in the backings. */
#include "base/base.h"
#include "os/os.h"
#include "space/extents.h"

#include <errno.h>

#define GUARD_MAPPINGS 2

int tn_space_commit(struct terrane_space *space, char *addr, size_t bytes)
{
    tn_count(space, TN_COUNT_COMMITS, 1);
    return space->verbs->commit(space, addr, bytes);
}

int tn_space_discard(struct terrane_space *space, void *addr, size_t bytes)
{
    if (space->foreign)
        return -EPERM;
    const int error = space->verbs->discard(space, addr, bytes);
    if (error == 0) {
        tn_count(space, TN_COUNT_DISCARDS, 1);
        tn_count(space, TN_COUNT_DISCARD_BYTES, bytes);
    }
    return error;
}

void tn_space_retire(struct terrane_space *space, uint32_t block, unsigned order)
{
    tn_count(space, TN_COUNT_DISCARDS, 1);
    tn_count(space, TN_COUNT_DISCARD_BYTES, tn_bytes_of_order(order));
    space->verbs->retire(space, block, order);
}

void tn_space_stick(struct terrane_space *space, uint32_t block)
{
    space->buddy.nodes[block].next = space->stuck;
    space->stuck = block + 1;
}

void tn_space_retry(struct terrane_space *space)
{
    tn_lock_acquire(&space->lock);
    uint32_t at = space->stuck;
    space->stuck = 0;
    tn_lock_release(&space->lock);
    while (at != 0) {
        const uint32_t block = at - 1;
        at = space->buddy.nodes[block].next; /* read before the run may be stuck again */
        space->verbs->retire(space, block, (unsigned)tn_buddy_order(&space->buddy, block));
    }
}

int tn_space_move(struct terrane_space *from_space, char *from, struct terrane_space *to_space,
                  char *to, size_t bytes)
{
    if (from_space->verbs != to_space->verbs || !tn_os_features()->move_keep)
        return -ENOTSUP;
    const int error = to_space->verbs->move(from_space, from, to_space, to, bytes);
    if (error == 0) {
        tn_count(to_space, TN_COUNT_MOVES, 1);
        tn_count(to_space, TN_COUNT_MOVE_BYTES, bytes);
    }
    return error;
}

int tn_space_exchange(struct terrane_space *space, char *a, char *b, size_t bytes)
{
    if (!tn_os_features()->move_keep)
        return -ENOTSUP;
    const int error = space->verbs->exchange(space, a, b, bytes);
    if (error == 0) {
        tn_count(space, TN_COUNT_MOVES, 2);
        tn_count(space, TN_COUNT_MOVE_BYTES, 2 * bytes);
    }
    return error;
}

int tn_space_alias(struct terrane_space *space, char *from, char *to, size_t bytes)
{
    const int error = space->verbs->alias(space, from, to, bytes);
    if (error == 0) {
        tn_count(space, TN_COUNT_ALIASES, 1);
        tn_count(space, TN_COUNT_ALIAS_BYTES, bytes);
    }
    return error;
}

int tn_space_replace(struct terrane_space *space, char *from, char *to, size_t bytes)
{
    return space->verbs->alias(space, from, to, bytes);
}

size_t tn_space_exclusive_bytes(struct terrane_space *space, const char *addr, size_t bytes,
                                bool *exclusive)
{
    *exclusive = true;
    if (space->backing == TERRANE_BACKING_PRIVATE || bytes == 0)
        return bytes;
    tn_lock_acquire(&space->lock);
    const struct tn_stretch stretch = tn_extents_stretch(space, addr, bytes, true);
    tn_lock_release(&space->lock);
    *exclusive = stretch.exclusive;
    return stretch.bytes;
}

bool tn_space_exclusive(struct terrane_space *space, const char *addr, size_t bytes)
{
    if (space->backing == TERRANE_BACKING_PRIVATE || bytes == 0)
        return true;
    const uint32_t first = tn_block_of(space, addr);
    const struct tn_block_range blocks = {first, tn_block_of(space, addr + bytes - 1) + 1 - first};
    tn_lock_acquire(&space->lock);
    const bool exclusive = tn_extents_exclusive(space, blocks);
    tn_lock_release(&space->lock);
    return exclusive;
}

/* First block of the used run that `block` lies in. */
static uint32_t start_of_run(const struct terrane_space *space, uint32_t block)
{
    uint32_t start = block;
    for (unsigned order = 0;
         order < TN_ORDER_MAX && tn_buddy_order(&space->buddy, start) < (int)order; order++)
        start = block & ~(uint32_t)(tn_bytes_of_order(order + 1) / TN_BLOCK_BYTES - 1);
    return start;
}

void tn_run_note(struct terrane_space *space, uint32_t block, uint8_t flag, unsigned mappings)
{
    struct tn_node *node = &space->buddy.nodes[start_of_run(space, block)];
    /* relaxed; pairs with tn_run_flags */
    __atomic_store_n(&node->flags, (uint8_t)(node->flags | flag), __ATOMIC_RELAXED);
    if (mappings <= (unsigned)(UINT8_MAX - node->extra))
        node->extra = (uint8_t)(node->extra + mappings);
    else /* so many pieces are more than a run can have: it was changed in the same place again */
        tn_mappings_give(space, mappings);
}

static void note_special(struct terrane_space *space, uint32_t run, unsigned mappings)
{
    tn_lock_acquire(&space->lock);
    tn_run_note(space, run, TN_RUN_REMAPPED, mappings);
    tn_lock_release(&space->lock);
}

int tn_space_protect(struct terrane_space *space, uint32_t run, void *addr, size_t bytes,
                     bool readable, bool writable)
{
    const enum tn_os_access access = writable ? TN_OS_WRITE : readable ? TN_OS_READ : TN_OS_NONE;
    if (!tn_mappings_take(space, GUARD_MAPPINGS))
        return -ENOMEM;
    const int error = tn_os_protect(addr, bytes, access);
    if (error != 0)
        tn_mappings_give(space, GUARD_MAPPINGS);
    else
        note_special(space, run, GUARD_MAPPINGS);
    return error;
}

int tn_space_guard(struct terrane_space *space, uint32_t run, void *addr, size_t bytes)
{
    if (tn_os_features()->guard && space->backing == TERRANE_BACKING_PRIVATE) {
        const int error = tn_os_guard(addr, bytes);
        if (error == 0)
            note_special(space, run, 0);
        if (error != -ENOTSUP)
            return error;
    }
    return tn_space_protect(space, run, addr, bytes, false, false);
}

/* ---- huge pages ---- */

static bool unit_is_huge(const struct terrane_space *space, size_t unit)
{
    return (space->huge_units[unit / 64] >> (unit % 64) & 1) != 0;
}

/* Sets the advice bit of units [first, last) and returns by how much the number of places rose
 * where neighbouring units differ: each costs a mapping. Locked. */
static int mark_units(struct terrane_space *space, size_t first, size_t last, bool huge)
{
    int change = 0;
    for (size_t unit = first; unit < last; unit++) {
        const bool was = unit_is_huge(space, unit);
        if (was == huge)
            continue;
        const bool before = unit > 0 && unit_is_huge(space, unit - 1);
        const bool behind = unit_is_huge(space, unit + 1);
        change += (before != huge) - (before != was) + (behind != huge) - (behind != was);
        space->huge_units[unit / 64] ^= (uint64_t)1 << (unit % 64);
    }
    return change;
}

static void count_change(struct terrane_space *space, int change)
{
    tn_count(space, TN_COUNT_MAPPINGS, (uint64_t)(int64_t)change); /* wraps downwards */
}

void tn_space_forget_huge(struct terrane_space *space, char *addr, size_t bytes)
{
    const size_t offset = tn_offset_of(space, addr);
    const size_t first = tn_round_up(offset, TN_HUGE_BYTES) >> TN_HUGE_SHIFT;
    const size_t last = (offset + bytes) >> TN_HUGE_SHIFT;
    if (first < last)
        count_change(space, mark_units(space, first, last, false));
}

void tn_space_forget_clean(struct terrane_space *space, uint32_t block, uint32_t count)
{
    const size_t last = (((size_t)block + count - 1) >> TN_HUGE_ORDER) + 1;
    for (size_t unit = block >> TN_HUGE_ORDER; unit < last; unit++) {
        if (unit_is_huge(space, unit) &&
            tn_buddy_is_clean(&space->buddy, (uint32_t)unit << TN_HUGE_ORDER, TN_HUGE_ORDER))
            count_change(space, mark_units(space, unit, unit + 1, false));
    }
}

/* Makes [first, last) the part of it from its first advised unit to behind its last one. Locked. */
static void narrow_to_advised(const struct terrane_space *space, size_t *first, size_t *last)
{
    while (*first < *last && !unit_is_huge(space, *first))
        *first += space->huge_units[*first / 64] == 0 ? 64 - *first % 64 : 1;
    *first = tn_min(*first, *last);
    while (*last > *first && !unit_is_huge(space, *last - 1))
        *last -= space->huge_units[(*last - 1) / 64] == 0 ? (*last - 1) % 64 + 1 : 1;
    *last = tn_max(*first, *last);
}

/* First unit of [first, last) that is not advised yet. An object that grows in small steps asks for
 * the same units again and again. */
static size_t skip_advised(struct terrane_space *space, size_t first, size_t last)
{
    tn_lock_acquire(&space->lock);
    if (unit_is_huge(space, last - 1) && unit_is_huge(space, first))
        first = last; /* the advice grows from the start of a run */
    while (first < last && unit_is_huge(space, first))
        first++;
    tn_lock_release(&space->lock);
    return first;
}

/* Of scratch files the file system decides on the size of what it caches; but with a resident
 * budget it is asked for 2 MiB at a time, which come and go at a third of the cost. */
static bool has_huge(const struct terrane_space *space)
{
    switch (space->backing) {
    case TERRANE_BACKING_PRIVATE:
        return tn_os_features()->thp != TN_OS_THP_NEVER;
    case TERRANE_BACKING_MEMFD:
        return tn_os_features()->thp_shared != TN_OS_THP_NEVER &&
               space->page_bytes == tn_os_page_bytes();
    case TERRANE_BACKING_SCRATCH:
        return atomic_load_explicit(&space->whole_pieces, memory_order_relaxed);
    }
    return false;
}

void tn_space_advise_huge(struct terrane_space *space, char *addr, size_t bytes)
{
    if (!has_huge(space))
        return;
    const size_t offset = tn_offset_of(space, addr);
    const size_t last = (offset + bytes) >> TN_HUGE_SHIFT;
    size_t first = tn_round_up(offset, TN_HUGE_BYTES) >> TN_HUGE_SHIFT;
    if (first < last)
        first = skip_advised(space, first, last);
    if (first >= last || !tn_mappings_take(space, GUARD_MAPPINGS))
        return;
    tn_mappings_give(space, GUARD_MAPPINGS); /* there is room; the exact change is counted below */
    char *start = space->base + (first << TN_HUGE_SHIFT);
    if (!atomic_load_explicit(&space->whole_paused, memory_order_relaxed) &&
        tn_os_advise_huge(start, (last - first) << TN_HUGE_SHIFT, true) != 0)
        return;
    tn_lock_acquire(&space->lock);
    count_change(space, mark_units(space, first, last, true));
    tn_lock_release(&space->lock);
}

bool tn_space_any_huge(struct terrane_space *space, char *addr, size_t bytes)
{
    const size_t offset = tn_offset_of(space, addr);
    size_t first = offset >> TN_HUGE_SHIFT;
    size_t last = (offset + bytes + TN_HUGE_BYTES - 1) >> TN_HUGE_SHIFT;
    if (!has_huge(space))
        return false;
    tn_lock_acquire(&space->lock);
    narrow_to_advised(space, &first, &last);
    tn_lock_release(&space->lock);
    return first < last;
}

/* A run this large may have its last, partly used 2 MiB as a huge page too: at most 5 % more. */
#define HUGE_TAIL_FROM (40 * TN_MIB)

void tn_space_want_huge(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes)
{
    if (bytes < TN_HUGE_BYTES)
        return;
    size_t wanted = tn_round_down(bytes, TN_HUGE_BYTES);
    /* Of a file no byte more than there is room for; and what was moved shows others' extents. */
    if (space->backing == TERRANE_BACKING_SCRATCH && tn_run_flags(&space->buddy.nodes[block]) != 0)
        return;
    if (bytes >= HUGE_TAIL_FROM && space->backing != TERRANE_BACKING_SCRATCH)
        wanted = tn_min(tn_round_up(bytes + bytes / 32, TN_HUGE_BYTES), tn_bytes_of_order(order));
    tn_space_advise_huge(space, tn_block_addr(space, block), wanted);
}

void tn_space_cool(struct terrane_space *space, char *addr, size_t bytes)
{
    if (space->backing == TERRANE_BACKING_PRIVATE)
        tn_os_cool(addr, bytes);
}

void tn_space_unwant_huge(struct terrane_space *space, char *addr, size_t bytes)
{
    const size_t offset = tn_offset_of(space, addr);
    size_t first = offset >> TN_HUGE_SHIFT;
    size_t last = (offset + bytes + TN_HUGE_BYTES - 1) >> TN_HUGE_SHIFT;
    tn_lock_acquire(&space->lock);
    narrow_to_advised(space, &first, &last);
    tn_lock_release(&space->lock);
    if (first == last || tn_os_advise_huge(space->base + (first << TN_HUGE_SHIFT),
                                           (last - first) << TN_HUGE_SHIFT, false) != 0)
        return;
    tn_lock_acquire(&space->lock);
    count_change(space, mark_units(space, first, last, false));
    tn_lock_release(&space->lock);
}

/* The next units from *first on that are advised; false if there are none. */
static bool next_advised(struct terrane_space *space, size_t *first, size_t *last)
{
    tn_lock_acquire(&space->lock);
    *last = (space->buddy.frontier >> TN_HUGE_ORDER) + 1;
    narrow_to_advised(space, first, last);
    size_t end = *first;
    while (end < *last && unit_is_huge(space, end))
        end++;
    *last = end;
    tn_lock_release(&space->lock);
    return *first < *last;
}

/* Whoever unwants a unit meanwhile says so to the kernel before or after we do: then again. */
static void advise_still_wanted(struct terrane_space *space, size_t first, size_t last)
{
    char *start = space->base + (first << TN_HUGE_SHIFT);
    if (tn_os_advise_huge(start, (last - first) << TN_HUGE_SHIFT, true) != 0)
        return;
    for (; first < last; first++) {
        tn_lock_acquire(&space->lock);
        const bool wanted = unit_is_huge(space, first);
        tn_lock_release(&space->lock);
        if (!wanted)
            (void)tn_os_advise_huge(space->base + (first << TN_HUGE_SHIFT), TN_HUGE_BYTES, false);
    }
}

void tn_space_pause_huge(struct terrane_space *space, bool paused)
{
    size_t first = 0, last;
    atomic_store_explicit(&space->whole_paused, paused, memory_order_relaxed);
    while (next_advised(space, &first, &last)) {
        if (paused)
            (void)tn_os_advise_huge(space->base + (first << TN_HUGE_SHIFT),
                                    (last - first) << TN_HUGE_SHIFT, false);
        else
            advise_still_wanted(space, first, last);
        first = last;
    }
}
