/* Stamps: an object's memory is written as a program would touch it, and looked at before it is
 * freed, so that a malloc that hands out a byte twice does not win.
 *
 * Up to 32 KiB every cache line gets a stamp; larger objects one in each page, because there the
 * memory's bandwidth would be measured instead of the malloc. */
#ifndef TERRANE_BENCH_STAMP_H
#define TERRANE_BENCH_STAMP_H

#include "worker.h"

#define STAMP_DENSE_MAX ((size_t)32 << 10)

static inline size_t stamp_stride(size_t size)
{
    return size <= STAMP_DENSE_MAX ? 64 : 4096;
}

static inline void stamp_write(void *object, size_t size, uint64_t tag)
{
    unsigned char *bytes = object;
    const size_t stride = stamp_stride(size);
    if (size < sizeof(tag)) {
        memset(object, (int)(tag & 0xff), size);
        return;
    }
    for (size_t at = 0; at + sizeof(tag) <= size; at += stride)
        memcpy(bytes + at, &tag, sizeof(tag));
    bytes[size - 1] = (unsigned char)tag;
}

/* Ends the process if a stamp of stamp_write(object, size, tag) is gone; looks at the first, at one
 * in the middle and at the last byte. */
static inline void stamp_check(const void *object, size_t size, uint64_t tag)
{
    const unsigned char *bytes = object;
    const size_t stride = stamp_stride(size);
    bool intact = bytes[size - 1] == (unsigned char)tag;
    if (size >= 2 * sizeof(tag)) {
        const size_t middle = size / 2 / stride * stride;
        intact = intact && memcmp(bytes, &tag, sizeof(tag)) == 0;
        if (middle + 2 * sizeof(tag) <= size)
            intact = intact && memcmp(bytes + middle, &tag, sizeof(tag)) == 0;
    }
    if (!intact)
        worker_fail("an object of %zu bytes was overwritten", size);
}

static inline void *get_memory(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL)
        worker_fail("malloc(%zu) failed", size);
    return memory;
}

/* malloc and stamp. */
static inline void *get_stamped(size_t size, uint64_t tag)
{
    void *memory = get_memory(size);
    stamp_write(memory, size, tag);
    return memory;
}

#endif
