/* A simulated memory of a few small cells, in which the stores of a thread wait in a buffer before
 * the others can see them: what x86 does (TSO), and a weaker machine on which stores to different
 * cells become visible in any order unless one of them is a release (PSO). All is plain data, so a
 * search can copy a memory and go on from it in two ways. */
#ifndef TEST_WEAK_MEMORY_H
#define TEST_WEAK_MEMORY_H

#include "expect.h"

#define WEAK_CELLS  8
#define WEAK_STORES 8

enum weak_model { WEAK_TSO, WEAK_PSO };

struct weak_store {
    uint8_t cell, value;
    uint8_t operation; /* the caller's mark */
    bool release;
};

/* The stores of one thread that are not in memory yet, oldest first; unused ones are zero. */
struct weak_buffer {
    uint8_t count;
    struct weak_store stores[WEAK_STORES];
};

/* A thread sees its own stores at once. */
static inline uint8_t weak_load(const uint8_t *memory, const struct weak_buffer *buffer,
                                unsigned cell)
{
    for (unsigned i = buffer->count; i-- > 0;) {
        if (buffer->stores[i].cell == cell)
            return buffer->stores[i].value;
    }
    return memory[cell];
}

static inline void weak_store(struct weak_buffer *buffer, struct weak_store store)
{
    EXPECT(buffer->count < WEAK_STORES);
    buffer->stores[buffer->count++] = store;
}

/* Whether the store may reach memory before the older ones of its buffer. */
static inline bool weak_may_drain(enum weak_model model, const struct weak_buffer *buffer,
                                  unsigned index)
{
    if (index > 0 && (model == WEAK_TSO || buffer->stores[index].release))
        return false;
    for (unsigned i = 0; i < index; i++) {
        if (buffer->stores[i].cell == buffer->stores[index].cell)
            return false;
    }
    return true;
}

static inline void weak_drain(uint8_t *memory, struct weak_buffer *buffer, unsigned index)
{
    memory[buffer->stores[index].cell] = buffer->stores[index].value;
    buffer->count--;
    memmove(&buffer->stores[index], &buffer->stores[index + 1],
            (buffer->count - index) * sizeof(buffer->stores[0]));
    buffer->stores[buffer->count] = (struct weak_store){0};
}

#endif
