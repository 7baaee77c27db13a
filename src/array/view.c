/* Bodies and the views of them: who shows what, and who has the ends. */
#include "array/array.h"

#include "os/os.h"

#include <errno.h>

/* Views that are looked through for where memory ends that somebody still shows. With more of them
 * it stays until they are fewer. */
#define VIEWS_SEARCHED 64

/* What is given back at the end of a body saves at least this much. */
#define SETTLE_MIN_BYTES (64 * TN_KIB)

/* Locked. */
static void set_holder(struct tn_array_body *body, enum tn_array_end end,
                       struct terrane_array *view)
{
    atomic_store_explicit(&body->holder[end], view, memory_order_relaxed);
}

/* Locked. */
static void reach_to(struct tn_array_body *body, const struct terrane_array *view)
{
    body->reach[TN_END_FRONT] = tn_view_low(view);
    body->reach[TN_END_TAIL] = tn_view_high(view);
}

/* ---- creation ---- */

static struct tn_array_body *body_create(struct tn_arrays *arrays, const struct tn_array_room *room,
                                         bool atomic)
{
    struct tn_array_body *body = tn_array_object(arrays, TN_ARRAY_SAID, sizeof(*body));
    if (body == NULL)
        return NULL;
    *body = (struct tn_array_body){.room = *room, .atomic = atomic};
    body->lock = (uint32_t)((uintptr_t)body >> 7) % TN_ARRAY_STRIPES;
    tn_array_count(arrays->space, TN_ARRAY_BODIES, 1);
    return body;
}

/* Gives the room of a body back, of which pages may have been moved away. */
static void give_room(struct tn_array_body *body)
{
    if (body->room.start == NULL)
        return;
    if (body->gone_to != 0 && !body->gone_mixed)
        tn_room_give_moved(&body->room, body->gone_from, body->gone_to);
    else
        tn_room_give(&body->room);
    body->gone_from = body->gone_to = 0;
    body->gone_mixed = false;
}

static void body_destroy(struct tn_array_body *body)
{
    struct terrane_space *space = body->room.space;
    give_room(body);
    tn_array_object_free(tn_arrays_if_any(space), TN_ARRAY_SAID, body);
    tn_array_uncount(space, TN_ARRAY_BODIES, 1);
}

/* Locked. */
static void link_view(struct tn_array_body *body, struct terrane_array *view)
{
    view->body = body;
    view->previous = NULL;
    view->next = body->newest;
    if (view->next != NULL)
        view->next->previous = view;
    body->newest = view;
    body->views++;
}

/* Locked. */
static void unlink_view(struct tn_array_body *body, struct terrane_array *view)
{
    if (view->previous != NULL)
        view->previous->next = view->next;
    else
        body->newest = view->next;
    if (view->next != NULL)
        view->next->previous = view->previous;
    body->views--;
}

static struct terrane_array *make_view(struct terrane_space *space, uint32_t unit, uint32_t flags,
                                       char *data, size_t length)
{
    struct terrane_array *view =
        tn_array_object(tn_arrays_if_any(space), TN_ARRAY_SAID, sizeof(*view));
    if (view == NULL)
        return NULL;
    *view = (struct terrane_array){
        .data = data, .length = length, .unit = unit, .holders = 1, .flags = flags};
    tn_array_count(space, TN_ARRAY_VIEWS, 1);
    return view;
}

struct terrane_array *tn_view_create(struct tn_array_body *body, uint32_t unit, uint32_t flags,
                                     char *data, size_t length)
{
    struct terrane_array *view = make_view(body->room.space, unit, flags, data, length);
    if (view == NULL)
        return NULL;
    tn_body_lock(body);
    link_view(body, view);
    if (body->views == 1) {
        view->body = body;
        reach_to(body, view);
    }
    tn_body_unlock(body);
    return view;
}

struct terrane_array *tn_array_shell(struct tn_arrays *arrays, const struct terrane_array *like)
{
    const struct tn_array_room none = {.space = arrays->space};
    struct tn_array_body *body =
        body_create(arrays, &none, (like->flags & TERRANE_ARRAY_ATOMIC) != 0);
    if (body == NULL)
        return NULL;
    struct terrane_array *view = tn_view_create(body, like->unit, like->flags, NULL, 0);
    if (view == NULL)
        body_destroy(body);
    return view;
}

/* ---- who sees what ---- */

