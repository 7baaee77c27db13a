/* Random histories of the whole malloc family against a toy model: a table of live blocks with
 * their sizes and seed-derived contents. Checked at every step: alignment, usable size, contents;
 * now and then: that no two blocks overlap. SEED=... STEPS=... replay a history. */
#include "malloc_calls.h"
#include "model.h"
#include "seeds.h"
#include "test_threads.h"

#define SLOTS   600
#define THREADS 3

static void *call_some_malloc(struct seeds *seeds, size_t size, size_t *align)
{
    void *block = NULL;
    *align = MALLOC_ALIGN;
    switch (seeds_below(seeds, 8)) {
    case 0:
        block = calloc(1, hidden_size(size));
        EXPECT(block != NULL);
        EXPECT_ZERO(block, size);
        return block;
    case 1:
        *align = (size_t)1 << seeds_below(seeds, 17);
        return aligned_alloc(*align, hidden_size(size));
    case 2:
        *align = sizeof(void *) << seeds_below(seeds, 12);
        EXPECT(posix_memalign(&block, *align, hidden_size(size)) == 0);
        return block;
    case 3:
        return realloc(NULL, hidden_size(size));
    default:
        return malloc(hidden_size(size));
    }
}

static void step_allocate(struct model *model, size_t slot)
{
    size_t align;
    const size_t size = seeds_size(&model->seeds, seeds_chance(&model->seeds, 2) ? 23 : 14);
    void *block = hidden(call_some_malloc(&model->seeds, size, &align));
    EXPECT_THAT(block != NULL, "%zu bytes aligned to %zu", size, align);
    EXPECT_THAT(is_aligned(block, align) && is_aligned(block, MALLOC_ALIGN), "%p for %zu", block,
                align);
    model_add(model, slot, block, size);
    EXPECT(malloc_usable_size(block) >= size);
    /* Some programs use all of it; the model then owns the whole block. */
    if (seeds_chance(&model->seeds, 10))
        model_enlarge(model, slot, malloc_usable_size(block));
}

static void step_resize(struct model *model, size_t slot)
{
    struct model_block *block = &model->blocks[slot];
    const size_t size = seeds_size(&model->seeds, seeds_chance(&model->seeds, 5) ? 23 : 14);
    void *moved = seeds_chance(&model->seeds, 30) ? reallocarray(block->address, size, 1)
                                                  : realloc(block->address, hidden_size(size));
    moved = hidden(moved);
    EXPECT_THAT(moved != NULL && is_aligned(moved, MALLOC_ALIGN), "%p for %zu", moved, size);
    EXPECT(malloc_usable_size(moved) >= size);
    model_resized(model, slot, moved, size);
}

static void step_free(struct model *model, size_t slot)
{
    const struct model_block block = model_remove(model, slot);
    errno = 77;
    free(hidden(block.address));
    EXPECT(errno == 77);
}

static void *history(void *context)
{
    struct model *model = context;
    for (uint64_t step = 0; step < model->steps; step++) {
        const size_t slot = (size_t)seeds_below(&model->seeds, model->slots);
        if (model->blocks[slot].address == NULL)
            step_allocate(model, slot);
        else if (seeds_chance(&model->seeds, 40))
            step_resize(model, slot);
        else
            step_free(model, slot);
        if (step % 4096 == 4095)
            model_check(model);
        if (step % 65536 == 65535)
            malloc_trim(0);
    }
    for (size_t slot = 0; slot < model->slots; slot++) {
        if (model->blocks[slot].address != NULL)
            step_free(model, slot);
    }
    return NULL;
}

int main(void)
{
    static struct model_block blocks[THREADS][SLOTS];
    static struct model models[THREADS];
    pthread_t threads[THREADS];
    const uint64_t seed = seeds_announce("random_histories");
    const uint64_t steps = environment_number("STEPS", 60000);
    for (size_t i = 0; i < THREADS; i++) {
        models[i] = model_make(blocks[i], SLOTS, seeds_stream(seed, i), steps);
        threads[i] = thread_start(history, &models[i]);
    }
    for (size_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    return 0;
}
