/* Sampled guard pages; see sample.h.
 *
 * One of `guard_rate` refills hands out, instead of a slot, an object at the end of a page with an
 * inaccessible page behind it: a write past its end faults at once, in production too, and so does
 * any use after its free, because the run is retired and not reused warm. The cost is one run for
 * each such object, so the rate should be in the thousands. The object is a large one with an
 * offset. */
#include "heap/sample.h"

#include "heap/layout.h"
#include "os/os.h"

bool tn_guard_tail(struct terrane_space *space, void *pointer)
{
    const size_t page = tn_os_page_bytes();
    struct tn_block *descriptor = tn_large_at(space, pointer);
    char *guard = (char *)pointer + descriptor->bytes - page;
    if (tn_space_guard(space, tn_block_of(space, pointer), guard, page) != 0)
        return false;
    descriptor->tail = (uint32_t)page;
    return true;
}

void *tn_sample_guarded(struct terrane_heap *heap, size_t size)
{
    if (heap->guard_left > 0) {
        heap->guard_left--;
        return NULL;
    }
    heap->guard_left = heap->guard_rate;
    const size_t page = tn_os_page_bytes();
    const size_t rounded = tn_round_up(tn_max(size, 1), TN_OBJECT_ALIGN);
    const size_t bytes = tn_round_up(rounded, page) + page;
    char *start = tn_large_alloc(heap, bytes, TN_OBJECT_ALIGN, false);
    if (start == NULL)
        return NULL;
    if (!tn_guard_tail(heap->space, start)) {
        tn_large_free(heap->space, start);
        return NULL;
    }
    const size_t offset = bytes - page - rounded;
    tn_large_at(heap->space, start)->offset = (uint32_t)offset;
    return start + offset;
}
