/* Growing at both ends.
 *
 * Room is found in this order: what the view has already; the end of the body, where a new version
 * goes on too; more addresses behind the run; a new room, in which pages of an only view move, and
 * those of others are shown again or copied.
 *
 * Room grows by a half or a doubling while bodies are small and are copied when they move. Large
 * ones move by page table, and need an eighth; then pages are brought in a step at a time, in one
 * call to the kernel instead of one fault each. */
#include "array/array.h"

#include "os/os.h"

#include <errno.h>
#include <string.h>

/* Bodies below it double. */
#define DOUBLE_BELOW (1 * TN_MIB)

/* Pages that are brought in at once: at most an eighth of what is there, and the rest of the huge
 * page that it ends in, which the first store there would take anyway. */
#define STEP_MIN   (64 * TN_KIB)
#define STEP_MAX   (2 * TN_MIB)
#define WHOLE_FROM (8 * TN_MIB) /* arrays of this size and more end with whole huge pages */

/* Room in front that a growing array takes at most, beyond an eighth: addresses, but they count for
 * limits. */
#define FRONT_MAX (64 * TN_MIB)

static size_t step_of(size_t bytes)
{
    return tn_min(tn_max(bytes / 8, STEP_MIN), STEP_MAX);
}

static bool grows_whole(const struct terrane_array *view)
{
    return tn_array_wants_huge(view) && tn_view_bytes(view) >= WHOLE_FROM &&
           view->body->room.space->backing == TERRANE_BACKING_PRIVATE;
}

static bool brings_pages(const struct tn_array_room *room, size_t bytes)
{
    return bytes >= DOUBLE_BELOW && tn_os_features()->populate &&
           room->space->page_bytes == tn_os_page_bytes();
}

static void bring_pages(char *from, size_t bytes)
{
    const size_t page = tn_os_page_bytes();
    char *start = from + (-(uintptr_t)from & (page - 1));
    const size_t skipped = (size_t)(start - from);
    if (bytes > skipped)
        (void)tn_os_populate(start, tn_round_down(bytes - skipped, page)); /* else they fault in */
}

/* ---- another room ---- */

struct tn_array_piece tn_array_part(const struct terrane_array *array, size_t first, size_t count)
{
    return (struct tn_array_piece){.from = array->data + first * array->unit,
                                   .bytes = count * array->unit,
                                   .body = array->body,
                                   .take = !array->body->sealed && tn_view_is_sole(array)};
}

static int rebuild_in_place(struct terrane_array *view, const struct tn_array_plan *plan,
                            size_t length)
{
    struct tn_array_place place = {.length = length};
    const int error = tn_array_compose(plan, &place);
    if (error == 0)
        tn_view_resettle(view, &place);
    return error;
}

int tn_array_rebuild(struct terrane_array **array, const struct tn_array_plan *plan, size_t length)
{
    if (tn_view_is_sole(*array))
        return rebuild_in_place(*array, plan, length);
    struct terrane_array *made = tn_array_shell(plan->arrays, *array);
    if (made == NULL)
        return -ENOMEM;
    const int error = rebuild_in_place(made, plan, length);
    if (error != 0) {
        terrane_array_release(made);
        return error;
    }
    terrane_array_release(*array);
    *array = made;
    return 0;
}

/* The same units in another room. */
static int rehouse(struct terrane_array **array, size_t front, size_t behind)
{
    const struct terrane_array *view = *array;
    const struct tn_array_piece piece = tn_array_part(view, 0, view->length);
    const struct tn_array_plan plan = {.arrays = tn_arrays_if_any(view->body->room.space),
                                       .pieces = &piece,
                                       .count = 1,
                                       .front = front,
                                       .behind = behind,
                                       .huge = tn_array_wants_huge(view)};
    return tn_array_rebuild(array, &plan, view->length);
}

bool tn_array_suits_pool(const struct terrane_array *view)
{
    const struct tn_array_body *body = view->body;
    return body->room.run && !body->room.foreign && !tn_body_is_aliased(body) && !body->sealed &&
           tn_view_low(view) == 0 && tn_view_is_sole(view);
}