bool tn_view_is_sole(const struct terrane_array *view)
{
    if (terrane_array_holders(view) != 1)
        return false;
    tn_body_lock(view->body);
    const bool sole = view->body->views == 1 && !view->body->settling;
    tn_body_unlock(view->body);
    return sole;
}

bool tn_view_is_alone(const struct terrane_array *array, size_t from, size_t to)
{
    const struct tn_array_body *body = array->body;
    if (tn_view_is_sole(array))
        return true;
    /* Of arrays of several threads the ends of others may be changing just now. */
    if (terrane_array_holders(array) != 1 || body->atomic || body->views > VIEWS_SEARCHED)
        return false;
    for (const struct terrane_array *view = body->newest; view != NULL; view = view->next) {
        if (view != array && tn_view_low(view) < to && tn_view_high(view) > from)
            return false;
    }
    return true;
}

bool tn_body_unalias(struct tn_array_body *body)
{
    /* The whole run, of which the room may have been cut: it can grow there again. */
    if (tn_body_is_aliased(body) &&
        tn_body_is_exclusive(body, 0, tn_bytes_of_order(body->room.order)))
        atomic_store_explicit(&body->aliased, false, memory_order_relaxed); /* nobody else asks */
    return !tn_body_is_aliased(body);
}

bool tn_body_is_exclusive(const struct tn_array_body *body, size_t from, size_t to)
{
    const size_t granule = tn_room_granule(body->room.space);
    if (!tn_body_is_aliased(body))
        return true;
    from = tn_round_down(from, granule);
    to = tn_round_up(to, granule);
    return tn_space_exclusive(body->room.space, body->room.start + from, to - from);
}

/* Where the furthest views end, if they are few. Only who has an end changes it without the lock:
 * that of the tail its length, that of the front its start and its length. Locked. */
static void find_ends(struct tn_array_body *body)
{
    const bool front_free = tn_body_holder(body, TN_END_FRONT) == NULL;
    const bool tail_free = tn_body_holder(body, TN_END_TAIL) == NULL;
    const bool high_known = tail_free && (front_free || !body->atomic);
    size_t low = SIZE_MAX, high = 0;
    if (body->views > VIEWS_SEARCHED)
        return;
    for (const struct terrane_array *view = body->newest; view != NULL; view = view->next) {
        if (front_free)
            low = tn_min(low, tn_view_low(view));
        if (high_known)
            high = tn_max(high, tn_view_high(view));
    }
    if (front_free)
        body->reach[TN_END_FRONT] = low;
    if (high_known)
        body->reach[TN_END_TAIL] = high;
}

/* The view no longer has the end, which is free from where it ends. Locked. */
static void let_go(struct terrane_array *view, enum tn_array_end end)
{
    char **room = end == TN_END_TAIL ? &view->limit : &view->floor;
    if (!tn_view_has(view, end))
        return;
    set_holder(view->body, end, NULL);
    view->body->reach[end] = tn_view_end(view, end);
    if (*room != NULL) /* else other holders may be reading it */
        *room = NULL;
}

static void let_both_go(struct terrane_array *view)
{
    let_go(view, TN_END_TAIL);
    let_go(view, TN_END_FRONT);
}

/* ---- the ends ---- */

void tn_view_measure(struct terrane_array *view)
{
    const struct tn_array_body *body = view->body;
    if (tn_view_has(view, TN_END_TAIL))
        view->limit = body->room.start + body->room.bytes;
    if (tn_view_has(view, TN_END_FRONT))
        view->floor = body->room.start + tn_min(body->usable, tn_view_low(view));
}

/* Takes an end that nobody has, or somebody of the same thread, who does not store just now.
 * Locked. */
static void take(struct terrane_array *view, enum tn_array_end end)
{
    struct tn_array_body *body = view->body;
    struct terrane_array *holder = tn_body_holder(body, end);
    const size_t mine = tn_view_end(view, end);
    if (body->settling || body->sealed || holder == view)
        return;
    if (holder != NULL && !body->atomic && tn_view_end(holder, end) == mine)
        let_go(holder, end);
    else if (holder != NULL)
        return;
    else if (body->views == 1)
        body->reach[end] = mine;
    else if (body->reach[end] != mine)
        find_ends(body);
    if (body->reach[end] == mine)
        set_holder(body, end, view);
}

