/* Which space an address lies in: one table of bytes, indexed by gibibyte; and who looks at a space
 * that is not his. Private to this floor. */
#ifndef TN_REGISTRY_H
#define TN_REGISTRY_H

#include "space/space.h"

/* Registers a space and sets its id. -EAGAIN: too many spaces. */
int tn_registry_add(struct terrane_space *space);

/* Takes it out, and waits until its visitors have left. */
void tn_registry_remove(struct terrane_space *space);

/* Guards the registry; rank TN_RANK_REGISTRY. */
extern struct tn_lock tn_registry_lock;

/* Held while the default space is made (space.c); rank TN_RANK_DEFAULT. */
extern struct tn_lock tn_default_lock;

/* fork, under the registry's lock: takes and releases the locks of all spaces. Then, in the child:
 * visitors are gone, and shared spaces become foreign. */
void tn_registry_fork_prepare(void);
void tn_registry_fork_parent(void);
void tn_registry_fork_child(void);

#endif
