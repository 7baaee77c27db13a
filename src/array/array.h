/* The array floor: arrays that grow at both ends and share their memory between versions.
 *
 * What a program holds is a header, struct terrane_array: a view of a part of a body. A body is
 * memory: a small object of a heap, or a run of the pool whose room before and behind the units
 * is addresses only. Several views may show one body:
 *
 *        start               low                        high               start + bytes
 *   body |  room in front     |  units that views show   |  room behind       |
 *                             |--- older version --------|
 *                             |      |-- slice --|
 *                             |--- newest version, which has the tail --------> limit
 *
 * At most one view has the tail: it alone may store behind what all others show, so a version goes
 * on where the older one ends without a byte copied. Likewise the front. A view whose tail is
 * somebody else's, or that stores to bytes that others show, gets a new body, composed of pieces:
 * aliased by page table where the backing can, copied where not (compose.c).
 *
 * Blocks that another body shows too may not be stored to. Bodies that were part of an alias know
 * it, and before they store they ask the space whose the blocks are.
 *
 * Threads: who holds the only reference to a header owns it. What is said of a body (its views, who
 * has its ends, how far they reach) is under one of the locks of the space's arrays if the array is
 * atomic; those of one thread take none. Memory that a view has is its holders' own business, so no
 * lock is held over system calls and copies. */
#ifndef TN_ARRAY_H
#define TN_ARRAY_H

#include "base/base.h"
#include "heap/heap.h"
#include "pool/pool.h"

#include <terrane/array.h>

/* ---- what a space keeps of its arrays (arrays.c) ---- */

#define TN_ARRAY_SHARDS  4
#define TN_ARRAY_STRIPES 64

/* What lies in heaps. What is said of arrays is private to the process, so that a child of fork has
 * it to itself and can neither change the parent's nor miss what the parent has given back. */
enum tn_array_kind {
    TN_ARRAY_SAID,  /* headers and bodies */
    TN_ARRAY_UNITS, /* units of small arrays */
    TN_ARRAY_KINDS
};

/* Heaps that threads share. */
struct tn_array_shard {
    struct tn_lock lock; /* rank TN_RANK_ARRAYS; guards what the heaps hold */
    struct terrane_heap *_Atomic heaps[TN_ARRAY_KINDS]; /* release, with acquire by who takes the
                                                           lock */
};

enum tn_array_counter {
    TN_ARRAY_VIEWS,
    TN_ARRAY_BODIES,
    TN_ARRAY_BODY_BYTES,
    TN_ARRAY_SHARED_EXTENSIONS,
    TN_ARRAY_ALIASED_BYTES,
    TN_ARRAY_MOVED_BYTES,
    TN_ARRAY_COPIED_BYTES,
    TN_ARRAY_COUNTERS
};

struct tn_arrays {
    struct terrane_space *space;
    /* Where the heaps are. Units: here, if pages are ordinary ones, else in the default space; the
     * rest there too if this space is shared. In a private space one heap has both kinds. */
    struct terrane_space *heap_spaces[TN_ARRAY_KINDS];
    struct tn_array_shard shards[TN_ARRAY_SHARDS];
    struct tn_lock stripes[TN_ARRAY_STRIPES];     /* rank TN_RANK_ARRAYS; each guards some bodies */
    _Atomic uint64_t counters[TN_ARRAY_COUNTERS]; /* relaxed */
};

/* The space's, made at the first call. NULL: no memory. */
struct tn_arrays *tn_arrays_of(struct terrane_space *space);

/* The space's, or NULL if there are none yet. A space in which an array lives has them. */
static inline struct tn_arrays *tn_arrays_if_any(const struct terrane_space *space)
{
    /* acquire; pairs with the release in tn_space_publish */
    return atomic_load_explicit(&space->arrays, memory_order_acquire);
}

static inline void tn_array_count(struct terrane_space *space, enum tn_array_counter which,
                                  uint64_t n)
{
    atomic_fetch_add_explicit(&tn_arrays_if_any(space)->counters[which], n, memory_order_relaxed);
}

static inline void tn_array_uncount(struct terrane_space *space, enum tn_array_counter which,
                                    uint64_t n)
{
    atomic_fetch_sub_explicit(&tn_arrays_if_any(space)->counters[which], n, memory_order_relaxed);
}

/* A small object of at least `bytes` (at most TN_SMALL_MAX), aligned to a page from one page up.
 * NULL: no memory. */
void *tn_array_object(struct tn_arrays *arrays, enum tn_array_kind kind, size_t bytes);
void tn_array_object_free(struct tn_arrays *arrays, enum tn_array_kind kind, void *object);

/* ---- memory of a body (room.c) ---- */

