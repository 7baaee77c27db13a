/* The family's declarations, for our own definitions to be checked against: the C library's headers
 * where they have them, ours for what is newer than they are. */
#ifndef TN_MALLOC_FAMILY_H
#define TN_MALLOC_FAMILY_H

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

/* C23. */
void free_sized(void *pointer, size_t size);
void free_aligned_sized(void *pointer, size_t align, size_t size);

/* <sys/mman.h>, which is for the os floor alone. */
int mlockall(int flags);

#endif
