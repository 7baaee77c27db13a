/* A fixed workload through everything that calls the os floor: spaces, heaps, small and large
 * objects, growth, moves, aliases, guards, frees, trims, destruction. Whatever is refused is
 * counted and must have changed nothing: contents, addresses, structure. */
#ifndef TEST_FAULT_WORKLOAD_H
#define TEST_FAULT_WORKLOAD_H

#include "model.h"

#include <terrane/terrane.h>

#include "pool/pool.h"
#include "space/space.h"

#define WORKLOAD_OBJECTS 48
#define WORKLOAD_HEAPS   3 /* the last one is hardened */
#define WORKLOAD_WINDOW  ((size_t)4 << 30)
#define WORKLOAD_RUN     ((size_t)256 << 10) /* of the runs that are aliased and exchanged */

struct workload {
    enum terrane_backing backing;
    const char *scratch_dir;
    struct terrane_space *space;
    struct terrane_space *other; /* of the same backing; objects move there */
    struct terrane_heap *heaps[WORKLOAD_HEAPS];
    struct terrane_heap *other_heap;
    struct model_block objects[WORKLOAD_OBJECTS];
    struct model model;
    unsigned refusals;
};

static inline void workload_check(struct workload *work)
{
    model_check(&work->model);
    for (size_t i = 0; i < WORKLOAD_HEAPS; i++) {
        if (work->heaps[i] != NULL)
            terrane_heap_audit(work->heaps[i]);
    }
    if (work->other_heap != NULL)
        terrane_heap_audit(work->other_heap);
}

/* To be called for every refusal, at once. */
static inline void workload_refused(struct workload *work)
{
    work->refusals++;
    workload_check(work);
}

/* ---- steps ---- */

static inline struct terrane_space *workload_space(struct workload *work)
{
    struct terrane_space *space = NULL;
    const struct terrane_space_options options = {.backing = work->backing,
                                                  .window_bytes = WORKLOAD_WINDOW,
                                                  .scratch_dir = work->scratch_dir,
                                                  .move_min_bytes =
                                                      1 /* whatever can be moved is */};
    const int error = terrane_space_create(&options, &space);
    EXPECT_THAT(error <= 0 && (error == 0) == (space != NULL), "%d", error);
    if (error != 0)
        work->refusals++;
    return space;
}

static inline struct terrane_heap *workload_heap(struct workload *work, struct terrane_space *space,
                                                 bool hardened)
{
    struct terrane_heap *heap = NULL;
    const struct terrane_heap_options options = {.hardened = hardened};
    const int error = terrane_heap_create(space, &options, &heap);
    EXPECT_THAT(error <= 0 && (error == 0) == (heap != NULL), "%d", error);
    if (error != 0)
        workload_refused(work);
    return heap;
}

/* Makes what is not there yet; false if something is still missing. */
static inline bool workload_open(struct workload *work)
{
    if (work->space == NULL)
        work->space = workload_space(work);
    if (work->other == NULL)
        work->other = workload_space(work);
    if (work->space == NULL || work->other == NULL)
        return false;
    bool complete = true;
    for (size_t i = 0; i < WORKLOAD_HEAPS; i++) {
        if (work->heaps[i] == NULL)
            work->heaps[i] = workload_heap(work, work->space, i == WORKLOAD_HEAPS - 1);
        complete = complete && work->heaps[i] != NULL;
    }
    if (work->other_heap == NULL)
        work->other_heap = workload_heap(work, work->other, false);
    return complete && work->other_heap != NULL;
}

/* Every sixth object is large, up to 250 KiB. */
static inline size_t workload_size(size_t slot)
{
    return slot % 6 == 5 ? 40000 + slot * 4500 : slot * 331 % 9000 + 1;
}

static inline void *workload_get(struct terrane_heap *heap, size_t slot)
{
    switch (slot % 4) {
    case 0:
        return terrane_heap_alloc_zeroed(heap, workload_size(slot));
    case 1:
        return terrane_heap_alloc_aligned(heap, 4096, workload_size(slot));
    default:
        return terrane_heap_alloc(heap, workload_size(slot));
    }
}

static inline void workload_allocate(struct workload *work)
{
    for (size_t slot = 0; slot < WORKLOAD_OBJECTS; slot++) {
        if (work->objects[slot].address != NULL)
            continue;
        errno = 0;
        void *object = workload_get(work->heaps[slot % WORKLOAD_HEAPS], slot);
        if (object != NULL) {
            model_add(&work->model, slot, object, workload_size(slot));
            continue;
        }
        EXPECT(errno == ENOMEM);
        workload_refused(work);
    }
}

static inline void workload_resize_one(struct workload *work, size_t slot, size_t size)
{
    struct model_block *block = &work->objects[slot];
    errno = 0;
    void *moved = terrane_heap_resize(work->heaps[slot % WORKLOAD_HEAPS], block->address, size);
    if (moved == NULL) {
        EXPECT(errno == ENOMEM);
        workload_refused(work);
        return;
    }
    model_resized(&work->model, slot, moved, size);
}