int tn_array_relocate(struct terrane_array *view, struct terrane_space *space, size_t bytes,
                      struct tn_array_place *out)
{
    struct tn_array_room *room = &view->body->room;
    struct tn_run run;
    bytes = tn_round_up(tn_max(bytes, 1), space->page_bytes);
    const size_t used = tn_round_up(tn_view_high(view), tn_os_page_bytes());
    const struct tn_held held = {room->space, room->block, room->order, room->bytes, used, 0};
    const int error = tn_pool_relocate(&held, space, bytes, true, &run);
    if (error != 0)
        return error;
    tn_array_uncount(room->space, TN_ARRAY_BODY_BYTES, room->bytes);
    tn_array_count(space, TN_ARRAY_BODY_BYTES, bytes);
    room->start = NULL; /* the pool has it back */
    *out = (struct tn_array_place){.room = {.space = space,
                                            .start = tn_block_addr(space, run.block),
                                            .bytes = bytes,
                                            .block = run.block,
                                            .order = (uint8_t)run.order,
                                            .run = true},
                                   .data = tn_block_addr(space, run.block),
                                   .length = view->length};
    if (tn_array_wants_huge(view))
        tn_space_want_huge(space, run.block, run.order, bytes);
    return 0;
}

/* ---- room behind ---- */

/* Room that an array of so many bytes takes ahead when it moves. */
static size_t ahead(size_t bytes)
{
    return bytes < DOUBLE_BELOW ? bytes : step_of(bytes);
}

/* What is to be added at an end. */
struct addition {
    size_t bytes;
    bool exact; /* no more than that, and no pages yet */
};

/* Where a room ends that grows to `end` and some way on: within the addresses of its run, if `end`
 * is. */
static size_t stepped(const struct terrane_array *view, size_t end)
{
    const struct tn_array_room *room = &view->body->room;
    const size_t whole = grows_whole(view) ? TN_HUGE_BYTES : 1;
    const size_t all = room->run ? tn_bytes_of_order(room->order) : 0;
    const size_t wanted = tn_round_up(end + step_of(end), whole);
    return end <= all ? tn_min(wanted, all) : wanted;
}

static int extend_in_place(struct terrane_array *view, const struct addition *add)
{
    struct tn_array_room *room = &view->body->room;
    const size_t end = tn_view_high(view) + add->bytes;
    const bool huge = tn_array_wants_huge(view);
    const size_t before = room->bytes;
    int error = -ENOMEM;
    if (!add->exact)
        error = tn_room_extend(room, stepped(view, end), huge);
    if (error != 0)
        error = tn_room_extend(room, end, huge);
    if (error == 0 && !add->exact && brings_pages(room, before))
        bring_pages(room->start + before, tn_min(room->bytes - before, 2 * STEP_MAX));
    return error;
}

/* Whether the only holder's view has so much room behind it in its body. */
static bool has_behind(const struct terrane_array *view, size_t bytes)
{
    return terrane_array_holders(view) == 1 && tn_view_has(view, TN_END_TAIL) &&
           view->body->room.bytes - tn_view_high(view) >= bytes;
}

/* The same before it, of what is committed. */
static size_t room_in_front(const struct terrane_array *view)
{
    const size_t low = tn_view_low(view);
    const bool has = terrane_array_holders(view) == 1 && tn_view_has(view, TN_END_FRONT);
    return has ? low - tn_min(view->body->usable, low) : 0;
}

/* Whether there is room behind the only holder's view where it lies, now. */
static bool grow_here(struct terrane_array *view, const struct addition *add)
{
    if (terrane_array_holders(view) != 1)
        return false;
    tn_view_claim(view, TN_END_TAIL);
    if (!has_behind(view, add->bytes) && tn_view_has(view, TN_END_TAIL) &&
        extend_in_place(view, add) == 0)
        tn_view_claim(view, TN_END_TAIL);
    return has_behind(view, add->bytes);
}

bool tn_array_grow_here(struct terrane_array *view, size_t bytes)
{
    return grow_here(view, &(struct addition){.bytes = bytes, .exact = true});
}

