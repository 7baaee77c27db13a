/* A table of live objects, each known with its size and stamp. */
#ifndef TERRANE_BENCH_SLOTS_H
#define TERRANE_BENCH_SLOTS_H

#include "stamp.h"

struct slot {
    void *object;
    size_t size;
    uint64_t tag;
};

static inline struct slot *slots_create(size_t count)
{
    struct slot *slots = calloc(count, sizeof(struct slot));
    if (slots == NULL)
        worker_fail("calloc of %zu slots failed", count);
    return slots;
}

static inline void slot_fill(struct slot *slot, size_t size, uint64_t tag)
{
    *slot = (struct slot){get_stamped(size, tag), size, tag};
}

/* Checks and frees the object of a slot; an empty slot is left alone. */
static inline void slot_empty(struct slot *slot)
{
    if (slot->object == NULL)
        return;
    stamp_check(slot->object, slot->size, slot->tag);
    free(slot->object);
    slot->object = NULL;
}

static inline void slots_destroy(struct slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++)
        slot_empty(&slots[i]);
    free(slots);
}

#endif
