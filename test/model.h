/* The toy that random histories are compared with: a table of live blocks. A block's first `size`
 * bytes follow from its seed, so that every loss and every overlap shows in the contents. */
#ifndef TEST_MODEL_H
#define TEST_MODEL_H

#include "contents.h"
#include "seeds.h"

struct model_block {
    void *address; /* NULL: the slot is empty */
    size_t size;
    uint64_t seed;
};

struct model {
    struct model_block *blocks; /* `slots` of them */
    size_t slots;
    struct seeds seeds;
    uint64_t steps; /* length of the history */
};

/* A model on `slots` zeroed slots. */
static inline struct model model_make(struct model_block *blocks, size_t slots, struct seeds seeds,
                                      uint64_t steps)
{
    return (struct model){.blocks = blocks, .slots = slots, .seeds = seeds, .steps = steps};
}

static inline void model_add(struct model *model, size_t slot, void *address, size_t size)
{
    model->blocks[slot] = (struct model_block){address, size, seeds_next(&model->seeds)};
    contents_write(address, size, model->blocks[slot].seed);
}

/* The same block, of which more bytes are now looked after. */
static inline void model_enlarge(struct model *model, size_t slot, size_t size)
{
    struct model_block *block = &model->blocks[slot];
    contents_write_range(block->address, block->size, size, block->seed);
    block->size = size;
}

/* The block moved or stayed, and has `size` bytes now. */
static inline void model_resized(struct model *model, size_t slot, void *address, size_t size)
{
    struct model_block *block = &model->blocks[slot];
    const size_t kept = size < block->size ? size : block->size;
    EXPECT_INTACT(address, kept, block->seed);
    block->address = address;
    block->size = kept;
    model_enlarge(model, slot, size);
}

/* Checks a block's contents and forgets it; the caller frees it. */
static inline struct model_block model_remove(struct model *model, size_t slot)
{
    const struct model_block block = model->blocks[slot];
    EXPECT_INTACT(block.address, block.size, block.seed);
    model->blocks[slot].address = NULL;
    return block;
}

static inline int model_by_address(const void *a, const void *b)
{
    const struct model_block *left = a, *right = b;
    const uintptr_t x = (uintptr_t)left->address, y = (uintptr_t)right->address;
    return (x > y) - (x < y);
}

/* All contents, and that no two blocks overlap. */
static inline void model_check(const struct model *model)
{
    struct model_block sorted[model->slots];
    size_t count = 0;
    for (size_t slot = 0; slot < model->slots; slot++) {
        const struct model_block block = model->blocks[slot];
        if (block.address == NULL)
            continue;
        EXPECT_INTACT(block.address, block.size, block.seed);
        sorted[count++] = block;
    }
    qsort(sorted, count, sizeof(sorted[0]), model_by_address);
    for (size_t i = 1; i < count; i++) {
        const char *end = (const char *)sorted[i - 1].address + sorted[i - 1].size;
        EXPECT_THAT((uintptr_t)end <= (uintptr_t)sorted[i].address, "%p + %zu and %p overlap",
                    sorted[i - 1].address, sorted[i - 1].size, sorted[i].address);
    }
}

#endif
