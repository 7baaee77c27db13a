/* Private backing: the window is anonymous memory of this process.
 *
 * A window that the kernel let us make accessible in one piece is one mapping, and committing a run
 * costs nothing. Under strict overcommit (vm.overcommit_memory 2) runs are made accessible one by
 * one and inaccessible again when they are retired, so that only what is used is charged.
 *
 * Moving pages away and towards a run splits the window's mapping, because the kernel keeps the
 * origin of moved anonymous pages in their mapping. Retiring such a run maps it afresh, and the
 * fresh mapping merges with its neighbours. */
#include "base/base.h"
#include "os/os.h"
#include "space/space.h"

#include <errno.h>
#include <string.h>

/* Mappings that a moved or exchanged range may cost: it and the rest behind it. */
#define MOVE_MAPPINGS 2

static int private_commit(struct terrane_space *space, char *addr, size_t bytes)
{
    const size_t page = tn_os_page_bytes();
    if (!space->lazy_commit)
        return 0;
    const size_t before = (uintptr_t)addr & (page - 1);
    return tn_os_commit(addr - before, tn_round_up(bytes + before, page));
}

static int private_discard(struct terrane_space *space, char *addr, size_t bytes)
{
    (void)space;
    return tn_os_discard(addr, bytes);
}

/* Makes the run one fresh mapping like its neighbours: of zeros, or where the kernel counts what is
 * accessible, of bare addresses, because taking access away later would not uncount it. False if
 * the kernel refuses. */
static bool make_fresh(const struct terrane_space *space, char *addr, size_t bytes)
{
    const int error =
        space->lazy_commit ? tn_os_vacate(addr, bytes) : tn_os_map_private(addr, bytes);
    if (error == 0 && space->numa_node >= 0) /* else it would not merge */
        (void)tn_os_place(addr, bytes, (unsigned)space->numa_node);
    return error == 0;
}

/* Undoes guards and drops the pages without a change of mappings; false if pages may be left. */
static bool scrub(char *addr, size_t bytes, bool special)
{
    if (special && (tn_os_protect(addr, bytes, TN_OS_WRITE) != 0 ||
                    (tn_os_features()->guard && tn_os_unguard(addr, bytes) != 0)))
        return false;
    return tn_os_discard(addr, bytes) == 0;
}

static void private_retire(struct terrane_space *space, uint32_t block, unsigned order)
{
    struct tn_node *node = &space->buddy.nodes[block]; /* ours alone while the run is used */
    char *addr = tn_block_addr(space, block);
    const size_t bytes = tn_bytes_of_order(order);
    const bool special = node->flags != 0;
    const bool fresh = (special || order >= TN_HUGE_ORDER || space->lazy_commit ||
                        tn_space_any_huge(space, addr, bytes)) &&
                       make_fresh(space, addr, bytes);
    const bool file = (node->flags & TN_RUN_FILE) != 0;
    const bool zero = fresh || (!file && scrub(addr, bytes, special));
    const bool stuck = !fresh && (file || node->extra > 0); /* lest its mappings count for ever */
    tn_lock_acquire(&space->lock);
    if (fresh) {
        tn_mappings_give(space, node->extra);
        tn_space_forget_huge(space, addr, bytes);
    }
    if (stuck)
        tn_space_stick(space, block);
    else
        tn_space_put(space, block, order, zero ? TN_RUN_CLEAN : TN_RUN_DIRTY);
    tn_lock_release(&space->lock);
}

/* Moves, in parts where the source spans several mappings: all the rest, or half as much as was
 * tried last. Once something has moved there is no way back that could not fail too, so from then
 * on, or if it must not fail, a part that the kernel refuses is copied. */
static int move_parts(char *from, char *to, size_t bytes, bool may_fail)
{
    size_t part = bytes;
    while (bytes > 0) {
        const int error = tn_os_move(from, to, part);
        if (error == -EFAULT && part > tn_os_page_bytes()) {
            part = (size_t)1 << tn_highest_bit(part - 1);
            continue;
        }
        if (error == -ENOMEM) /* the target may be gone; if not, its contents are void anyway */
            (void)tn_os_map_private(to, part);
        if (error != 0 && may_fail)
            return error;
        if (error != 0)
            memcpy(to, from, part);
        may_fail = false;
        from += part;
        to += part;
        bytes -= part;
        part = bytes;
    }
    return 0;
}

static int private_move(struct terrane_space *from_space, char *from,
                        struct terrane_space *to_space, char *to, size_t bytes)
{
    if (!tn_mappings_take(to_space, MOVE_MAPPINGS))
        return -ENOMEM;
    int error = to_space->lazy_commit ? tn_os_commit(to, bytes) : 0;
    if (error == 0)
        error = move_parts(from, to, bytes, true);
    if (error != 0) {
        tn_mappings_give(to_space, MOVE_MAPPINGS);
        return error == -EFAULT ? -ENOTSUP : error;
    }
    tn_lock_acquire(&to_space->lock);
    tn_run_note(to_space, tn_block_of(to_space, to), TN_RUN_MOVED, MOVE_MAPPINGS);
    tn_space_forget_huge(to_space, to, bytes);
    tn_lock_release(&to_space->lock);
    (void)from_space; /* the source keeps its mapping, without pages */
    return 0;
}

/* Swaps through a third range, so that no page is ever without a place. */
static int exchange_through(char *spare, char *a, char *b, size_t bytes)
{
    int error = move_parts(a, spare, bytes, true);
    if (error != 0)
        return error;
    (void)move_parts(b, a, bytes, false);
    (void)move_parts(spare, b, bytes, false);
    return 0;
}

static int private_exchange(struct terrane_space *space, char *a, char *b, size_t bytes)
{
    void *spare;
    if (!tn_mappings_take(space, 2 * MOVE_MAPPINGS))
        return -ENOMEM;
    const size_t align = tn_min(tn_max(TN_HUGE_BYTES, (size_t)1 << tn_highest_bit(bytes)), TN_GIB);
    int error = tn_os_reserve(bytes, 0, align, &spare);
    if (error == 0) {
        error = tn_os_commit(spare, bytes);
        if (error == 0)
            error = exchange_through(spare, a, b, bytes);
        (void)tn_os_release(spare, bytes); /* refused at the limit: empty addresses are lost */
    }
    if (error != 0) {
        tn_mappings_give(space, 2 * MOVE_MAPPINGS);
        return error == -EFAULT ? -ENOTSUP : error;
    }
    tn_lock_acquire(&space->lock);
    tn_run_note(space, tn_block_of(space, a), TN_RUN_MOVED, MOVE_MAPPINGS);
    tn_run_note(space, tn_block_of(space, b), TN_RUN_MOVED, MOVE_MAPPINGS);
    tn_lock_release(&space->lock);
    return 0;
}

static int private_alias(struct terrane_space *space, char *from, char *to, size_t bytes)
{
    (void)space, (void)from, (void)to, (void)bytes;
    return -ENOTSUP;
}

const struct tn_backing_verbs tn_private_verbs = {
    .commit = private_commit,
    .discard = private_discard,
    .retire = private_retire,
    .move = private_move,
    .exchange = private_exchange,
    .alias = private_alias,
};
