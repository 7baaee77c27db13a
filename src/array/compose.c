/* Composing: pieces of several bodies, and of the caller's memory, side by side in one.
 *
 * Whole granules of a piece come by page table where that is possible and pays: shown a second time
 * (shared backings), or moved (private ones, from bodies that nobody else shows and that end with
 * it). That needs a place which is congruent to where they lie, so the largest piece decides at
 * which offset of the new room the units start. The rest is copied: at most a granule at each end
 * of a piece, and pieces that do not fit. */
#include "array/array.h"

#include "os/os.h"

#include <errno.h>
#include <string.h>

/* From this size on the kernel moves whole page tables if both ends are aligned alike. */
#define CONGRUENT_FROM (2 * TN_HUGE_BYTES)

/* Pieces below this are copied: showing 64 KiB costs as much as copying them into fresh pages. */
#define ALIAS_MIN_BYTES (128 * TN_KIB)

/* A stretch of addresses in the new room. */
struct stretch {
    char *start, *end;
};

static bool is_shared(const struct terrane_space *space)
{
    return space->backing != TERRANE_BACKING_PRIVATE;
}

/* Whether pages of the piece may get into a room of `space` by page table. */
static bool can_go(const struct terrane_space *space, const struct tn_array_piece *piece)
{
    const struct tn_array_body *body = piece->body;
    if (body == NULL || piece->keep || !body->room.run || body->room.foreign ||
        body->room.space != space)
        return false;
    if (is_shared(space))
        return piece->bytes >= ALIAS_MIN_BYTES;
    return piece->take && piece->bytes >= tn_move_threshold(space);
}

/* Addresses that are alike modulo this can hold the same pages. */
static size_t congruence(const struct terrane_space *space, size_t bytes)
{
    const size_t granule = tn_room_granule(space);
    return bytes >= CONGRUENT_FROM ? tn_max(granule, TN_HUGE_BYTES) : granule;
}

/* Where `to` would show whole granules of the piece. Empty if nowhere. */
static struct stretch whole_granules(const struct terrane_space *space, char *to,
                                     const struct tn_array_piece *piece)
{
    const size_t granule = tn_room_granule(space);
    struct stretch none = {to, to};
    if (!can_go(space, piece) || (((uintptr_t)to ^ (uintptr_t)piece->from) & (granule - 1)) != 0)
        return none;
    char *start = to + (-(uintptr_t)to & (granule - 1));
    char *end = to + piece->bytes;
    end -= (uintptr_t)end & (granule - 1);
    return start < end ? (struct stretch){start, end} : none;
}

static void copy(struct terrane_space *space, char *to, const char *from, size_t bytes,
                 const struct tn_array_piece *piece)
{
    if (bytes == 0)
        return;
    memcpy(to, from, bytes);
    if (piece->body != NULL)
        tn_array_count(space, TN_ARRAY_COPIED_BYTES, bytes);
}

/* An exchange is three moves: it pays from so many times the size on from which one move does. */
#define EXCHANGE_COST 8

static bool exchanges(const struct tn_array_room *room)
{
    return room->warm && !is_shared(room->space);
}

/* Into a room that has warm pages: these go where the others come from, so that both stay warm. */
static int exchange(struct terrane_space *space, char *a, char *b, size_t bytes)
{
    if (bytes < EXCHANGE_COST * tn_move_threshold(space))
        return -ENOTSUP;
    return tn_space_exchange(space, a, b, bytes);
}

/* Moves whole granules from a body that ends with it, else shows them twice; false: the kernel or
 * the mapping budget refuses, or it does not pay. */
static bool remap(const struct tn_array_room *room, const struct stretch *whole, char *source,
                  bool take)
{
    struct terrane_space *space = room->space;
    const size_t bytes = (size_t)(whole->end - whole->start);
    int error;
    if (!take)
        error = tn_space_alias(space, source, whole->start, bytes);
    else if (exchanges(room))
        error = exchange(space, source, whole->start, bytes);
    else
        error = tn_space_move(space, source, space, whole->start, bytes);
    if (error != 0)
        return false;
    tn_array_count(space, take ? TN_ARRAY_MOVED_BYTES : TN_ARRAY_ALIASED_BYTES, bytes);
    return true;
}

static size_t offset_of(const struct tn_array_piece *piece)
{
    return (size_t)(piece->from - piece->body->room.start);
}

/* Remembers what the body of a piece has lost. Shared backings lose nothing: until it is given back
 * a run shows the file that it showed before its page tables went elsewhere, so what fails later
 * can be taken back. */
static void note_gone(const struct tn_array_piece *piece, size_t before, size_t inside)
{
    struct tn_array_body *body = piece->body;
    const size_t from = offset_of(piece) + before;
    if (!piece->take || is_shared(body->room.space))
        return;
    tn_body_lock(body);
    body->gone_mixed |= body->gone_to != 0;
    body->gone_from = from;
    body->gone_to = from + inside;
    tn_body_unlock(body);
}

/* Runs that were cut into pieces cannot say that pages were moved into them. */
static bool takes_pages(const struct tn_array_room *room)
{
    return room->run && (tn_run_flags(&room->space->buddy.nodes[room->block]) & TN_RUN_CUT) == 0;
}

