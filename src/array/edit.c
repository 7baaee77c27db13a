/* Changing what an array shows: parts, insertions, stores, and other places.
 *
 * An only view of a body that is its own is changed where it lies, at the cost of the smaller side
 * of what has to shift. Everything else is composed anew of pieces (compose.c). */
#include "array/array.h"

#include "os/os.h"

#include <errno.h>
#include <string.h>

/* From this size on pages are shifted by page table where they can. */
#define SHIFT_MIN_BYTES (1 * TN_MIB)

/* Blocks that are made the caller's own one by one; where more are to be stored to, all of the
 * array is put together anew. */
#define OWN_MAX_BYTES (1 * TN_MIB)

/* An array that shows less than this share of its body shows little of much. */
#define SMALL_SHARE 4

/* What is put behind or in front of something that is so many times larger is copied there. */
#define COPY_SHARE     64
#define COPY_MAX_BYTES (4 * TN_MIB)

static struct terrane_space *space_of(const struct terrane_array *array)
{
    return array->body->room.space;
}

static bool outside(const struct terrane_array *array, size_t first, size_t count)
{
    return first > array->length || count > array->length - first;
}

/* Whether the units may be shifted where they lie. */
static bool is_own(const struct terrane_array *array)
{
    struct tn_array_body *body = array->body;
    return !body->sealed && !body->room.foreign && tn_view_is_sole(array) && tn_body_unalias(body);
}

static int compose(struct terrane_array **array, const struct tn_array_piece *pieces,
                   unsigned count, size_t length)
{
    const struct tn_array_plan plan = {.arrays = tn_arrays_if_any(space_of(*array)),
                                       .pieces = pieces,
                                       .count = count,
                                       .huge = tn_array_wants_huge(*array)};
    return tn_array_rebuild(array, &plan, length);
}

/* ---- parts ---- */

/* Whether units can get a room of their own at little cost. */
static bool goes_cheaply(const struct terrane_array *view)
{
    const struct tn_array_room *room = &view->body->room;
    const bool by_table =
        !room->foreign && (!view->body->sealed || room->space->backing != TERRANE_BACKING_PRIVATE);
    return by_table || tn_view_bytes(view) <= COPY_MAX_BYTES;
}

/* An only view that shows little of much gives the rest back. What lies in front of it is given
 * back as pages only, and goes on counting as memory and as addresses: where that is much, and
 * where nothing may be changed, it gets a room of its own. */
static void fit(struct terrane_array **array)
{
    const struct terrane_array *view = *array;
    const struct tn_array_room *room = &view->body->room;
    const size_t shown = tn_max(tn_view_bytes(view), TN_BLOCK_BYTES);
    if (!room->run || !tn_view_is_sole(view) || shown >= room->bytes / SMALL_SHARE)
        return;
    if ((view->body->sealed || tn_view_low(view) > shown) && goes_cheaply(view)) {
        const struct tn_array_piece piece = tn_array_part(view, 0, view->length);
        if (compose(array, &piece, 1, view->length) == 0)
            return;
    }
    tn_view_fit(*array);
}

int terrane_array_slice(struct terrane_array **array, size_t first, size_t count)
{
    struct terrane_array *view = *array;
    if (outside(view, first, count))
        return -EINVAL;
    if (space_of(view)->foreign)
        return -EPERM;
    char *data = view->data + first * view->unit;
    if (terrane_array_holders(view) == 1) {
        tn_view_narrow(view, data, count);
        fit(array);
        return 0;
    }
    struct terrane_array *part = tn_view_create(view->body, view->unit, view->flags, data, count);
    if (part == NULL)
        return -ENOMEM;
    terrane_array_release(view);
    *array = part;
    return 0;
}

int terrane_array_split(struct terrane_array **array, size_t index, struct terrane_array **rest)
{
    struct terrane_array *view = *array;
    if (index > view->length)
        return -EINVAL;
    struct terrane_array *behind = terrane_array_reference(view);
    int error = terrane_array_slice(&behind, index, view->length - index);
    if (error == 0)
        error = terrane_array_slice(array, 0, index);
    if (error != 0) {
        terrane_array_release(behind);
        return error;
    }
    *rest = behind;
    return 0;
}

/* ---- stores ---- */

