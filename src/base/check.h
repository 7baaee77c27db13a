/* Three levels of assertions.
 *
 * tn_check    always on, cheap: pointers from outside, data read from files
 * tn_assert   debug and audit builds (TN_DEBUG)
 * tn_audit    whole-structure walks, audit builds only (TN_AUDIT)
 *
 * None is ever turned into an optimizer assumption. */
#ifndef TN_CHECK_H
#define TN_CHECK_H

#include "base/message.h"

#define tn_check(condition)                                                                        \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            tn_die("broken invariant: %s (%s:%d)", #condition, __FILE__, __LINE__);                \
    } while (0)

#ifdef TN_DEBUG
#define tn_assert(condition) tn_check(condition)
#else
#define tn_assert(condition) ((void)sizeof(!(condition)))
#endif

#ifdef TN_AUDIT
#define tn_audit(call) (call)
#else
#define tn_audit(call) ((void)0)
#endif

#endif
