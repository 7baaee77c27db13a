/* Registry of spaces; see registry.h.
 *
 * Windows are aligned to 1 GiB where addresses allow, so a byte for each GiB of the address space
 * (256 KiB of zero pages for 48 bits, one page of it touched as a rule) answers in one load. Where
 * a small window shares its gibibyte with another, the byte says so and the few spaces are
 * searched. Readers take no lock: a pointer that somebody may free lies in a space that somebody
 * keeps alive. */
#include "space/registry.h"

#include "base/base.h"

#include "os/os.h"

#include <errno.h>

#define GIB_SHIFT    30
#define ADDRESS_BITS 48
#define SLOTS        ((size_t)1 << (ADDRESS_BITS - GIB_SHIFT))

/* A slot: 0 no space, SEARCH several spaces or half-covered, else 1 + the id. */
#define SEARCH 255

_Static_assert(TN_SPACES_MAX + 1 < SEARCH, "ids fit a slot beside the two marks");

struct tn_lock tn_registry_lock = TN_LOCK_INIT(TN_RANK_REGISTRY);

/* Written under the lock with release, read with acquire. */
static _Atomic uint8_t slots[SLOTS];
static struct terrane_space *_Atomic spaces[TN_SPACES_MAX];

/* Where each space's blocks are: number of the first in the address space, their count; 0: nowhere.
 * In one word, and not in the space: who searches for his own looks at others', which may be
 * destroyed meanwhile. */
static _Atomic uint64_t windows[TN_SPACES_MAX];

#define WINDOW_COUNT_BITS 32

_Static_assert(ADDRESS_BITS - TN_BLOCK_SHIFT + WINDOW_COUNT_BITS <= 64, "both numbers fit a word");

/* Visitors of each space. Written under the lock; who destroys a space sleeps on its word, and an
 * id is not given out again before he has woken: else he might find the next one's visitors. */
static _Atomic uint32_t visitors[TN_SPACES_MAX];

/* Beside their number: somebody destroys the space. */
#define ENDING ((uint32_t)1 << 31)

static size_t first_slot(const struct terrane_space *space)
{
    return (uintptr_t)space->base >> GIB_SHIFT;
}

static size_t last_slot(const struct terrane_space *space)
{
    return ((uintptr_t)tn_block_addr(space, space->block_count) - 1) >> GIB_SHIFT;
}

/* Whether the window is all of its slots; then no other can share them. */
static bool covers_slots(const struct terrane_space *space)
{
    const uintptr_t start = (uintptr_t)space->base;
    const uintptr_t end = (uintptr_t)tn_block_addr(space, space->block_count);
    return ((start | end) & (TN_GIB - 1)) == 0;
}

static void mark(const struct terrane_space *space, uint8_t value)
{
    for (size_t slot = first_slot(space); slot <= last_slot(space) && slot < SLOTS; slot++)
        /* release; pairs with the acquire in tn_space_of */
        atomic_store_explicit(&slots[slot], value, memory_order_release);
}

static void set_window(uint32_t id, uint64_t window)
{
    /* release; pairs with the acquire in holds */
    atomic_store_explicit(&windows[id], window, memory_order_release);
}

static uint64_t window_of(const struct terrane_space *space)
{
    const uint64_t first = (uintptr_t)space->base >> TN_BLOCK_SHIFT;
    return first << WINDOW_COUNT_BITS | space->block_count;
}

/* With the mark, if the space ends. */
static uint32_t visitors_of(uint32_t id)
{
    /* acquire; pairs with the releases in tn_space_leave and tn_registry_remove */
    return atomic_load_explicit(&visitors[id], memory_order_acquire);
}

int tn_registry_add(struct terrane_space *space)
{
    int error = -EAGAIN;
    tn_lock_acquire(&tn_registry_lock);
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        if (tn_space_at(id) != NULL || visitors_of(id) != 0)
            continue;
        space->id = id;
        /* release; pairs with the acquire in tn_space_at */
        atomic_store_explicit(&spaces[id], space, memory_order_release);
        set_window(id, window_of(space));
        mark(space, covers_slots(space) ? (uint8_t)(id + 1) : SEARCH);
        error = 0;
        break;
    }
    tn_lock_release(&tn_registry_lock);
    return error;
}

