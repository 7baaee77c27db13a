/* Memory of bodies: small objects of the shared heaps, and runs of the pool. */
#include "array/array.h"

#include "os/os.h"

#include <errno.h>

/* Orders of addresses that runs of 2 MiB and more take beyond what their bytes need. */
#define SLACK 2

size_t tn_room_granule(const struct terrane_space *space)
{
    return space->backing == TERRANE_BACKING_PRIVATE ? tn_os_page_bytes()
                                                     : tn_max(space->page_bytes, TN_BLOCK_BYTES);
}

static int take_object(struct tn_arrays *arrays, size_t bytes, struct tn_array_room *out)
{
    char *object = tn_array_object(arrays, TN_ARRAY_UNITS, bytes);
    if (object == NULL)
        return arrays->space->foreign ? -EPERM : -ENOMEM;
    *out = (struct tn_array_room){
        .space = arrays->space, .start = object, .bytes = terrane_usable_size(object)};
    return 0;
}

/* Orders of addresses beyond what the bytes need: up to 2 MiB in any case, so that a small array
 * that grows stays where it is. */
static unsigned slack_of(unsigned order)
{
    return order < TN_HUGE_ORDER ? TN_HUGE_ORDER - order : SLACK;
}

static int take_run(struct terrane_space *space, const struct tn_array_need *need,
                    struct tn_array_room *out)
{
    struct tn_run run;
    const bool commits = space->backing != TERRANE_BACKING_PRIVATE || space->lazy_commit;
    struct tn_wish wish = {.cold = need->empty && commits, .roomy = true, .whole = true};
    if (!tn_size_round_up(tn_max(need->bytes, 1), space->page_bytes, &wish.bytes))
        return -ENOMEM;
    wish.slack = slack_of(tn_order_of_bytes(wish.bytes));
    const int error = tn_pool_acquire_pressed(space, &wish, &run);
    if (error != 0)
        return tn_pool_refused(space, error);
    *out = (struct tn_array_room){.space = space,
                                  .start = tn_block_addr(space, run.block),
                                  .bytes = wish.bytes,
                                  .block = run.block,
                                  .order = (uint8_t)run.order,
                                  .run = true,
                                  .warm = !run.zero};
    if (need->huge && !need->empty)
        tn_space_want_huge(space, run.block, run.order, wish.bytes);
    return 0;
}

int tn_room_take(struct tn_arrays *arrays, const struct tn_array_need *need,
                 struct tn_array_room *out)
{
    const bool small = need->bytes <= TN_SMALL_MAX && !need->run;
    const int error =
        small ? take_object(arrays, need->bytes, out) : take_run(arrays->space, need, out);
    if (error == 0)
        tn_array_count(arrays->space, TN_ARRAY_BODY_BYTES, out->bytes);
    return error;
}

static void uncount(const struct tn_array_room *room)
{
    tn_array_uncount(room->space, TN_ARRAY_BODY_BYTES, room->bytes);
}

void tn_room_give(const struct tn_array_room *room)
{
    uncount(room);
    if (room->run)
        tn_pool_release(room->space, room->block, room->order, room->bytes);
    else
        tn_array_object_free(tn_arrays_if_any(room->space), TN_ARRAY_UNITS, room->start);
}

/* Private pages outside what was moved are still there, and the run is to be clean. A shared run is
 * given back whole. */
void tn_room_give_moved(const struct tn_array_room *room, size_t from, size_t to)
{
    struct terrane_space *space = room->space;
    const bool private = space->backing == TERRANE_BACKING_PRIVATE;
    if (private &&
        ((from > 0 && tn_space_discard(space, room->start, from) != 0) ||
         (to < room->bytes && tn_space_discard(space, room->start + to, room->bytes - to) != 0))) {
        tn_room_give(room);
        return;
    }
    uncount(room);
    tn_pool_release_empty(space, room->block, room->order, room->bytes);
}

int tn_room_extend(struct tn_array_room *room, size_t bytes, bool huge)
{
    unsigned order = room->order;
    const size_t before = room->bytes;
    if (!room->run)
        return -ENOTSUP;
    if (!tn_size_round_up(bytes, room->space->page_bytes, &bytes))
        return -ENOMEM;
    if (bytes <= before)
        return 0;
    const int error = tn_pool_resize(room->space, room->block, &order, before, bytes);
    room->order = (uint8_t)order; /* addresses that were gained stay */
    if (error != 0)
        return error;
    room->bytes = bytes;
    tn_array_count(room->space, TN_ARRAY_BODY_BYTES, bytes - before);
    if (huge)
        tn_space_want_huge(room->space, room->block, order, bytes);
    return 0;
}

void tn_room_cut(struct tn_array_room *room, size_t bytes)
{
    unsigned order = room->order;
    const size_t before = room->bytes;
    bytes = tn_max(tn_round_up(bytes, room->space->page_bytes), room->space->page_bytes);
    if (!room->run || bytes >= before ||
        tn_pool_resize(room->space, room->block, &order, before, bytes) != 0)
        return; /* refused: the memory goes with the rest */
    room->bytes = bytes;
    tn_array_uncount(room->space, TN_ARRAY_BODY_BYTES, before - bytes);
}