/* One granule of a body becomes its own: a copy of it is shown in its place. */
static int own_granule(const struct tn_array_room *room, char *granule, size_t bytes)
{
    struct tn_run run;
    const struct tn_wish wish = {.bytes = bytes, .whole = true};
    int error = tn_pool_acquire_pressed(room->space, &wish, &run);
    if (error != 0)
        return error;
    char *copy = tn_block_addr(room->space, run.block);
    if (tn_os_features()->populate && room->space->page_bytes == tn_os_page_bytes())
        (void)tn_os_populate(copy, bytes); /* in one call; refused, its pages are faulted in */
    memcpy(copy, granule, bytes);
    error = tn_space_replace(room->space, copy, granule, bytes);
    if (error == 0)
        tn_array_count(room->space, TN_ARRAY_COPIED_BYTES, bytes);
    tn_pool_release(room->space, run.block, run.order, bytes);
    return error;
}

/* Makes the granules that [from, to) of the body lies in the only view's own. */
static int own(const struct tn_array_body *body, size_t from, size_t to)
{
    const struct tn_array_room *room = &body->room;
    const size_t granule = tn_room_granule(room->space);
    int error = 0;
    for (size_t at = tn_round_down(from, granule); at < to && error == 0; at += granule) {
        if (!tn_body_is_exclusive(body, at, at + granule))
            error = own_granule(room, room->start + at, granule);
    }
    return error;
}

/* Whether the units may be stored to as they are, or become so. */
static bool can_store(const struct terrane_array *array, size_t first, size_t count)
{
    struct tn_array_body *body = array->body;
    const size_t from = tn_view_low(array) + first * array->unit;
    const size_t bytes = count * array->unit;
    if (body->sealed || !tn_view_is_alone(array, from, from + bytes))
        return false;
    if (tn_body_is_exclusive(body, from, from + bytes))
        return true;
    return bytes <= OWN_MAX_BYTES && own(body, from, from + bytes) == 0;
}

int terrane_array_write(struct terrane_array **array, size_t first, size_t count, void **units)
{
    struct terrane_array *view = *array;
    if (outside(view, first, count))
        return -EINVAL;
    if (space_of(view)->foreign)
        return -EPERM;
    if (!can_store(view, first, count)) {
        struct tn_array_piece pieces[] = {
            tn_array_part(view, 0, first), tn_array_part(view, first, count),
            tn_array_part(view, first + count, view->length - first - count)};
        pieces[1].keep = true;
        const int error = compose(array, pieces, 3, view->length);
        if (error != 0)
            return error;
    }
    *units = (*array)->data + first * (*array)->unit;
    return 0;
}

void *terrane_array_writable(const struct terrane_array *array)
{
    const struct tn_array_body *body = array->body;
    if (body->sealed || body->room.space->foreign ||
        !tn_view_is_alone(array, tn_view_low(array), tn_view_high(array)))
        return NULL;
    if (array->length > 0 && !tn_body_is_exclusive(body, tn_view_low(array), tn_view_high(array)))
        return NULL;
    return array->data;
}

/* ---- in the middle ---- */

/* Whether it pays to shift so many bytes by page table, which needs a distance of whole granules.
 */
static bool shifts_pages(const struct terrane_array *array, size_t bytes, size_t distance)
{
    return bytes >= SHIFT_MIN_BYTES && (distance & (tn_room_granule(space_of(array)) - 1)) == 0;
}

/* Opens a gap in an array of the caller's own; the smaller side shifts. */
static int open_gap(struct terrane_array **array, size_t index, size_t count)
{
    void *added;
    const size_t unit = (*array)->unit;
    const size_t before = index * unit, behind = ((*array)->length - index) * unit;
    if (before < behind) {
        const int error = terrane_array_extend_front(array, count, &added);
        if (error == 0)
            memmove((*array)->data, (*array)->data + count * unit, before);
        return error;
    }
    const int error = terrane_array_extend(array, count, &added);
    if (error == 0)
        memmove((*array)->data + before + count * unit, (*array)->data + before, behind);
    return error;
}