/* Of an array that several hold, a new version goes on where it ends, if it can. */
static struct terrane_array *go_on(struct terrane_array **array, enum tn_array_end end)
{
    if (terrane_array_holders(*array) > 1 && tn_view_continue(array, end))
        tn_array_count((*array)->body->room.space, TN_ARRAY_SHARED_EXTENSIONS, 1);
    return *array;
}

static int make_behind(struct terrane_array **array, const struct addition *add)
{
    struct terrane_array *view = go_on(array, TN_END_TAIL);
    if (grow_here(view, add))
        return 0;
    const size_t total = tn_view_bytes(view) + add->bytes;
    const size_t more = add->exact ? 0 : ahead(total);
    if (tn_array_suits_pool(view)) {
        struct tn_array_place place;
        const int error = tn_array_relocate(view, view->body->room.space, total + more, &place);
        if (error == 0)
            tn_view_resettle(view, &place);
        return error;
    }
    const size_t front = room_in_front(view);
    return rehouse(array, tn_min(front, total), add->bytes + more);
}

/* ---- room in front ---- */

static size_t ahead_in_front(const struct terrane_array *view, size_t bytes)
{
    const struct tn_array_room *room = &view->body->room;
    if (bytes < TN_SMALL_MAX / 2)
        return bytes;
    if (bytes + TN_BLOCK_BYTES < TN_HUGE_BYTES)
        return TN_HUGE_BYTES - TN_BLOCK_BYTES - bytes;
    const size_t share = tn_round_up(bytes / 8, tn_os_page_bytes()); /* units stay aligned */
    return room->space->reserve_file ? share : tn_max(tn_min(bytes, FRONT_MAX), share);
}

/* Commits a part of the room in front of a view that has it. */
static int open_front(struct terrane_array *view, const struct addition *add)
{
    struct tn_array_body *body = view->body;
    const size_t low = tn_view_low(view);
    const size_t step = add->exact ? add->bytes : tn_max(add->bytes, step_of(tn_view_bytes(view)));
    const size_t whole = !add->exact && grows_whole(view) ? TN_HUGE_BYTES : tn_os_page_bytes();
    const size_t usable = tn_round_down(low - tn_min(step, low), whole);
    if (usable >= body->usable)
        return 0;
    /* A page that units start in is committed, and who is refused room loses what he asked for. */
    const size_t end = tn_round_down(body->usable, tn_os_page_bytes());
    if (body->room.run && usable < end) {
        const int error =
            tn_space_commit(body->room.space, body->room.start + usable, end - usable);
        if (error != 0)
            return error;
        if (!add->exact && brings_pages(&body->room, tn_view_bytes(view)))
            bring_pages(body->room.start + usable, tn_min(body->usable - usable, 2 * STEP_MAX));
    }
    body->usable = usable;
    return 0;
}

static int make_front(struct terrane_array **array, const struct addition *add)
{
    struct terrane_array *view = go_on(array, TN_END_FRONT);
    if (terrane_array_holders(view) == 1) {
        tn_view_claim(view, TN_END_FRONT);
        if (tn_view_has(view, TN_END_FRONT) && tn_view_low(view) >= add->bytes) {
            const int error = open_front(view, add);
            if (error != 0)
                return error;
            tn_view_claim(view, TN_END_FRONT); /* asks whose the blocks are that it has now */
            if (tn_view_has(view, TN_END_FRONT))
                return 0;
        }
    }
    const size_t total = tn_view_bytes(view) + add->bytes;
    const size_t front = add->bytes + (add->exact ? 0 : ahead_in_front(view, total));
    const size_t behind = has_behind(view, 0) ? view->body->room.bytes - tn_view_high(view) : 0;
    int error = rehouse(array, front, add->exact ? behind : tn_min(behind, total));
    if (error == -ENOMEM || error == -ENOSPC) /* perhaps there is just enough */
        error = rehouse(array, add->bytes, add->exact ? behind : 0);
    return error != 0 ? error : open_front(*array, add);
}

/* ---- the public calls ---- */

