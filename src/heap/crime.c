/* The user's crimes: one exact line, then abort. docs/compatibility.md lists them. */
#include "heap/layout.h"
#include "pool/pool.h"

_Noreturn void tn_crime_foreign(const void *pointer)
{
    tn_die("invalid free: pointer %p is not an object of any heap", pointer);
}

_Noreturn void tn_crime_double(const void *pointer)
{
    tn_die("double free: pointer %p was freed before", pointer);
}

_Noreturn void tn_crime_wrong_size(const void *pointer, size_t size, size_t usable)
{
    tn_die("free of wrong size: pointer %p was freed with size %z, its object has %z", pointer,
           size, usable);
}

/* Whether the pointer lies behind the start of a large object. */
static bool inside_large(const struct terrane_space *space, const void *pointer)
{
    const uint32_t block = tn_block_of(space, pointer);
    for (unsigned order = 0; order <= TN_ORDER_MAX; order++) {
        const uint32_t head = block & ~(((uint32_t)1 << order) - 1);
        const struct tn_block *descriptor = tn_block_at(space, head);
        if (head < space->buddy.frontier && descriptor->use == TN_USE_LARGE &&
            descriptor->order >= order)
            return pointer != tn_block_addr(space, head) + descriptor->offset;
    }
    return false;
}

_Noreturn void tn_crime_invalid(const struct terrane_space *space, const void *pointer)
{
    const size_t minipage = tn_offset_of(space, pointer) >> TN_MINIPAGE_SHIFT;
    if (TN_MINI_CLASS(tn_mini(space)[minipage]) != TN_CLASS_NONE || inside_large(space, pointer))
        tn_die("invalid free: pointer %p lies inside an object, not at its start", pointer);
    if (tn_region_in_use(space, pointer))
        tn_die("invalid free: pointer %p is a region, not an object", pointer);
    /* Addresses that were handed out before and are free now. */
    const uint32_t block = tn_block_of(space, pointer);
    if (block < space->buddy.frontier && (uintptr_t)pointer % TN_OBJECT_ALIGN == 0)
        tn_crime_double(pointer);
    tn_crime_foreign(pointer);
}