int terrane_array_insert(struct terrane_array **array, size_t index, const void *units,
                         size_t count)
{
    struct terrane_array *view = *array;
    size_t bytes = 0;
    if (index > view->length)
        return -EINVAL;
    if (count == 0)
        return 0;
    if (index == view->length)
        return terrane_array_append_slow(array, units, count);
    if (index == 0)
        return terrane_array_prepend_slow(array, units, count);
    if (!tn_size_mul(count, view->unit, &bytes) || bytes > SIZE_MAX / 4)
        return -EOVERFLOW;
    if (space_of(view)->foreign)
        return -EPERM;
    const size_t before = index * view->unit, behind = tn_view_bytes(view) - before;
    const bool inside = (uintptr_t)units - (uintptr_t)view->data < tn_view_bytes(view);
    if (is_own(view) && !inside && !shifts_pages(view, tn_min(before, behind), bytes)) {
        const int error = open_gap(array, index, count);
        if (error == 0)
            memcpy((*array)->data + before, units, bytes);
        return error;
    }
    struct tn_array_piece pieces[] = {tn_array_part(view, 0, index),
                                      {.from = units, .bytes = bytes},
                                      tn_array_part(view, index, view->length - index)};
    pieces[0].take &= !inside;
    pieces[2].take &= !inside;
    return compose(array, pieces, 3, view->length + count);
}

int terrane_array_remove(struct terrane_array **array, size_t index, size_t count)
{
    struct terrane_array *view = *array;
    if (outside(view, index, count))
        return -EINVAL;
    const size_t unit = view->unit;
    const size_t rest = view->length - index - count;
    if (index == 0)
        return terrane_array_slice(array, count, rest);
    if (rest == 0)
        return terrane_array_slice(array, 0, index);
    if (space_of(view)->foreign)
        return -EPERM;
    if (!is_own(view) || shifts_pages(view, tn_min(index, rest) * unit, count * unit)) {
        const struct tn_array_piece pieces[] = {tn_array_part(view, 0, index),
                                                tn_array_part(view, index + count, rest)};
        return compose(array, pieces, 2, index + rest);
    }
    char *data = view->data;
    if (index < rest) {
        data += count * unit;
        memmove(data, view->data, index * unit);
    } else {
        memmove(data + index * unit, data + (index + count) * unit, rest * unit);
    }
    tn_view_narrow(view, data, index + rest);
    fit(array);
    return 0;
}

/* Makes bytes zero that the caller may store to; whole pages are given back, which is the same but
 * where a file lies behind them. */
static void clear(const struct terrane_array *view, char *from, size_t bytes)
{
    const struct tn_array_room *room = &view->body->room;
    const size_t page = tn_os_page_bytes();
    const size_t before = -(uintptr_t)from & (page - 1);
    if (room->run && !room->foreign && bytes >= SHIFT_MIN_BYTES &&
        room->space->backing == TERRANE_BACKING_PRIVATE) {
        const size_t whole = tn_round_down(bytes - before, page);
        if (tn_space_discard(room->space, from + before, whole) == 0) {
            memset(from, 0, before);
            memset(from + before + whole, 0, bytes - before - whole);
            return;
        }
    }
    memset(from, 0, bytes);
}

int terrane_array_resize(struct terrane_array **array, size_t length)
{
    const size_t before = (*array)->length;
    void *added;
    if (length <= before)
        return length == before ? 0 : terrane_array_slice(array, 0, length);
    const int error = terrane_array_extend(array, length - before, &added);
    if (error == 0)
        clear(*array, added, (length - before) * (*array)->unit);
    return error;
}

/* ---- several arrays ---- */

/* Copies the smaller one to the end of the larger one, if that is large enough to be left where it
 * is. 1: not so. */
static int join_small(struct terrane_array **array, struct terrane_array *second)
{
    const size_t a = tn_view_bytes(*array), b = tn_view_bytes(second);
    if (b < TN_BLOCK_BYTES || (b <= COPY_MAX_BYTES && b <= a / COPY_SHARE)) {
        const int error = terrane_array_append_slow(array, second->data, second->length);
        if (error == 0)
            terrane_array_release(second);
        return error;
    }
    if (*array == second || terrane_array_holders(second) != 1 ||
        (a >= TN_BLOCK_BYTES && (a > COPY_MAX_BYTES || a > b / COPY_SHARE)))
        return 1;
    const int error = terrane_array_prepend_slow(&second, (*array)->data, (*array)->length);
    if (error == 0) {
        terrane_array_release(*array);
        *array = second;
    }
    return error;
}

/* Puts the second one behind the first where that lies, if it has room there. Not where a file's
 * space is reserved for that room first: pages that are shown there need none. */
