/* Arrays from files, and to them.
 *
 * In a private space a file's pages are mapped into a run of the pool, so that only what is used is
 * read, and stores make pages of the space's own. From then on it is a room like others, but that
 * its pages are never moved or given away: what the kernel leaves behind of a file's mapping is the
 * file. Behind the last page there is ordinary memory, where the array can grow.
 *
 * Files that cannot be mapped, small ones, and all in shared spaces are read. */
#include "array/array.h"

#include "os/os.h"

#include <errno.h>

/* What is wanted of a file. */
struct extract {
    int fd;
    uint64_t offset, bytes;
};

/* -EINVAL, or that of the file; *known: it is an ordinary file, and long enough. */
static int look_at(const struct extract *extract, size_t unit, bool *known)
{
    uint64_t size;
    *known = false;
    if (extract->bytes % unit != 0 || extract->offset % tn_os_page_bytes() != 0)
        return -EINVAL;
    const int error = tn_os_user_file_size(extract->fd, &size);
    if (error != 0)
        return error == -ENOTSUP ? 0 : error;
    *known = true;
    return extract->offset > size || extract->bytes > size - extract->offset ? -EINVAL : 0;
}

/* Lets an empty array show the file. -ENOTSUP: it must be read. */
static int map_extract(const struct extract *extract, struct terrane_array *empty)
{
    struct terrane_space *space = empty->body->room.space;
    const struct tn_os_file_part part = {
        .fd = extract->fd, .own = true, .offset_bytes = extract->offset};
    const struct tn_array_need need = {.bytes = extract->bytes, .empty = true};
    struct tn_array_place place = {.length = extract->bytes / empty->unit};
    int error = tn_room_take(tn_arrays_if_any(space), &need, &place.room);
    if (error != 0)
        return error;
    const size_t mapped = tn_round_up(extract->bytes, tn_os_page_bytes());
    error = tn_space_map_part(space, place.room.block, place.room.start, mapped, &part);
    if (error == 0 && mapped < place.room.bytes)
        error = tn_space_commit(space, place.room.start + mapped, place.room.bytes - mapped);
    if (error != 0) {
        tn_room_give(&place.room);
        return error;
    }
    place.room.foreign = true;
    place.data = place.room.start;
    tn_view_resettle(empty, &place);
    return 0;
}

static int read_extract(const struct extract *extract, struct terrane_array **empty)
{
    void *units;
    size_t got;
    int error = terrane_array_extend(empty, extract->bytes / (*empty)->unit, &units);
    if (error == 0)
        error = tn_os_user_file_read(extract->fd, units, extract->bytes, extract->offset, &got);
    if (error == 0 && got < extract->bytes)
        error = -EINVAL;
    return error;
}

int terrane_array_from_file(struct terrane_space *space, size_t unit, unsigned flags, int fd,
                            uint64_t offset, uint64_t bytes, struct terrane_array **out)
{
    const struct extract extract = {fd, offset, bytes};
    struct terrane_array *array;
    bool known;
    int error = terrane_array_create(space, unit, flags, &array);
    if (error != 0)
        return error;
    error = look_at(&extract, unit, &known);
    const bool mapped = known && bytes > TN_SMALL_MAX &&
                        array->body->room.space->backing == TERRANE_BACKING_PRIVATE;
    if (error == 0)
        error = mapped ? map_extract(&extract, array) : -ENOTSUP;
    if (error == -ENOTSUP)
        error = read_extract(&extract, &array);
    if (error != 0)
        terrane_array_release(array);
    else
        *out = array;
    return error;
}

int terrane_array_to_file(const struct terrane_array *array, int fd, uint64_t offset)
{
    return tn_os_user_file_write(fd, array->data, tn_view_bytes(array), offset);
}
