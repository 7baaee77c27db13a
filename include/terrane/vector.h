/* Typed vectors on regions, which cannot outgrow their capacity unseen.
 *
 *     TERRANE_VECTOR(samples, double)
 *
 * declares struct samples and inline functions samples_acquire, samples_release, samples_reserve,
 * samples_push, samples_append, samples_at and samples_clear. It stands at file scope, once a file,
 * in C11 or C++; items are copied as bytes.
 *
 * A vector is full when its region is: push and append say -ENOSPC then and change nothing. Only
 * reserve grows it, by terrane_region_resize, and tells whether the items have another address now:
 * the one moment at which pointers to items become stale is a call that the program makes.
 *
 * A vector is {0} when it holds nothing. Like its region, it is for one thread at a time, and may
 * be handed to another. Copies of the struct are names for one vector.
 *
 *     int acquire(v, space, capacity)     room for at least `capacity` items, none of them there
 *     void release(v)                     gives the region back; v is {0} then
 *     int reserve(v, capacity, &moved)    room for at least `capacity` items in all; less than
 *                                         there is room for does nothing; moved may be NULL
 *     int push(v, item)                   adds one; -ENOSPC: full
 *     int append(v, items, count)         adds all or none; -ENOSPC: they do not fit
 *     T *at(v, index)                     NULL from v->count on
 *     void clear(v)                       no items, same room
 *
 * acquire and reserve fail as terrane_region_acquire and terrane_region_resize do, also with
 * -ENOMEM for a capacity whose bytes cannot be counted, reserve with -EINVAL for a vector that is
 * {0}; they change nothing then. */
#ifndef TERRANE_VECTOR_H
#define TERRANE_VECTOR_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <terrane/pool.h>

/* Not every file calls all of a vector's functions. */
#define TERRANE_VECTOR_CALL static inline __attribute__((unused))

#define TERRANE_VECTOR(name, type)                                                                 \
    struct name {                                                                                  \
        type *data;      /* page-aligned; the first `count` items are there */                     \
        size_t count;    /* items */                                                               \
        size_t capacity; /* items that there is room for */                                        \
        struct terrane_region region;                                                              \
    };                                                                                             \
                                                                                                   \
    TERRANE_VECTOR_CALL void name##_settle(struct name *vector)                                    \
    {                                                                                              \
        vector->data = (type *)vector->region.data;                                                \
        vector->capacity = vector->region.capacity / sizeof(type);                                 \
    }                                                                                              \
                                                                                                   \
    TERRANE_VECTOR_CALL int name##_acquire(struct name *vector, struct terrane_space *space,       \
                                           size_t capacity)                                        \
    {                                                                                              \
        if (capacity > SIZE_MAX / sizeof(type))                                                    \
            return -ENOMEM;                                                                        \
        struct terrane_region region;                                                              \
        const int status = terrane_region_acquire(space, capacity * sizeof(type), &region);        \
        if (status != 0)                                                                           \
            return status;                                                                         \
        vector->region = region;                                                                   \
        vector->count = 0;                                                                         \
        name##_settle(vector);                                                                     \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    TERRANE_VECTOR_CALL void name##_release(struct name *vector)                                   \
    {                                                                                              \
        terrane_region_release(&vector->region);                                                   \
        vector->count = 0;                                                                         \
        name##_settle(vector);                                                                     \
    }                                                                                              \
                                                                                                   \
    TERRANE_VECTOR_CALL int name##_reserve(struct name *vector, size_t capacity, bool *moved)      \
    {                                                                                              \
        const type *const before = vector->data;                                                   \
        if (capacity > SIZE_MAX / sizeof(type))                                                    \
            return -ENOMEM;                                                                        \
        if (capacity > vector->capacity) {                                                         \
            if (vector->region.data == NULL)                                                       \
                return -EINVAL;                                                                    \
            const int status = terrane_region_resize(&vector->region, capacity * sizeof(type));    \
            if (status != 0)                                                                       \
                return status;                                                                     \
            name##_settle(vector);                                                                 \
        }                                                                                          \
        if (moved != NULL)                                                                         \
            *moved = vector->data != before;                                                       \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    TERRANE_VECTOR_CALL int name##_push(struct name *vector, type item)                            \
    {                                                                                              \
        if (vector->count >= vector->capacity)                                                     \
            return -ENOSPC;                                                                        \
        vector->data[vector->count++] = item;                                                      \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    TERRANE_VECTOR_CALL int name##_append(struct name *vector, const type *items, size_t count)    \
    {                                                                                              \
        if (count > vector->capacity - vector->count)                                              \
            return -ENOSPC;                                                                        \
        if (count > 0)                                                                             \
            memcpy(vector->data + vector->count, items, count * sizeof(type));                     \
        vector->count += count;                                                                    \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    TERRANE_VECTOR_CALL type *name##_at(const struct name *vector, size_t index)                   \
    {                                                                                              \
        return index < vector->count ? vector->data + index : NULL;                                \
    }                                                                                              \
                                                                                                   \
    TERRANE_VECTOR_CALL void name##_clear(struct name *vector)                                     \
    {                                                                                              \
        vector->count = 0;                                                                         \
    }                                                                                              \
    struct name /* so that a semicolon may follow */

#endif