struct tn_array_room {
    struct terrane_space *space;
    char *start;
    size_t bytes;   /* that may be used, from `start` on */
    uint32_t block; /* of a run */
    uint8_t order;
    bool run;     /* a run of the pool, else a small object of a heap */
    bool warm;    /* it had pages of its own when it was taken */
    bool foreign; /* some of its pages are a file's, or another process's: they are never moved or
                     shown elsewhere, but copied */
};

/* What a body of so many bytes is made for. */
struct tn_array_need {
    size_t bytes;
    bool empty; /* pages will be moved or shown in it: nothing is committed */
    bool huge;  /* huge pages are welcome */
    bool run;   /* however small */
};

/* -ENOMEM, -ENOSPC, -EIO, -EPERM. */
int tn_room_take(struct tn_arrays *arrays, const struct tn_array_need *need,
                 struct tn_array_room *out);
void tn_room_give(const struct tn_array_room *room);

/* The same for a room whose pages from `from` to `to` have been moved away. */
void tn_room_give_moved(const struct tn_array_room *room, size_t from, size_t to);

/* Makes the room at least `bytes` long at its address; -ENOMEM and others: unchanged. */
int tn_room_extend(struct tn_array_room *room, size_t bytes, bool huge);

/* Gives back what lies behind `bytes`. */
void tn_room_cut(struct tn_array_room *room, size_t bytes);

/* The unit in which pages of a room can be shown elsewhere or moved. */
size_t tn_room_granule(const struct terrane_space *space);

/* ---- bodies and views (view.c) ---- */

/* The two ends of a body, or of a view. */
enum tn_array_end { TN_END_FRONT, TN_END_TAIL, TN_ENDS };

struct tn_array_body {
    struct tn_array_room room; /* changed by the only view, or the one with the tail */
    size_t reach[TN_ENDS];     /* part of the room that views may show, but for the room of those
                                  that have its ends; may be more than they do */
    size_t usable;             /* room in front is committed from here on */
    uint32_t views;
    uint32_t lock;                /* index of its stripe */
    struct terrane_array *newest; /* list of the views */
    /* The views that have its ends; NULL: none. Relaxed; changed under the lock. Without it a view
     * asks about itself: only its holder can make that true or false. */
    struct terrane_array *_Atomic holder[TN_ENDS];
    bool atomic;
    _Atomic bool aliased;      /* other bodies show, or showed, some of its blocks; relaxed: the
                                  blocks that others come to show are not where somebody stores */
    bool sealed;               /* nothing may be stored */
    bool gone_mixed;           /* pages were moved away in several parts */
    size_t gone_from, gone_to; /* the part that was moved away; nobody shows the body then */
    bool settling; /* memory at its end is about to be given back: nobody can have the tail */
};

/* Checks invariants I39 to I41 and I44 (audit.c). Locked. */
void tn_body_audit(const struct tn_array_body *body);

/* Locks what is said of a body, if its arrays are atomic. */
static inline void tn_body_lock(const struct tn_array_body *body)
{
    if (body->atomic)
        tn_lock_acquire(&tn_arrays_if_any(body->room.space)->stripes[body->lock]);
}

static inline void tn_body_unlock(const struct tn_array_body *body)
{
    tn_audit(tn_body_audit(body));
    if (body->atomic)
        tn_lock_release(&tn_arrays_if_any(body->room.space)->stripes[body->lock]);
}

static inline size_t tn_view_bytes(const struct terrane_array *view)
{
    return view->length * view->unit;
}

/* Where the view starts and ends in its body's room. */
static inline size_t tn_view_low(const struct terrane_array *view)
{
    return (size_t)(view->data - view->body->room.start);
}

static inline size_t tn_view_high(const struct terrane_array *view)
{
    return tn_view_low(view) + tn_view_bytes(view);
}

static inline size_t tn_view_end(const struct terrane_array *view, enum tn_array_end end)
{
    return end == TN_END_TAIL ? tn_view_high(view) : tn_view_low(view);
}

static inline struct terrane_array *tn_body_holder(const struct tn_array_body *body,
                                                   enum tn_array_end end)
{
    return atomic_load_explicit(&body->holder[end], memory_order_relaxed);
}

static inline bool tn_view_has(const struct terrane_array *view, enum tn_array_end end)
{
    return tn_body_holder(view->body, end) == view;
}

static inline bool tn_body_is_aliased(const struct tn_array_body *body)
{
    return atomic_load_explicit(&body->aliased, memory_order_relaxed);
}

/* A view of `length` units from `data` on. NULL: no memory. */
struct terrane_array *tn_view_create(struct tn_array_body *body, uint32_t unit, uint32_t flags,
                                     char *data, size_t length);

/* A view without units, like `like` in unit and flags, of a body of its own that has no room yet.
 * NULL: no memory. */