/* Whether no other body shows what the view would store to there. */
static bool is_free(const struct terrane_array *view, enum tn_array_end end)
{
    const struct tn_array_body *body = view->body;
    return end == TN_END_TAIL ? tn_body_is_exclusive(body, tn_view_high(view), body->room.bytes)
                              : tn_body_is_exclusive(body, body->usable, tn_view_low(view));
}

void tn_view_claim(struct terrane_array *view, enum tn_array_end end)
{
    tn_body_lock(view->body);
    take(view, end);
    tn_body_unlock(view->body);
    if (tn_view_has(view, end) && !is_free(view, end)) {
        tn_body_lock(view->body);
        let_go(view, end);
        tn_body_unlock(view->body);
    }
    tn_view_measure(view);
}

bool tn_view_continue(struct terrane_array **array, enum tn_array_end end)
{
    struct terrane_array *old = *array;
    struct tn_array_body *body = old->body;
    struct terrane_array *view =
        tn_view_create(body, old->unit, old->flags, old->data, old->length);
    if (view == NULL)
        return false;
    tn_body_lock(body);
    let_go(old, end); /* its holders are several: nobody stores there just now */
    tn_body_unlock(body);
    tn_view_claim(view, end);
    if (!tn_view_has(view, end)) {
        terrane_array_release(view);
        return false;
    }
    terrane_array_release(old);
    *array = view;
    return true;
}

/* ---- giving back ---- */

/* What can be given back at the ends of a body, if it is more than what is shown. */
struct rest {
    size_t low, high; /* of what stays; 0: as it is */
};

static bool find_rest(struct tn_array_body *body, struct rest *out)
{
    const size_t page = body->room.space->page_bytes;
    if (!body->room.run || body->sealed || body->settling || body->views == 0)
        return false;
    find_ends(body);
    const size_t low = body->reach[TN_END_FRONT], high = body->reach[TN_END_TAIL];
    const size_t shown = tn_max(high - tn_min(low, high), SETTLE_MIN_BYTES);
    *out = (struct rest){0, 0};
    if (tn_body_holder(body, TN_END_FRONT) == NULL && low > body->usable + shown)
        out->low = tn_round_down(low, page);
    if (tn_body_holder(body, TN_END_TAIL) == NULL && body->room.bytes > high + shown)
        out->high = tn_round_up(high, page);
    return out->low != 0 || out->high != 0;
}

/* Of blocks that others show too nothing is given back but what is said of them here. */
static void give_rest(struct tn_array_body *body, const struct rest *rest)
{
    struct tn_array_room *room = &body->room;
    const size_t from = tn_round_up(body->usable, room->space->page_bytes);
    if (rest->low > from &&
        tn_space_discard(room->space, room->start + from, rest->low - from) == 0)
        body->usable = rest->low;
    if (rest->high != 0)
        tn_room_cut(room, rest->high);
}

/* Gives memory back that no view shows. While it is at it nobody can have the ends, and the body
 * stays. */
static void settle(struct tn_array_body *body, const struct rest *rest)
{
    give_rest(body, rest);
    tn_body_lock(body);
    body->settling = false;
    const bool last = body->views == 0;
    tn_body_unlock(body);
    if (last)
        body_destroy(body);
}

void tn_view_fit(struct terrane_array *view)
{
    struct tn_array_body *body = view->body;
    struct rest rest;
    tn_body_lock(body);
    let_both_go(view);
    const bool some = find_rest(body, &rest);
    body->settling |= some;
    tn_body_unlock(body);
    if (some)
        settle(body, &rest);
}

void tn_view_narrow(struct terrane_array *view, char *data, size_t length)
{
    struct tn_array_body *body = view->body;
    tn_body_lock(body);
    const bool keeps = body->views == 1 && !tn_body_is_aliased(body);
    if (!keeps && data + length * view->unit != view->data + tn_view_bytes(view))
        let_go(view, TN_END_TAIL);
    if (!keeps && data != view->data)
        let_go(view, TN_END_FRONT);
    view->data = data;
    view->length = length;
    tn_body_unlock(body);
    tn_view_measure(view);
}

void tn_view_resettle(struct terrane_array *view, const struct tn_array_place *place)
{
    struct tn_array_body *body = view->body;
    give_room(body);
    tn_body_lock(body);
    body->room = place->room;
    atomic_store_explicit(&body->aliased, place->aliased, memory_order_relaxed);
    body->sealed = false;
    view->data = place->data;
    view->length = place->length;
    body->usable = tn_view_low(view);
    set_holder(body, TN_END_FRONT, view);
    set_holder(body, TN_END_TAIL, view);
    tn_body_unlock(body);
    tn_view_measure(view);
}

