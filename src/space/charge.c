/* What is handed out, counted against the limits of the space and of the process.
 *
 * A space's count changes under its lock. The process's sum costs nothing until a limit is set:
 * then every space adds what it has handed out, and from there on each change. */
#include "base/base.h"
#include "space/space.h"

#include <errno.h>

/* The process's limit; SIZE_MAX: none. Relaxed: a limit that was set a moment ago may be missed. */
static _Atomic size_t process_limit = SIZE_MAX;

/* What the spaces that count have handed out. Relaxed: it orders nothing. */
static _Atomic uint64_t process_bytes;

static bool counts(struct terrane_space *space)
{
    if (TN_LIKELY(atomic_load_explicit(&process_limit, memory_order_relaxed) == SIZE_MAX))
        return space->process_counts;
    if (!space->process_counts) { /* made after the limit was set, or never visited */
        space->process_counts = true;
        atomic_fetch_add_explicit(&process_bytes, tn_counted(space, TN_COUNT_RUN_BYTES),
                                  memory_order_relaxed);
    }
    return true;
}

static int charge_process(size_t bytes)
{
    const uint64_t before = atomic_fetch_add_explicit(&process_bytes, bytes, memory_order_relaxed);
    if (before + bytes <= atomic_load_explicit(&process_limit, memory_order_relaxed))
        return 0;
    atomic_fetch_sub_explicit(&process_bytes, bytes, memory_order_relaxed);
    return -ENOMEM;
}

static void set(struct terrane_space *space, enum tn_counter which, uint64_t value)
{
    atomic_store_explicit(&space->counters[which], value, memory_order_relaxed);
}

static void add(struct terrane_space *space, size_t bytes)
{
    const uint64_t now = tn_counted(space, TN_COUNT_RUN_BYTES) + bytes;
    set(space, TN_COUNT_RUN_BYTES, now);
    if (now > tn_counted(space, TN_COUNT_RUN_BYTES_PEAK))
        set(space, TN_COUNT_RUN_BYTES_PEAK, now);
}

int tn_space_charge(struct terrane_space *space, size_t bytes)
{
    const uint64_t now = tn_counted(space, TN_COUNT_RUN_BYTES) + bytes;
    if (now > atomic_load_explicit(&space->limit_bytes, memory_order_relaxed))
        return -ENOMEM;
    if (counts(space) && charge_process(bytes) != 0)
        return -ENOMEM;
    add(space, bytes);
    return 0;
}

void tn_space_recharge(struct terrane_space *space, size_t bytes)
{
    if (counts(space))
        atomic_fetch_add_explicit(&process_bytes, bytes, memory_order_relaxed);
    add(space, bytes);
}

void tn_space_uncharge(struct terrane_space *space, size_t bytes)
{
    if (counts(space))
        atomic_fetch_sub_explicit(&process_bytes, bytes, memory_order_relaxed);
    set(space, TN_COUNT_RUN_BYTES, tn_counted(space, TN_COUNT_RUN_BYTES) - bytes);
}

void tn_space_forget_charges(const struct terrane_space *space)
{
    if (space->process_counts)
        atomic_fetch_sub_explicit(&process_bytes, tn_counted(space, TN_COUNT_RUN_BYTES),
                                  memory_order_relaxed);
}

bool tn_process_is_limited(void)
{
    return atomic_load_explicit(&process_limit, memory_order_relaxed) != SIZE_MAX;
}

bool tn_space_is_full(const struct terrane_space *space, size_t bytes)
{
    const size_t limit = atomic_load_explicit(&space->limit_bytes, memory_order_relaxed);
    const size_t most = atomic_load_explicit(&process_limit, memory_order_relaxed);
    return tn_counted(space, TN_COUNT_RUN_BYTES) + bytes > limit ||
           (most != SIZE_MAX &&
            atomic_load_explicit(&process_bytes, memory_order_relaxed) + bytes > most);
}

void tn_process_limit_set(size_t bytes)
{
    atomic_store_explicit(&process_limit, bytes, memory_order_relaxed);
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        struct terrane_space *space = tn_space_visit(id);
        if (space == NULL)
            continue;
        tn_lock_acquire(&space->lock);
        (void)counts(space);
        tn_lock_release(&space->lock);
        tn_space_leave(id);
    }
}
