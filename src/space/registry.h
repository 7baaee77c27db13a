/* Which space an address lies in: one table of bytes, indexed by gibibyte. Private to this floor.
 */
#ifndef TN_REGISTRY_H
#define TN_REGISTRY_H

#include "space/space.h"

/* Registers a space and sets its id. -EAGAIN: too many spaces. */
int tn_registry_add(struct terrane_space *space);

void tn_registry_remove(struct terrane_space *space);

#endif
