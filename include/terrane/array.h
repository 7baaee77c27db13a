/* Arrays that grow at both ends and are shared between versions by remapping.
 *
 * An array is a row of units of one size, 1 to 4096 bytes. What a program holds is a reference to
 * its header; the units lie elsewhere, in a body that several arrays may show parts of. Calls that
 * build consume the caller's reference and leave one to the result in its place:
 *
 *     struct terrane_array *prices;
 *     terrane_array_create(NULL, sizeof(double), 0, &prices);
 *     terrane_array_append(&prices, today, 100);           grows where it lies
 *     struct terrane_array *before = terrane_array_reference(prices);
 *     terrane_array_append(&prices, more, 50);             `before` still ends behind 100
 *
 * If nobody else holds the array, the result is the same array, changed where it lies. If somebody
 * does, the result is a new version, and what others hold never changes: an appended version shows
 * the same memory and a part more; where two versions want to go on from the same place, whole
 * blocks of 64 KiB (or whole huge pages) are shown twice by page table, and only the rest is
 * copied. Spaces on files and memfds can show pages twice; private ones copy there, and only there.
 *
 * Data of 4 KiB and more starts on a page when the array is made; room is kept ahead at the end
 * that grows. Growth without room takes more addresses, and moves pages there by page table.
 *
 * Every reference belongs to one thread at a time. Arrays made with TERRANE_ARRAY_ATOMIC, and all
 * that is built of them, may have references in several threads; the others, with all arrays that
 * were built of them, belong to one thread at a time together. No call waits for another longer
 * than it takes to change an array.
 *
 * A child of fork has arrays of private spaces to itself, and can read those of its parent's memfd
 * spaces as long as the parent keeps them; building on them is refused there, and references to
 * them are not counted. Of scratch spaces it has no units.
 *
 * Building calls return 0, or on failure a negative errno, and change nothing then: the reference
 * is still the caller's. Common errors: -ENOMEM (memory, addresses, a limit), -ENOSPC, -EIO (the
 * space's file), -EPERM (a shared space of the parent, after fork), -EOVERFLOW (more bytes than can
 * be counted). */
#ifndef TERRANE_ARRAY_H
#define TERRANE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <terrane/space.h>
#include <terrane/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Largest unit, in bytes. */
#define TERRANE_ARRAY_UNIT_MAX 4096

enum terrane_array_flags {
    TERRANE_ARRAY_ATOMIC = 1,      /* references may be in several threads */
    TERRANE_ARRAY_SMALL_PAGES = 2, /* huge pages are not asked for */
};

struct tn_array_body;

/* The header. For the inline calls below; programs use the calls. */
struct terrane_array {
    char *data;       /* first unit */
    size_t length;    /* units */
    char *limit;      /* end of the room behind that may be stored to; NULL while there are several
                         references, and where the library must be asked */
    char *floor;      /* start of the room before `data`, likewise */
    uint32_t unit;    /* bytes */
    uint32_t holders; /* references */
    uint32_t flags;
    struct tn_array_body *body;
    struct terrane_array *next, *previous; /* that show the same body */
};

/* ---- life ---- */

/* An empty array of units of `unit` bytes, 1 to 4096, in `space` (NULL: the default space).
 * -EINVAL: other unit, unknown flag. The reference is the caller's. */
TERRANE_API int terrane_array_create(struct terrane_space *space, size_t unit, unsigned flags,
                                     struct terrane_array **out);

/* One more reference to the same array; returns it. O(1). */
TERRANE_API struct terrane_array *terrane_array_reference(struct terrane_array *array);

/* Gives a reference back; the last one gives back what no other array shows. NULL is ignored. A
 * reference that was given back before ends the process, as long as its memory is not another
 * array's. */
TERRANE_API void terrane_array_release(struct terrane_array *array);

/* ---- reading ---- */

static inline size_t terrane_array_length(const struct terrane_array *array)
{
    return array->length;
}

static inline size_t terrane_array_unit(const struct terrane_array *array)
{
    return array->unit;
}

/* The first unit; all of them lie side by side. Valid until this reference is consumed. */
static inline const void *terrane_array_data(const struct terrane_array *array)
{
    return array->data;
}

/* References to the array. */
static inline uint32_t terrane_array_holders(const struct terrane_array *array)
{
    /* acquire; pairs with the release of who gave the last other reference back */
    return __atomic_load_n(&array->holders, __ATOMIC_ACQUIRE);
}

