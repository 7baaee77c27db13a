/* The pool's observer; see observer.h. */
#include "pool/observer.h"

void (*_Atomic tn_pool_observer)(uint64_t now_ns);