struct terrane_array *tn_array_shell(struct tn_arrays *arrays, const struct terrane_array *like);

/* Whether nobody else sees a unit in [from, to) of the body. May say no where it would take long to
 * know. */
bool tn_view_is_alone(const struct terrane_array *array, size_t from, size_t to);

/* The only view asks whether other bodies still show blocks of this one; if not, it is an ordinary
 * body again: true. */
bool tn_body_unalias(struct tn_array_body *body);

/* Whether no other body shows a block that [from, to) of this one lies in. */
bool tn_body_is_exclusive(const struct tn_array_body *body, size_t from, size_t to);

/* Whether the caller, who holds a reference, is the only one who sees the body. */
bool tn_view_is_sole(const struct terrane_array *view);

/* The holder of the only reference takes the end of the body, as far as it is free and nobody
 * else's: limit (or floor) says how much of it is there, perhaps nothing. */
void tn_view_claim(struct terrane_array *view, enum tn_array_end end);

/* A new view of what `view` shows, which takes the end over from it; the caller's
 * reference to `view`, which others hold too, goes into it. False: the end is somebody else's, or
 * there is no memory; nothing changed. */
bool tn_view_continue(struct terrane_array **view, enum tn_array_end end);

/* The only reference's view becomes [data, data + length units), a part of what it shows. */
void tn_view_narrow(struct terrane_array *view, char *data, size_t length);

/* Gives back what a view that has become much smaller leaves unshown at the ends of its body. */
void tn_view_fit(struct terrane_array *view);

/* The only view, with the only reference, lies in another room from now on, its `length` units at
 * `data`; the room that it had, if any, is given back. */
struct tn_array_place {
    struct tn_array_room room;
    char *data;
    size_t length;
    bool aliased;
};
void tn_view_resettle(struct terrane_array *view, const struct tn_array_place *place);

/* Nothing is stored to the body of an only view any more. */
void tn_view_seal(struct terrane_array *view);

/* Says anew how much room the view has at the ends that are its. */
void tn_view_measure(struct terrane_array *view);

/* ---- composing (compose.c) ---- */

struct tn_array_piece {
    const char *from;
    size_t bytes;
    struct tn_array_body *body; /* that `from` lies in; NULL: none, it is copied */
    bool keep;                  /* own copies are wanted */
    bool take;                  /* nobody else shows the body and it ends with this: pages move */
};

struct tn_array_plan {
    struct tn_arrays *arrays;
    const struct tn_array_piece *pieces;
    unsigned count;
    size_t front, behind; /* bytes of room */
    bool huge;
    bool own_pages; /* no small object */
};

/* A room with all pieces side by side. Errors as tn_room_take; nothing changed. */
int tn_array_compose(const struct tn_array_plan *plan, struct tn_array_place *out);

/* Notes that other bodies show blocks of this one. */
static inline void tn_body_share(struct tn_array_body *body)
{
    atomic_store_explicit(&body->aliased, true, memory_order_relaxed);
}

/* Puts a piece into a room that the caller may store to, from `to` on. Returns whether it shares
 * blocks with others now. Cannot fail: what cannot be shown or moved is copied. */
bool tn_array_put(const struct tn_array_room *room, char *to, const struct tn_array_piece *piece);

/* ---- growing and changing ---- */

/* The caller's array becomes `length` units of the pieces, with room for so many bytes at the ends:
 * the same header if nobody else sees it, which may `take` what is its own; else a new one. */
int tn_array_rebuild(struct terrane_array **array, const struct tn_array_plan *plan, size_t length);

/* The piece that is [first, first + count) of an array, of which the pages go along if nobody else
 * sees it. */
struct tn_array_piece tn_array_part(const struct terrane_array *array, size_t first, size_t count);

/* Whether there is room for so many bytes behind the units where they lie, now. */
bool tn_array_grow_here(struct terrane_array *view, size_t bytes);

/* Ends what was tried with one more reference to `old`, which was the caller's array: he keeps what
 * became of it, or has `old` back if it failed. */
void tn_array_settle_attempt(struct terrane_array **array, struct terrane_array *old, int error);

/* Whether all of an array is the start of a run that is its own, which the pool can take elsewhere;
 * and has it do so: the body has no room then, until it or another settles in *out. Errors as at
 * tn_pool_relocate: nothing changed. */
bool tn_array_suits_pool(const struct terrane_array *view);
int tn_array_relocate(struct terrane_array *view, struct terrane_space *space, size_t bytes,
                      struct tn_array_place *out);

static inline bool tn_array_wants_huge(const struct terrane_array *array)
{
    return (array->flags & TERRANE_ARRAY_SMALL_PAGES) == 0;
}

#endif