static int addition_of(const struct terrane_array *view, size_t count, bool exact,
                       struct addition *out)
{
    size_t all;
    *out = (struct addition){.exact = exact};
    if (!tn_size_add(view->length, count, &all) || !tn_size_mul(all, view->unit, &all) ||
        all > SIZE_MAX / 4)
        return -EOVERFLOW;
    out->bytes = count * view->unit;
    return view->body->room.space->foreign ? -EPERM : 0;
}

void tn_array_settle_attempt(struct terrane_array **array, struct terrane_array *old, int error)
{
    terrane_array_release(error != 0 ? *array : old);
    if (error != 0)
        *array = old;
}

/* Room at one end or both. What several hold becomes a new version on the way, before it is known
 * whether there is room; if there is none the caller has his reference back. */
static int make_room(struct terrane_array **array, const struct addition *in_front,
                     const struct addition *behind)
{
    struct terrane_array *const old = *array;
    /* Of what others see in part, a first step may make another array, and a second one fail. */
    const bool shared =
        terrane_array_holders(old) > 1 || (in_front != NULL && !tn_view_is_sole(old));
    int error = 0;
    if (shared)
        (void)terrane_array_reference(old);
    if (behind != NULL)
        error = make_behind(array, behind);
    if (error == 0 && in_front != NULL)
        error = make_front(array, in_front);
    if (shared)
        tn_array_settle_attempt(array, old, error);
    return error;
}

int terrane_array_extend(struct terrane_array **array, size_t count, void **units)
{
    struct addition add;
    int error = addition_of(*array, count, false, &add);
    if (error == 0 && count > 0)
        error = make_room(array, NULL, &add);
    if (error != 0)
        return error;
    struct terrane_array *view = *array;
    *units = view->data + tn_view_bytes(view);
    if (count > 0) /* else others may hold it, and read */
        view->length += count;
    return 0;
}

int terrane_array_extend_front(struct terrane_array **array, size_t count, void **units)
{
    struct addition add;
    int error = addition_of(*array, count, false, &add);
    if (error == 0 && count > 0)
        error = make_room(array, &add, NULL);
    if (error != 0)
        return error;
    struct terrane_array *view = *array;
    *units = view->data - add.bytes;
    if (count > 0) {
        view->data = *units;
        view->length += count;
        tn_view_measure(view);
    }
    return 0;
}

int terrane_array_reserve(struct terrane_array **array, size_t front, size_t behind)
{
    struct addition before, after;
    int error = addition_of(*array, front, true, &before);
    if (error == 0)
        error = addition_of(*array, behind, true, &after);
    return error != 0 ? error
                      : make_room(array, front > 0 ? &before : NULL, behind > 0 ? &after : NULL);
}

/* Where all of `count` units lie in an array, as an offset; false: elsewhere. Those that reach
 * beyond it are another version's, which keeps them where they are. */
static bool lie_in(const struct terrane_array *view, const char *units, size_t count,
                   size_t *offset)
{
    const size_t bytes = tn_view_bytes(view);
    *offset = (size_t)((uintptr_t)units - (uintptr_t)view->data);
    return *offset < bytes && count <= (bytes - *offset) / view->unit;
}

int terrane_array_append_slow(struct terrane_array **array, const void *units, size_t count)
{
    size_t offset;
    void *to;
    const bool inside = lie_in(*array, units, count, &offset);
    if (count == 0)
        return 0;
    const int error = terrane_array_extend(array, count, &to);
    if (error == 0)
        memcpy(to, inside ? (*array)->data + offset : units, count * (*array)->unit);
    return error;
}

int terrane_array_prepend_slow(struct terrane_array **array, const void *units, size_t count)
{
    size_t offset;
    void *to;
    const bool inside = lie_in(*array, units, count, &offset);
    if (count == 0)
        return 0;
    const int error = terrane_array_extend_front(array, count, &to);
    if (error != 0)
        return error;
    const size_t bytes = count * (*array)->unit;
    memcpy(to, inside ? (char *)to + bytes + offset : units, bytes);
    return 0;
}