static bool join_here(struct terrane_array *array, struct terrane_array *second)
{
    struct tn_array_body *body = array->body;
    if (body->room.foreign || body->room.space->reserve_file ||
        !tn_array_grow_here(array, tn_view_bytes(second)))
        return false;
    const struct tn_array_piece piece = tn_array_part(second, 0, second->length);
    const bool shares = tn_array_put(&body->room, array->data + tn_view_bytes(array), &piece);
    array->length += second->length;
    if (shares)
        tn_body_share(body);
    terrane_array_release(second);
    return true;
}

int terrane_array_concatenate(struct terrane_array **array, struct terrane_array *second)
{
    size_t length, bytes;
    if ((*array)->unit != second->unit ||
        (*array == second && terrane_array_holders(second) == 1 && !space_of(second)->foreign))
        return -EINVAL;
    if (space_of(*array) != space_of(second))
        return -EXDEV;
    if (space_of(second)->foreign)
        return -EPERM;
    if (!tn_size_add((*array)->length, second->length, &length) ||
        !tn_size_mul(length, second->unit, &bytes) || bytes > SIZE_MAX / 4)
        return -EOVERFLOW;
    int error = join_small(array, second);
    if (error <= 0)
        return error;
    if (join_here(*array, second))
        return 0;
    const struct tn_array_piece pieces[] = {tn_array_part(*array, 0, (*array)->length),
                                            tn_array_part(second, 0, second->length)};
    error = compose(array, pieces, 2, length);
    if (error == 0)
        terrane_array_release(second);
    return error;
}

/* ---- other places ---- */

/* A run that nobody else sees. */
static int settle_alone(struct terrane_array **array)
{
    const struct terrane_array *view = *array;
    if (tn_view_is_sole(view) && view->body->room.run)
        return 0;
    const struct tn_array_piece piece = tn_array_part(view, 0, view->length);
    const struct tn_array_plan plan = {.arrays = tn_arrays_if_any(space_of(view)),
                                       .pieces = &piece,
                                       .count = 1,
                                       .own_pages = true};
    return tn_array_rebuild(array, &plan, view->length);
}

int terrane_array_seal(struct terrane_array **array)
{
    struct terrane_array *const old = *array;
    if (space_of(old)->foreign)
        return -EPERM;
    if (old->body->sealed)
        return 0;
    /* What others see becomes another array, and the caller's again if that cannot be sealed. */
    const bool seen = !tn_view_is_sole(old);
    if (seen)
        (void)terrane_array_reference(old);
    int error = settle_alone(array);
    const struct tn_array_room *room = &(*array)->body->room;
    if (error == 0)
        error = tn_space_protect(room->space, room->block, room->start, room->bytes, true, false);
    if (error == 0)
        tn_view_seal(*array);
    if (seen)
        tn_array_settle_attempt(array, old, error);
    return error;
}

/* The units in a room of another space. */
static int copy_to(struct tn_arrays *arrays, const struct terrane_array *view,
                   struct tn_array_place *out)
{
    const struct tn_array_piece piece = {
        .from = view->data, .bytes = tn_view_bytes(view), .body = view->body};
    const struct tn_array_plan plan = {
        .arrays = arrays, .pieces = &piece, .count = 1, .huge = tn_array_wants_huge(view)};
    *out = (struct tn_array_place){.length = view->length};
    return tn_array_compose(&plan, out);
}

int terrane_array_move(struct terrane_array **array, struct terrane_space *space)
{
    struct terrane_array *view = *array;
    if (space == NULL && (space = terrane_space_default()) == NULL)
        return -ENOMEM;
    if (space == space_of(view))
        return 0;
    if (space->foreign || space_of(view)->foreign)
        return -EPERM;
    struct tn_arrays *arrays = tn_arrays_of(space);
    struct terrane_array *made = arrays != NULL ? tn_array_shell(arrays, view) : NULL;
    if (made == NULL)
        return -ENOMEM;
    struct tn_array_place place;
    const int error = tn_array_suits_pool(view)
                          ? tn_array_relocate(view, space, tn_view_bytes(view), &place)
                          : copy_to(arrays, view, &place);
    if (error != 0) {
        terrane_array_release(made);
        return error;
    }
    tn_view_resettle(made, &place);
    terrane_array_release(view);
    *array = made;
    return 0;
}
