/* The handlers of fork; see atfork.h. */
#include "space/atfork.h"

#include "os/os.h"
#include "space/registry.h"

#include <stdatomic.h>

struct tn_lock tn_fork_lock = TN_LOCK_INIT(TN_RANK_FORK);

/* Written with release, read with acquire: a part is whole when it is seen. */
static const struct tn_atfork_part *_Atomic parts[TN_ATFORK_FLOORS];

/* The parts as they were when the locks were taken: what came later holds nothing. */
static const struct tn_atfork_part *taken[TN_ATFORK_FLOORS]; /* under the fork lock */

/* Whether the handlers are somebody's business. Relaxed: it orders nothing. */
static atomic_bool registered;

void tn_atfork_add(enum tn_atfork_floor floor, const struct tn_atfork_part *part)
{
    /* release; pairs with the acquire in tn_atfork_prepare */
    atomic_store_explicit(&parts[floor], part, memory_order_release);
}

void tn_atfork_claim(void)
{
    atomic_store_explicit(&registered, true, memory_order_relaxed);
}

void tn_atfork_need(void)
{
    if (atomic_load_explicit(&registered, memory_order_relaxed) ||
        atomic_exchange_explicit(&registered, true, memory_order_relaxed))
        return;
    if (tn_os_at_fork(tn_atfork_prepare, tn_atfork_parent, tn_atfork_child) != 0)
        atomic_store_explicit(&registered, false, memory_order_relaxed);
}

void tn_atfork_prepare(void)
{
    tn_lock_fork_take(&tn_fork_lock);
    tn_lock_fork_take(&tn_default_lock);
    tn_lock_fork_take(&tn_registry_lock);
    for (unsigned floor = 0; floor < TN_ATFORK_FLOORS; floor++) {
        /* acquire; pairs with the release in tn_atfork_add */
        taken[floor] = atomic_load_explicit(&parts[floor], memory_order_acquire);
        if (taken[floor] != NULL)
            taken[floor]->take();
    }
    tn_registry_fork_prepare();
}

static void give_all(void)
{
    tn_registry_fork_parent();
    for (unsigned floor = TN_ATFORK_FLOORS; floor-- > 0;) {
        if (taken[floor] != NULL)
            taken[floor]->give();
    }
    tn_lock_fork_give(&tn_registry_lock);
    tn_lock_fork_give(&tn_default_lock);
}

void tn_atfork_parent(void)
{
    give_all();
    tn_lock_fork_give(&tn_fork_lock);
}

/* The thread that forked is the only one here and holds the locks; sleepers are gone. */
void tn_atfork_child(void)
{
    give_all();
    tn_registry_fork_child();
    for (unsigned floor = 0; floor < TN_ATFORK_FLOORS; floor++) {
        if (taken[floor] != NULL && taken[floor]->child != NULL)
            taken[floor]->child();
    }
    tn_lock_fork_give(&tn_fork_lock);
}
