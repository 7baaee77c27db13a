/* Watched malloc; see counted.h. */
#include "counted.h"

#include "os/os.h"
#include "profile.h"
#include "stats/stats.h"

/* Bytes until this thread's next sample; 0: not drawn yet. */
static __thread size_t sample_left;

static void profile_allocated(void *pointer, size_t size)
{
    if (sample_left == 0)
        sample_left = tn_profile_interval();
    if (size < sample_left) {
        sample_left -= size;
        return;
    }
    sample_left = tn_profile_interval();
    tn_profile_alloc(pointer, size);
}

/* What is measured around one call. */
struct timing {
    uint64_t start;
    uint32_t weight;
};

static struct timing timing_start(size_t size)
{
    struct timing timing = {0, tn_report_time_weight(size)};
    if (timing.weight != 0)
        timing.start = tn_os_ticks();
    return timing;
}

static void timing_end(const struct timing *timing)
{
    if (timing->weight != 0)
        tn_report_time(tn_os_ticks() - timing->start, timing->weight);
}

static size_t usable(const void *pointer)
{
    return tn_heap_usable(terrane_space_default(), pointer);
}

void *tn_counted_alloc(struct terrane_heap *heap, const struct tn_request *request)
{
    const struct timing timing = timing_start(request->size);
    void *pointer = tn_plain_alloc(heap, request);
    timing_end(&timing);
    if (pointer == NULL)
        return NULL;
    tn_report_alloc(request->size, usable(pointer));
    if (tn_profile_active())
        profile_allocated(pointer, request->size);
    return pointer;
}

void tn_counted_free(struct terrane_heap *heap, void *pointer)
{
    if (pointer == NULL)
        return;
    if (tn_space_of(pointer) == NULL)
        tn_crime_foreign(pointer);
    const size_t bytes = usable(pointer);
    if (tn_profile_active())
        tn_profile_free(pointer);
    const struct timing timing = timing_start(bytes);
    tn_heap_free(heap, pointer);
    timing_end(&timing);
    tn_report_free(bytes);
}

/* How a resize came about, read off the space's counters, which other threads change too: with
 * several threads in large resizes at once one may be taken for another. */
static enum tn_resize how_resized(const void *before, const void *after, uint64_t moves_before)
{
    if (before == after)
        return TN_RESIZE_IN_PLACE;
    const uint64_t moves = tn_counted(terrane_space_default(), TN_COUNT_MOVES);
    return moves != moves_before ? TN_RESIZE_MOVED : TN_RESIZE_COPIED;
}

void *tn_counted_resize(struct terrane_heap *heap, void *pointer, size_t size)
{
    const size_t old = usable(pointer);
    const uint64_t moves = tn_counted(terrane_space_default(), TN_COUNT_MOVES);
    const struct timing timing = timing_start(size);
    void *target = tn_heap_resize(heap, pointer, size);
    timing_end(&timing);
    if (target == NULL)
        return NULL;
    const size_t now = usable(target);
    enum tn_resize how = how_resized(pointer, target, moves);
    if (how == TN_RESIZE_IN_PLACE && now == old)
        how = TN_RESIZE_SAME;
    tn_report_resize(old, size, now, how);
    if (tn_profile_active() && target != pointer) {
        tn_profile_free(pointer);
        profile_allocated(target, size);
    }
    return target;
}
