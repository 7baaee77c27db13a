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

void *tn_sample_guarded(struct terrane_heap *heap, size_t size)
{
    if (heap->guard_left > 0) {
        heap->guard_left--;
        return NULL;
    }
    heap->guard_left = heap->guard_rate;
    const size_t page = tn_os_page_bytes();
    const size_t rounded = tn_round_up(tn_max(size, 1), TN_OBJECT_ALIGN);
    char *start = tn_large_alloc_guarded(heap, rounded, TN_OBJECT_ALIGN, false);
    if (start == NULL)
        return NULL;
    const size_t offset = tn_round_up(rounded, page) - rounded;
    tn_large_at(heap->space, start)->offset = (uint32_t)offset;
    return start + offset;
}
