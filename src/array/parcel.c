/* Arrays of other processes: what an array lies in is named by ranges of the file of its shared
 * space, which the other process maps read-only into a room of its own.
 *
 * A parcel comes from another process, so nothing in it is believed: a wrong one is refused, or
 * shows other bytes of the file. (Who has the file can also cut it, after which its pages are gone:
 * that is between the two processes.) */
#include "array/array.h"

#include "os/os.h"

#include <errno.h>

/* ---- lending ---- */

/* The blocks that whole pages of an array's memory lie in. */
static struct tn_block_range blocks_of(const struct terrane_array *array)
{
    struct terrane_space *space = array->body->room.space;
    const size_t unit = tn_max(space->page_bytes, TN_BLOCK_BYTES);
    const size_t start = tn_offset_of(space, array->data);
    const size_t first = tn_round_down(start, unit);
    const size_t end = tn_round_up(start + tn_view_bytes(array), unit);
    return (struct tn_block_range){(uint32_t)(first >> TN_BLOCK_SHIFT),
                                   (uint32_t)((end - first) >> TN_BLOCK_SHIFT)};
}

/* Fills in where the blocks lie. False: there are too many ranges. */
static bool describe(const struct terrane_array *array, struct terrane_array_parcel *parcel)
{
    struct terrane_space *space = array->body->room.space;
    const struct tn_block_range blocks = blocks_of(array);
    struct tn_file_range ranges[TERRANE_PARCEL_RANGES];
    uint64_t bytes = 0;
    parcel->ranges = tn_space_file_ranges(space, blocks, ranges, TERRANE_PARCEL_RANGES);
    for (unsigned i = 0; i < parcel->ranges; i++) {
        parcel->range[i].offset = ranges[i].offset;
        parcel->range[i].bytes = ranges[i].bytes;
        bytes += ranges[i].bytes;
    }
    parcel->skip = tn_offset_of(space, array->data) - ((size_t)blocks.block << TN_BLOCK_SHIFT);
    return bytes == (uint64_t)blocks.count << TN_BLOCK_SHIFT;
}

int terrane_array_lend(const struct terrane_array *array, struct terrane_array_parcel *parcel,
                       int *fd)
{
    struct terrane_space *space = array->body->room.space;
    if (space->backing == TERRANE_BACKING_PRIVATE)
        return -ENOTSUP;
    if (space->foreign)
        return -EPERM;
    *parcel = (struct terrane_array_parcel){.length = array->length, .unit = array->unit};
    if (array->length > 0) {
        if (tn_space_of(array->data) != space)
            return -ENOTSUP; /* too small for its huge pages, it lies elsewhere */
        if (!describe(array, parcel))
            return -E2BIG;
    }
    return tn_os_file_duplicate(space->fd, fd);
}

/* ---- borrowing ---- */

/* Whether all of a parcel lies in a file of this size; the sum of its ranges. */
static bool is_sound(const struct terrane_array_parcel *parcel, uint64_t size, uint64_t *total)
{
    const size_t page = tn_os_page_bytes();
    uint64_t end;
    *total = 0;
    if (parcel->unit == 0 || parcel->unit > TERRANE_ARRAY_UNIT_MAX ||
        parcel->ranges > TERRANE_PARCEL_RANGES)
        return false;
    for (unsigned i = 0; i < parcel->ranges; i++) {
        const uint64_t offset = parcel->range[i].offset, bytes = parcel->range[i].bytes;
        if (bytes == 0 || (offset | bytes) % page != 0 || offset > size || bytes > size - offset ||
            __builtin_add_overflow(*total, bytes, total))
            return false;
    }
    return !__builtin_mul_overflow(parcel->length, (uint64_t)parcel->unit, &end) &&
           !__builtin_add_overflow(end, parcel->skip, &end) && end <= *total;
}

static int map_ranges(const struct tn_array_room *room, int fd,
                      const struct terrane_array_parcel *parcel)
{
    char *to = room->start;
    int error = 0;
    for (unsigned i = 0; i < parcel->ranges && error == 0; i++) {
        const struct tn_os_file_part part = {.fd = fd, .offset_bytes = parcel->range[i].offset};
        error = tn_space_map_part(room->space, room->block, to, parcel->range[i].bytes, &part);
        to += parcel->range[i].bytes;
    }
    return error == -ENOTSUP ? -EINVAL : error;
}

/* Lets an empty array show the parcel's ranges, `total` bytes. */
static int show(int fd, const struct terrane_array_parcel *parcel, uint64_t total,
                struct terrane_array *empty)
{
    struct tn_arrays *arrays = tn_arrays_if_any(empty->body->room.space);
    const struct tn_array_need need = {.bytes = tn_max(total, TN_SMALL_MAX + 1), .empty = true};
    struct tn_array_place place = {.length = parcel->length};
    int error = tn_room_take(arrays, &need, &place.room);
    if (error != 0)
        return error;
    error = map_ranges(&place.room, fd, parcel);
    if (error != 0) {
        tn_room_give(&place.room);
        return error;
    }
    place.room.foreign = true;
    place.data = place.room.start + parcel->skip;
    tn_view_resettle(empty, &place);
    tn_view_seal(empty);
    return 0;
}

int terrane_array_borrow(struct terrane_space *space, unsigned flags, int fd,
                         const struct terrane_array_parcel *parcel, struct terrane_array **out)
{
    const struct terrane_array_parcel copy = *parcel; /* perhaps its sender writes on */
    struct terrane_array *array;
    uint64_t size, total;
    if (tn_os_user_file_size(fd, &size) != 0 || !is_sound(&copy, size, &total))
        return -EINVAL;
    int error = terrane_array_create(space, copy.unit, flags, &array);
    if (error != 0)
        return error;
    if (array->body->room.space->backing != TERRANE_BACKING_PRIVATE)
        error = -EINVAL;
    else if (copy.length > 0)
        error = show(fd, &copy, total, array);
    if (error != 0)
        terrane_array_release(array);
    else
        *out = array;
    return error;
}