void tn_view_seal(struct terrane_array *view)
{
    struct tn_array_body *body = view->body;
    tn_body_lock(body);
    let_both_go(view);
    body->sealed = true;
    tn_body_unlock(body);
}

/* Nobody holds the view any more. */
static void view_destroy(struct terrane_array *view)
{
    struct tn_array_body *body = view->body;
    struct tn_arrays *arrays = tn_arrays_if_any(body->room.space);
    struct rest rest;
    tn_body_lock(body);
    let_both_go(view);
    const bool outermost = (tn_body_holder(body, TN_END_TAIL) == NULL &&
                            tn_view_high(view) >= body->reach[TN_END_TAIL]) ||
                           (tn_body_holder(body, TN_END_FRONT) == NULL &&
                            tn_view_low(view) <= body->reach[TN_END_FRONT]);
    unlink_view(body, view);
    const bool last = body->views == 0 && !body->settling;
    const bool some = (outermost || body->views == VIEWS_SEARCHED) && find_rest(body, &rest);
    body->settling |= some;
    tn_body_unlock(body);
    tn_array_object_free(arrays, TN_ARRAY_SAID, view);
    tn_array_uncount(arrays->space, TN_ARRAY_VIEWS, 1);
    if (last)
        body_destroy(body);
    else if (some)
        settle(body, &rest);
}

/* ---- life ---- */

/* As long as its memory is not another array's, what was released says so. */
static void expect_held(const struct terrane_array *array)
{
    if (TN_UNLIKELY(terrane_array_holders(array) == 0))
        tn_die("invalid array: pointer %p was released before", (const void *)array);
}

struct terrane_array *terrane_array_reference(struct terrane_array *array)
{
    expect_held(array);
    if (array->body->room.space->foreign)
        return array; /* the parent counts */
    /* acquire; pairs with the release of who gave the last other reference back, and has looked at
     * what is changed below */
    const uint32_t before = (array->flags & TERRANE_ARRAY_ATOMIC) != 0
                                ? __atomic_fetch_add(&array->holders, 1, __ATOMIC_ACQUIRE)
                                : array->holders++;
    if (before == 1) /* and nobody else has the new one yet */
        array->limit = array->floor = NULL;
    return array;
}

void terrane_array_release(struct terrane_array *array)
{
    if (array == NULL)
        return;
    expect_held(array);
    if (array->body->room.space->foreign)
        return;
    if ((array->flags & TERRANE_ARRAY_ATOMIC) == 0)
        array->holders--;
    /* acq_rel; what other holders did comes before the end, and pairs with the acquire in
     * terrane_array_holders */
    else if (__atomic_fetch_sub(&array->holders, 1, __ATOMIC_ACQ_REL) != 1)
        return;
    if ((array->flags & TERRANE_ARRAY_ATOMIC) != 0 || array->holders == 0)
        view_destroy(array);
}

/* Units that a new array has room for. */
#define FIRST_BYTES 64

int terrane_array_create(struct terrane_space *space, size_t unit, unsigned flags,
                         struct terrane_array **out)
{
    const unsigned known = TERRANE_ARRAY_ATOMIC | TERRANE_ARRAY_SMALL_PAGES;
    struct terrane_array *array;
    struct tn_array_place place = {.length = 0};
    if (unit == 0 || unit > TERRANE_ARRAY_UNIT_MAX || (flags & ~known) != 0)
        return -EINVAL;
    if (space == NULL && (space = terrane_space_default()) == NULL)
        return -ENOMEM;
    struct tn_arrays *arrays = tn_arrays_of(space);
    if (arrays == NULL)
        return -ENOMEM;
    const struct tn_array_need need = {.bytes = tn_max(unit, FIRST_BYTES)};
    array = tn_array_shell(arrays, &(struct terrane_array){.unit = (uint32_t)unit, .flags = flags});
    if (array == NULL)
        return space->foreign ? -EPERM : -ENOMEM;
    const int error = tn_room_take(arrays, &need, &place.room);
    if (error != 0) {
        terrane_array_release(array);
        return error;
    }
    place.data = place.room.start;
    tn_view_resettle(array, &place);
    *out = array;
    return 0;
}
