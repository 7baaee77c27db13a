/* Writes the profiler's tables as a text heap profile; private to the profiler. */
#ifndef TN_PROFILE_WRITE_H
#define TN_PROFILE_WRITE_H

#include <stddef.h>

/* Writes to a new or emptied file: 0 or a negative errno. The caller holds the profiler's lock. */
int tn_profile_write(const char *path, size_t interval_bytes);

#endif
