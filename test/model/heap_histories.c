/* Random histories of heaps in spaces of each backing against a toy model: objects are allocated,
 * resized, moved between heaps and spaces, given to other heaps, freed; heaps are trimmed,
 * abandoned, adopted, destroyed with all they hold; everything is audited and walked. SEED=...
 * STEPS=... */
#include "model.h"

#include <terrane/terrane.h>

#define SPACES 4 /* two private, one memfd, one scratch */
#define HEAPS  9
#define SLOTS  1200

static struct terrane_space *spaces[SPACES];
static struct terrane_heap *heaps[HEAPS];
static struct terrane_heap *owners[SLOTS]; /* of the model's blocks */
static struct model_block blocks[SLOTS];
static struct model model;

static size_t draw(size_t limit)
{
    return (size_t)seeds_below(&model.seeds, limit);
}

static bool chance(unsigned percent)
{
    return seeds_chance(&model.seeds, percent);
}

static size_t draw_size(void)
{
    return seeds_size(&model.seeds, chance(4) ? 23 : 13);
}

static void open_space(size_t i)
{
    static const enum terrane_backing backings[SPACES] = {
        TERRANE_BACKING_PRIVATE, TERRANE_BACKING_PRIVATE, TERRANE_BACKING_MEMFD,
        TERRANE_BACKING_SCRATCH};
    const struct terrane_space_options options = {
        .backing = backings[i],
        .window_bytes = (size_t)16 << 30,
        .scratch_dir = backings[i] == TERRANE_BACKING_SCRATCH ? "/tmp" : NULL,
        .mappings_budget = i == 1 ? 50 : 0,
        .move_min_bytes = (size_t)32 << 10 << i};
    const int error = terrane_space_create(&options, &spaces[i]);
    EXPECT_THAT(error == 0, "%d", error);
}

/* The last heap of each space is hardened. */
static void open_heap(size_t i)
{
    const struct terrane_heap_options options = {.hardened = i >= HEAPS - SPACES,
                                                 .fresh_ratio = (unsigned)draw(3) * 50};
    EXPECT(terrane_heap_create(spaces[i % SPACES], &options, &heaps[i]) == 0);
}

static void check_object(size_t slot)
{
    const struct model_block *block = &blocks[slot];
    EXPECT(((uintptr_t)block->address & 15) == 0);
    EXPECT(terrane_usable_size(block->address) >= block->size);
    EXPECT_THAT(terrane_heap_of(block->address) == owners[slot], "%p of slot %zu", block->address,
                slot);
}

static void step_allocate(size_t slot)
{
    struct terrane_heap *heap = heaps[draw(HEAPS)];
    const size_t size = draw_size();
    const size_t align = (size_t)1 << draw(16);
    void *object;
    if (chance(20)) {
        object = terrane_heap_alloc_aligned(heap, align, size);
        EXPECT(((uintptr_t)object & (align - 1)) == 0);
    } else if (chance(20)) {
        object = terrane_heap_alloc_zeroed(heap, size);
        EXPECT(object != NULL);
        EXPECT_ZERO(object, size);
    } else {
        object = terrane_heap_alloc(heap, size);
    }
    EXPECT_THAT(object != NULL, "%zu bytes aligned to %zu", size, align);
    owners[slot] = heap;
    model_add(&model, slot, object, size);
    if (chance(10))
        model_enlarge(&model, slot, terrane_usable_size(object));
}

static void step_resize(size_t slot)
{
    const size_t size = draw_size();
    void *const old = blocks[slot].address;
    struct terrane_heap *heap = chance(50) ? owners[slot] : heaps[draw(HEAPS)];
    if (chance(20)) {
        if (terrane_resize_in_place(old, size) == 0)
            model_resized(&model, slot, old, size);
        return;
    }
    void *object = terrane_heap_resize(heap, old, size);
    EXPECT_THAT(object != NULL, "resize to %zu", size);
    if (object != old)
        owners[slot] = heap;
    model_resized(&model, slot, object, size);
}

static void step_move(size_t slot)
{
    struct terrane_heap *heap = heaps[draw(HEAPS)];
    const int error = terrane_heap_move(heap, &blocks[slot].address);
    EXPECT_THAT(error == 0, "%d", error);
    owners[slot] = heap;
    EXPECT_INTACT(blocks[slot].address, blocks[slot].size, blocks[slot].seed);
}

static void step_free(size_t slot)
{
    terrane_free(model_remove(&model, slot).address);
}

/* ---- what happens to heaps and spaces ---- */

struct count {
    const struct terrane_heap *heap;
    size_t objects;
};

static int count_object(void *object, size_t usable, void *context)
{
    struct count *count = context;
    EXPECT(terrane_heap_of(object) == count->heap);
    EXPECT(terrane_usable_size(object) == usable);
    count->objects++;
    return 0;
}

static void walk_heap(size_t i)
{
    struct count count = {.heap = heaps[i]};
    size_t mine = 0;
    for (size_t slot = 0; slot < SLOTS; slot++)
        mine += blocks[slot].address != NULL && owners[slot] == heaps[i];
    EXPECT(terrane_heap_walk(heaps[i], count_object, &count) == 0);
    EXPECT_THAT(count.objects == mine, "%zu objects, %zu in the model", count.objects, mine);
}

static void step_destroy(size_t i)
{
    for (size_t slot = 0; slot < SLOTS; slot++) {
        if (blocks[slot].address != NULL && owners[slot] == heaps[i])
            (void)model_remove(&model, slot);
    }
    terrane_heap_destroy(heaps[i]);
    open_heap(i);
}

static void step_heap(size_t i)
{
    switch (draw(6)) {
    case 0:
        terrane_heap_trim(heaps[i]);
        break;
    case 1:
        terrane_heap_abandon(heaps[i]);
        EXPECT(terrane_heap_adopt(heaps[i]) == 0);
        break;
    case 2:
        (void)terrane_space_trim(spaces[i % SPACES]);
        break;
    case 3:
        walk_heap(i);
        break;
    case 4:
        terrane_heap_audit(heaps[i]);
        break;
    default:
        step_destroy(i);
    }
}

static void step(void)
{
    const size_t slot = draw(SLOTS);
    if (blocks[slot].address == NULL) {
        step_allocate(slot);
        return;
    }
    check_object(slot);
    const size_t what = draw(100);
    if (what < 30)
        step_resize(slot);
    else if (what < 50)
        step_move(slot);
    else
        step_free(slot);
}

int main(void)
{
    const struct seeds seeds = {seeds_announce("heap_histories")};
    model = model_make(blocks, SLOTS, seeds, environment_number("STEPS", 60000));
    for (size_t i = 0; i < SPACES; i++)
        open_space(i);
    for (size_t i = 0; i < HEAPS; i++)
        open_heap(i);
    for (uint64_t i = 0; i < model.steps; i++) {
        step();
        if (i % 200 == 199)
            step_heap(draw(HEAPS));
        if (i % 4096 == 4095)
            model_check(&model);
    }
    for (size_t i = 0; i < HEAPS; i++) {
        walk_heap(i);
        terrane_heap_audit(heaps[i]);
    }
    for (size_t i = 0; i < SPACES; i++)
        EXPECT(terrane_space_destroy(spaces[i]) == 0);
    return 0;
}
