/* The pool's part at fork: locks of regions, caches of threads that the child does not have, and
 * the worker, which starts again there when it is needed. */
#ifndef TN_POOL_FORK_H
#define TN_POOL_FORK_H

/* Makes sure that a fork is safe from now on. No lock may be held. */
void tn_fork_need(void);

#endif
