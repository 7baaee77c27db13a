/* mlockall, which is no call of the malloc family but would ruin it.
 *
 * The window of a space is one writable mapping of a terabyte of which little is ever touched.
 * mlockall faults every page of every writable mapping in, and would not end before memory does. So
 * pages are locked as they are touched (MCL_ONFAULT, Linux 4.4), those that are there already at
 * once. A program that wants no later fault touches its memory first, as it must for its stack
 * anyway. */
#include "malloc_family.h"

#include "os/os.h"

#include <errno.h>
#include <terrane/version.h>

TERRANE_API int mlockall(int flags)
{
    const int error = tn_os_lock_all(flags);
    if (error == 0)
        return 0;
    errno = -error;
    return -1;
}