static inline void workload_resize(struct workload *work)
{
    for (size_t slot = 0; slot < WORKLOAD_OBJECTS; slot += 2) {
        if (work->objects[slot].address != NULL)
            workload_resize_one(work, slot, work->objects[slot].size * 5);
    }
    for (size_t slot = 1; slot < WORKLOAD_OBJECTS; slot += 2) {
        if (work->objects[slot].address == NULL)
            continue;
        workload_resize_one(work, slot, work->objects[slot].size + 100000);
        workload_resize_one(work, slot, work->objects[slot].size / 3 + 1);
    }
}

static inline void workload_resize_in_place(struct workload *work)
{
    for (size_t slot = 0; slot < WORKLOAD_OBJECTS; slot += 5) {
        struct model_block *block = &work->objects[slot];
        if (block->address == NULL)
            continue;
        const size_t size = block->size + 20000;
        const int error = terrane_resize_in_place(block->address, size);
        EXPECT_THAT(error == 0 || error == -ENOMEM || error == -ENOTSUP || error == -ENOSPC ||
                        error == -EIO,
                    "%d", error);
        if (error == 0)
            model_resized(&work->model, slot, block->address, size);
    }
}

/* Gives an object to a heap; addresses change only on success. */
static inline void workload_give(struct workload *work, size_t slot, struct terrane_heap *heap)
{
    struct model_block *block = &work->objects[slot];
    void *object = block->address;
    if (object == NULL)
        return;
    const int error = terrane_heap_move(heap, &object);
    EXPECT_THAT(error <= 0, "%d", error);
    if (error != 0) {
        EXPECT(object == block->address);
        workload_refused(work);
    }
    block->address = object;
    EXPECT_INTACT(object, block->size, block->seed);
}

static inline void workload_move(struct workload *work)
{
    for (size_t slot = 0; slot < WORKLOAD_OBJECTS; slot += 3)
        workload_give(work, slot, work->heaps[(slot + 1) % WORKLOAD_HEAPS]);
    for (size_t slot = 1; slot < WORKLOAD_OBJECTS; slot += 3)
        workload_give(work, slot, work->other_heap);
}

static inline bool workload_run(struct workload *work, struct tn_run *run)
{
    const struct tn_wish wish = {.bytes = WORKLOAD_RUN, .whole = true};
    const int error = tn_pool_acquire(work->space, &wish, run);
    EXPECT_THAT(error <= 0, "%d", error);
    if (error != 0)
        workload_refused(work);
    return error == 0;
}

/* Two runs that are exchanged, and a third that shows the first where the backing can. */
static inline void workload_runs(struct workload *work)
{
    struct tn_run runs[3];
    unsigned count = 0;
    while (count < 3 && workload_run(work, &runs[count]))
        count++;
    if (count == 3) {
        char *a = tn_block_addr(work->space, runs[0].block);
        char *b = tn_block_addr(work->space, runs[1].block);
        char *c = tn_block_addr(work->space, runs[2].block);
        contents_write(a, WORKLOAD_RUN, 1);
        contents_write(b, WORKLOAD_RUN, 2);
        const bool swapped = tn_space_exchange(work->space, a, b, WORKLOAD_RUN) == 0;
        EXPECT_INTACT(a, WORKLOAD_RUN, swapped ? 2 : 1);
        EXPECT_INTACT(b, WORKLOAD_RUN, swapped ? 1 : 2);
        if (tn_space_alias(work->space, a, c, WORKLOAD_RUN) == 0) {
            contents_write(c, WORKLOAD_RUN, 3);
            EXPECT_INTACT(a, WORKLOAD_RUN, 3);
        }
        EXPECT_INTACT(b, WORKLOAD_RUN, swapped ? 1 : 2);
    }
    while (count-- > 0)
        tn_pool_release(work->space, runs[count].block, runs[count].order, WORKLOAD_RUN);
}

static inline void workload_free(struct workload *work, size_t step)
{
    for (size_t slot = 0; slot < WORKLOAD_OBJECTS; slot += step) {
        if (work->objects[slot].address != NULL)
            terrane_free(model_remove(&work->model, slot).address);
    }
}

/* ---- the whole ---- */

static inline void workload_start(struct workload *work, enum terrane_backing backing,
                                  const char *scratch_dir)
{
    *work = (struct workload){.backing = backing};
    if (backing == TERRANE_BACKING_SCRATCH)
        work->scratch_dir = scratch_dir;
    work->model = model_make(work->objects, WORKLOAD_OBJECTS, (struct seeds){1}, 0);
}

/* One pass; how many calls were refused in it. */
static inline unsigned workload_pass(struct workload *work)
{
    const unsigned before = work->refusals;
    if (workload_open(work)) {
        workload_allocate(work);
        workload_resize(work);
        workload_resize_in_place(work);
        workload_move(work);
        workload_runs(work);
        workload_check(work);
        workload_free(work, 2);
        for (size_t i = 0; i < WORKLOAD_HEAPS; i++)
            terrane_heap_trim(work->heaps[i]);
        (void)terrane_space_trim(work->space);
        workload_allocate(work);
        workload_check(work);
        workload_free(work, 1);
        workload_check(work);
    }
    return work->refusals - before;
}

/* Destroys one heap by hand and leaves the others to their spaces. */
static inline void workload_end(struct workload *work)
{
    terrane_heap_destroy(work->heaps[0]);
    EXPECT(terrane_space_destroy(work->space) == 0);
    EXPECT(terrane_space_destroy(work->other) == 0);
}

#endif