/* ---- growing ---- */

/* The slow halves of the two below. */
TERRANE_API int terrane_array_extend(struct terrane_array **array, size_t count, void **units);
TERRANE_API int terrane_array_extend_front(struct terrane_array **array, size_t count,
                                           void **units);
TERRANE_API int terrane_array_append_slow(struct terrane_array **array, const void *units,
                                          size_t count);
TERRANE_API int terrane_array_prepend_slow(struct terrane_array **array, const void *units,
                                           size_t count);

/* Adds `count` units behind the last one, or before the first one, in their order. `units` may lie
 * in the array. Cost, for the only holder: that of the copy; in between, growth that is amortized
 * constant a byte, or a few system calls where pages move. */
static inline int terrane_array_append(struct terrane_array **array, const void *units,
                                       size_t count)
{
    struct terrane_array *const a = *array;
    char *const end = a->data + a->length * a->unit;
    if ((uintptr_t)end < (uintptr_t)a->limit && count <= (size_t)(a->limit - end) &&
        count * a->unit <= (size_t)(a->limit - end)) {
        memcpy(end, units, count * a->unit);
        a->length += count;
        return 0;
    }
    return terrane_array_append_slow(array, units, count);
}

static inline int terrane_array_prepend(struct terrane_array **array, const void *units,
                                        size_t count)
{
    struct terrane_array *const a = *array;
    char *const data = a->data;
    if (a->floor != NULL && count <= (size_t)(data - a->floor) &&
        count * a->unit <= (size_t)(data - a->floor)) {
        memcpy(data - count * a->unit, units, count * a->unit);
        a->data = data - count * a->unit;
        a->length += count;
        return 0;
    }
    return terrane_array_prepend_slow(array, units, count);
}

/* The same for one unit whose size the compiler knows: `bytes` must be the array's unit. Small ones
 * go to the slow half as a copy: so the caller's need not be in memory in between. */
#define TN_ARRAY_COPIED_UNIT 16
static inline int terrane_array_push(struct terrane_array **array, const void *unit, size_t bytes)
{
    struct terrane_array *const a = *array;
    const size_t length = a->length;
    char *const end = a->data + length * bytes;
    if ((uintptr_t)end + bytes <= (uintptr_t)a->limit) {
        memcpy(end, unit, bytes);
        a->length = length + 1;
        return 0;
    }
    if (bytes <= TN_ARRAY_COPIED_UNIT) {
        char copy[TN_ARRAY_COPIED_UNIT];
        memcpy(copy, unit, bytes);
        return terrane_array_append_slow(array, copy, 1);
    }
    return terrane_array_append_slow(array, unit, 1);
}

static inline int terrane_array_push_front(struct terrane_array **array, const void *unit,
                                           size_t bytes)
{
    struct terrane_array *const a = *array;
    char *const data = a->data;
    if (a->floor != NULL && (size_t)(data - a->floor) >= bytes) {
        a->data = data - bytes;
        a->length++;
        memcpy(data - bytes, unit, bytes);
        return 0;
    }
    if (bytes <= TN_ARRAY_COPIED_UNIT) {
        char copy[TN_ARRAY_COPIED_UNIT];
        memcpy(copy, unit, bytes);
        return terrane_array_prepend_slow(array, copy, 1);
    }
    return terrane_array_prepend_slow(array, unit, 1);
}

/* (extend, extend_front, above:) Adds `count` units of undefined contents behind or before, for the
 * caller to fill: *units is the first of them. */

/* Makes the array `length` units long: cut at its end, or with zero bytes behind. */
TERRANE_API int terrane_array_resize(struct terrane_array **array, size_t length);

/* Makes room for `front` more units before and `behind` more behind, so that adding them moves
 * nothing and cannot fail, as long as no other version that ends at the same place is added to
 * first. */
TERRANE_API int terrane_array_reserve(struct terrane_array **array, size_t front, size_t behind);

/* Puts `count` units before the one at `index` (0 to length), or takes `count` out from there.
 * -EINVAL: outside the array. */
TERRANE_API int terrane_array_insert(struct terrane_array **array, size_t index, const void *units,
                                     size_t count);
TERRANE_API int terrane_array_remove(struct terrane_array **array, size_t index, size_t count);

/* ---- sharing ---- */

/* Makes it the `count` units from `first` on. Nothing is copied. -EINVAL: outside the array. */
TERRANE_API int terrane_array_slice(struct terrane_array **array, size_t first, size_t count);