void tn_registry_remove(struct terrane_space *space)
{
    tn_lock_acquire(&tn_registry_lock);
    /* Shared slots stay on SEARCH, which finds nothing of this space any more. */
    if (covers_slots(space))
        mark(space, 0);
    set_window(space->id, 0);
    atomic_store_explicit(&spaces[space->id], NULL, memory_order_release);
    atomic_fetch_or_explicit(&visitors[space->id], ENDING, memory_order_relaxed);
    tn_lock_release(&tn_registry_lock);
    for (uint32_t count; ((count = visitors_of(space->id)) & ~ENDING) != 0;)
        tn_os_wait(&visitors[space->id], count);
    /* release; pairs with the acquire in visitors_of, by who gives the id out */
    atomic_store_explicit(&visitors[space->id], 0, memory_order_release);
}

struct terrane_space *tn_space_visit(uint32_t id)
{
    tn_lock_acquire(&tn_registry_lock);
    struct terrane_space *space = tn_space_at(id);
    if (space != NULL) /* relaxed: the lock orders it */
        atomic_fetch_add_explicit(&visitors[id], 1, memory_order_relaxed);
    tn_lock_release(&tn_registry_lock);
    return space;
}

void tn_space_leave(uint32_t id)
{
    tn_lock_acquire(&tn_registry_lock);
    /* A handler of a signal may have forked in the middle of this very visit: then nobody counts it
     * in the child. Release; pairs with the acquire in visitors_of: what the visitor did comes
     * before the end. */
    if ((visitors_of(id) & ~ENDING) != 0)
        atomic_fetch_sub_explicit(&visitors[id], 1, memory_order_release);
    const bool awaited = (visitors_of(id) & ENDING) != 0;
    tn_lock_release(&tn_registry_lock);
    if (awaited)
        tn_os_wake_all(&visitors[id]);
}

bool tn_space_publish(void *_Atomic *pointer, void *thing, tn_space_end **end, tn_space_end *by)
{
    tn_lock_acquire(&tn_registry_lock);
    /* relaxed: written under the lock only */
    const bool first = atomic_load_explicit(pointer, memory_order_relaxed) == NULL;
    if (first) {
        *end = by;
        /* release; pairs with the acquire of its readers */
        atomic_store_explicit(pointer, thing, memory_order_release);
    }
    tn_lock_release(&tn_registry_lock);
    return first;
}

struct terrane_space *tn_space_at(uint32_t id)
{
    /* acquire; pairs with the release in tn_registry_add */
    return atomic_load_explicit(&spaces[id], memory_order_acquire);
}

/* Whether the pointer lies in the space with this id. If so, somebody keeps it alive. */
static bool holds(uint32_t id, const void *pointer)
{
    /* acquire; pairs with the release in set_window */
    const uint64_t window = atomic_load_explicit(&windows[id], memory_order_acquire);
    const uint64_t block = (uintptr_t)pointer >> TN_BLOCK_SHIFT;
    return block - (window >> WINDOW_COUNT_BITS) < (uint32_t)window;
}

struct terrane_space *tn_space_of(const void *pointer)
{
    const size_t slot = (uintptr_t)pointer >> GIB_SHIFT;
    /* acquire; pairs with the release in mark */
    const uint8_t value =
        slot < SLOTS ? atomic_load_explicit(&slots[slot], memory_order_acquire) : SEARCH;
    if (value == 0)
        return NULL;
    if (value != SEARCH)
        return holds(value - 1u, pointer) ? tn_space_at(value - 1u) : NULL;
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        if (holds(id, pointer))
            return tn_space_at(id);
    }
    return NULL;
}

/* ---- fork ---- */

void tn_registry_fork_prepare(void)
{
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        if (tn_space_at(id) != NULL)
            tn_lock_fork_take(&tn_space_at(id)->lock);
    }
}

void tn_registry_fork_parent(void)
{
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        if (tn_space_at(id) != NULL)
            tn_lock_fork_give(&tn_space_at(id)->lock);
    }
}

/* The parent goes on with the file and its own tables, so ours are worth nothing from now on but to
 * find what is in use. Pages of a scratch file are not for us to keep in memory: the window becomes
 * bare addresses, which stay ours. Where the kernel refuses that, it still shows the file. */
static void become_foreign(struct terrane_space *space)
{
    space->foreign = true;
    if (tn_space_is_gone(space))
        (void)tn_os_vacate(space->base, (size_t)space->block_count << TN_BLOCK_SHIFT);
}

void tn_registry_fork_child(void)
{
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        struct terrane_space *space = tn_space_at(id);
        /* relaxed: the only thread */
        atomic_store_explicit(&visitors[id], 0, memory_order_relaxed);
        if (space != NULL && space->backing != TERRANE_BACKING_PRIVATE)
            become_foreign(space);
    }
}
