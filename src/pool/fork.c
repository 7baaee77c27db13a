/* The pool's part at fork; see fork.h and space/atfork.h. */
#include "pool/fork.h"

#include "pool/decay_worker.h"
#include "pool/regions.h"

static void child(void)
{
    tn_worker_fork_child();
    tn_regions_fork_child();
}

static const struct tn_atfork_part part = {
    .take = tn_regions_fork_prepare,
    .give = tn_regions_fork_parent,
    .child = child,
};

void tn_fork_need(void)
{
    tn_atfork_add(TN_ATFORK_REGIONS, &part);
    tn_atfork_need();
}