/* *array becomes the units before `index`, *rest those from there on. -EINVAL: outside. */
TERRANE_API int terrane_array_split(struct terrane_array **array, size_t index,
                                    struct terrane_array **rest);

/* Puts all units of `second` behind those of *array; consumes both references. They may be the
 * same array, but not by one reference. -EINVAL: it is one, or units of different sizes; -EXDEV:
 * different spaces. */
TERRANE_API int terrane_array_concatenate(struct terrane_array **array,
                                          struct terrane_array *second);

/* Makes `count` units from `first` on the caller's own and *units their address: until the
 * reference is shared or consumed, stores to them are seen by nobody else. What nobody else shows
 * is not copied. -EINVAL: outside. */
TERRANE_API int terrane_array_write(struct terrane_array **array, size_t first, size_t count,
                                    void **units);

/* The first unit if the caller may store to all of them as it is, else NULL. */
TERRANE_API void *terrane_array_writable(const struct terrane_array *array);

/* Makes it read-only: a store to its memory faults. Building on it makes new versions. */
TERRANE_API int terrane_array_seal(struct terrane_array **array);

/* Hands the array over to another space: pages move where they can. What others hold stays. */
TERRANE_API int terrane_array_move(struct terrane_array **array, struct terrane_space *space);

/* ---- files and processes ---- */

/* An array of the `bytes` of a file from `offset` on, a multiple of the page size. In private
 * spaces the pages of a file of more than 32 KiB are mapped, and copied when they are stored to:
 * nothing is read before it is used, nothing is written back, and the file must keep its length as
 * long as the array lives; else it is read. -EINVAL: `bytes` is no multiple of `unit`, `offset`
 * none of a page, or the file ends before; else what the file gave (-EBADF, -EACCES, -EIO ...).
 * `fd` may be closed afterwards. */
TERRANE_API int terrane_array_from_file(struct terrane_space *space, size_t unit, unsigned flags,
                                        int fd, uint64_t offset, uint64_t bytes,
                                        struct terrane_array **out);

/* Writes all units to a file from `offset` on, straight from the array. The errors of pwrite; part
 * of it may be written then. */
TERRANE_API int terrane_array_to_file(const struct terrane_array *array, int fd, uint64_t offset);

/* Where the units of an array lie in the file of its shared space, to be sent to another process
 * with the descriptor. */
#define TERRANE_PARCEL_RANGES 62
struct terrane_array_parcel {
    uint64_t length; /* units */
    uint32_t unit;   /* bytes */
    uint32_t ranges;
    uint64_t skip; /* bytes of the first range before the first unit */
    struct {
        uint64_t offset, bytes;
    } range[TERRANE_PARCEL_RANGES];
};

/* Describes the array and gives a descriptor of the space's file, which the caller closes. As long
 * as the other process reads, the caller must keep a reference, and write nothing (the array should
 * be sealed). -ENOTSUP (no shared space), -E2BIG (in too many pieces), -EMFILE. */
TERRANE_API int terrane_array_lend(const struct terrane_array *array,
                                   struct terrane_array_parcel *parcel, int *fd);

/* The array of another process, mapped read-only into `space`, which must be private; building on
 * it copies. -EINVAL (no such space, or not a parcel of this file), -ENOMEM. */
TERRANE_API int terrane_array_borrow(struct terrane_space *space, unsigned flags, int fd,
                                     const struct terrane_array_parcel *parcel,
                                     struct terrane_array **out);

/* ---- spaces and figures ---- */

/* A shared space with the largest pages that suit arrays of `bytes` and that the machine has free:
 * 1 GiB, 2 MiB, or ordinary ones. The caller destroys it. Errors as terrane_space_create. */
TERRANE_API int terrane_array_space_create(size_t bytes, struct terrane_space **out);

struct terrane_array_stats {
    uint64_t arrays;            /* there are now */
    uint64_t bodies;            /* memory of arrays: as many, or fewer where it is shared */
    uint64_t body_bytes;        /* addresses of bodies that may have pages */
    uint64_t shared_extensions; /* new versions that only went on in the memory of the old one */
    uint64_t aliased_bytes;     /* shown twice by page table */
    uint64_t moved_bytes;       /* moved by page table */
    uint64_t copied_bytes;      /* of units that were in an array before */
};

TERRANE_API void terrane_array_stats(struct terrane_space *space, struct terrane_array_stats *out);

#ifdef __cplusplus
}
#endif

#endif