/* Puts a piece by page table, but for its edges. False: nothing done. */
static bool put_pages(const struct tn_array_room *room, char *to,
                      const struct tn_array_piece *piece)
{
    const struct stretch whole = whole_granules(room->space, to, piece);
    const size_t before = (size_t)(whole.start - to);
    const size_t inside = (size_t)(whole.end - whole.start);
    if (inside == 0 || !takes_pages(room) || (exchanges(room) && !takes_pages(&piece->body->room)))
        return false;
    if (!piece->take) /* said first: where mappings run out a part may be shown though it fails */
        tn_body_share(piece->body);
    if (!remap(room, &whole, piece->body->room.start + offset_of(piece) + before, piece->take))
        return false;
    copy(room->space, to, piece->from, before, piece);
    copy(room->space, whole.end, piece->from + before + inside, piece->bytes - before - inside,
         piece);
    if (!exchanges(room))
        note_gone(piece, before, inside);
    return true;
}

bool tn_array_put(const struct tn_array_room *room, char *to, const struct tn_array_piece *piece)
{
    if (put_pages(room, to, piece))
        return !piece->take || tn_body_is_aliased(piece->body);
    copy(room->space, to, piece->from, piece->bytes, piece);
    return false;
}

/* ---- whole rooms ---- */

/* Where the units start in a new room. */
struct layout {
    size_t offset, total;
    bool empty; /* pages come by page table */
};

static struct layout lay_out(const struct tn_array_plan *plan)
{
    const struct terrane_space *space = plan->arrays->space;
    const struct tn_array_piece *lead = NULL;
    struct layout layout = {.offset = plan->front};
    size_t lead_offset = 0;
    for (unsigned i = 0; i < plan->count; i++) {
        const struct tn_array_piece *piece = &plan->pieces[i];
        if (can_go(space, piece) && (lead == NULL || piece->bytes > lead->bytes)) {
            lead = piece;
            lead_offset = layout.total;
        }
        layout.total += piece->bytes;
    }
    if (lead != NULL) { /* the room starts at a multiple of all that is asked for here */
        const size_t mask = congruence(space, lead->bytes) - 1;
        layout.offset += ((uintptr_t)lead->from - lead_offset - plan->front) & mask;
        layout.empty = true;
    }
    return layout;
}

/* Makes the pages of [from, to) of the room usable. */
static int commit(const struct tn_array_room *room, const char *from, const char *to)
{
    const size_t page = tn_os_page_bytes();
    const size_t start = tn_round_down((size_t)(from - room->start), page);
    const size_t end = tn_round_up((size_t)(to - room->start), page);
    return from < to ? tn_space_commit(room->space, room->start + start, end - start) : 0;
}

/* The same on files. Private memory is committed before: what is moved out of a body cannot be
 * taken back, so nothing may fail afterwards. */
static int commit_file(const struct tn_array_room *room, char *from, const char *to)
{
    return is_shared(room->space) ? commit(room, from, to) : 0;
}

/* Commits only what pages do not come to from elsewhere: on files that would be room for nothing.
 */
static int place(const struct tn_array_room *room, char *to, const struct tn_array_piece *piece,
                 bool *aliased)
{
    const struct stretch whole = whole_granules(room->space, to, piece);
    int error = commit_file(room, to, whole.start);
    if (error == 0)
        error = commit_file(room, whole.end, to + piece->bytes);
    if (error != 0)
        return error;
    *aliased |= whole.start < whole.end && (!piece->take || tn_body_is_aliased(piece->body));
    if (put_pages(room, to, piece))
        return 0;
    error = commit_file(room, whole.start, whole.end);
    if (error == 0)
        copy(room->space, to, piece->from, piece->bytes, piece);
    return error;
}

/* The room in front is committed as it is taken. */
static int fill(const struct tn_array_plan *plan, const struct tn_array_room *room, size_t offset,
                bool *aliased)
{
    char *to = room->start + offset;
    int error = 0;
    /* Where private memory has to be committed, that must not fail after pages have moved. */
    if (room->space->lazy_commit)
        error = commit(room, to, room->start + room->bytes);
    for (unsigned i = 0; i < plan->count && error == 0; i++) {
        error = place(room, to, &plan->pieces[i], aliased);
        to += plan->pieces[i].bytes;
    }
    return error == 0 ? commit_file(room, to, room->start + room->bytes) : error;
}

int tn_array_compose(const struct tn_array_plan *plan, struct tn_array_place *out)
{
    struct layout layout = lay_out(plan);
    struct tn_array_room *room = &out->room;
    struct tn_array_need need = {.empty = layout.empty, .huge = plan->huge, .run = plan->own_pages};
    size_t rounded;
    if (!tn_size_add(layout.offset + layout.total, plan->behind, &need.bytes) ||
        !tn_size_round_up(need.bytes, plan->arrays->space->page_bytes, &rounded))
        return -ENOMEM;
    /* Of a huge page the rest is room where the array grows. */
    if (plan->front > plan->behind && need.bytes > TN_SMALL_MAX) {
        layout.offset += tn_round_down(rounded - need.bytes, TN_HUGE_BYTES);
        need.bytes = rounded;
    }
    int error = tn_room_take(plan->arrays, &need, room);
    if (error != 0)
        return error;
    out->aliased = false;
    out->data = room->start + layout.offset;
    if (layout.empty && room->run) {
        error = fill(plan, room, layout.offset, &out->aliased);
    } else {
        char *to = out->data;
        for (unsigned i = 0; i < plan->count; to += plan->pieces[i++].bytes)
            copy(room->space, to, plan->pieces[i].from, plan->pieces[i].bytes, &plan->pieces[i]);
    }
    if (error != 0)
        tn_room_give(room);
    else if (layout.empty && plan->huge && room->run)
        tn_space_want_huge(room->space, room->block, room->order, room->bytes);
    return error;
}
