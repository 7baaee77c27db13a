/* Publishing: keeps the process's stat page (stat_page.h) up to date.
 *
 * The page is refreshed at most every 5 ms, by whichever thread comes along: the pool's slow
 * paths and its worker call tn_publish_refresh through tn_pool_observer, and so do the samples of a
 * watched process. A thread that finds another one at it goes on.
 *
 * fork: the page stays the parent's. The child never writes into it: every refresh compares the
 * page's process with the caller's, also where no fork handler told us, and after vfork. A child of
 * the drop-in malloc publishes anew if the page lies in a directory (tn_publish_fork_child); any
 * other child publishes nothing until it says so itself, and its first call of terrane_stats_ lets
 * go what it has inherited. */
#ifndef TN_PUBLISH_H
#define TN_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this process publishes. */
bool tn_publish_active(void);

/* Takes a snapshot if the last is 5 ms old; `now_ns` is tn_os_clock_ns. No lock of the library
 * may be held. Does nothing, at the cost of one load, while nothing is published. Keeps errno. */
void tn_publish_refresh(uint64_t now_ns);

/* In the child of fork, with one thread and no lock held. */
void tn_publish_fork_child(void);

#endif
