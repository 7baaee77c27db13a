/* Aligned objects: vectors for SIMD, cache lines, pages for direct I/O, among ordinary objects. */
#include "sizes.h"
#include "slots.h"

struct aligned {
    struct worker base;
    struct sizes sizes;
    uint32_t live;
    uint64_t steps;
};

static struct aligned aligned;

/* Mostly 32 and 64 bytes, sometimes a page. */
static size_t draw_alignment(struct random *random)
{
    static const size_t alignments[] = {32, 32, 32, 64, 64, 64, 64, 64, 128, 128, 256, 512, 4096};
    return alignments[random_below(random, sizeof(alignments) / sizeof(alignments[0]))];
}

static void slot_fill_aligned(struct slot *slot, size_t alignment, size_t size, uint64_t tag)
{
    void *object = NULL;
    if (posix_memalign(&object, alignment, size) != 0)
        worker_fail("posix_memalign(%zu, %zu) failed", alignment, size);
    if ((uintptr_t)object % alignment != 0)
        worker_fail("an object of %zu bytes is not aligned to %zu", size, alignment);
    stamp_write(object, size, tag);
    *slot = (struct slot){object, size, tag};
}

static uint64_t replace(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    struct slot *slots = slots_create(aligned.live);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < aligned.steps; i++) {
        struct slot *slot = &slots[random_below(&random, aligned.live)];
        const size_t size = sizes_draw(&aligned.sizes, &random);
        slot_empty(slot);
        if (random_below(&random, 2) == 0)
            slot_fill(slot, size, i);
        else
            slot_fill_aligned(slot, draw_alignment(&random), size, i);
        sum += size;
    }
    slots_destroy(slots, aligned.live);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &aligned.base;
    worker_init(worker, argc, argv);
    sizes_init(&aligned.sizes, worker_word(worker, "sizes", "objects"));
    aligned.live = (uint32_t)worker_number(worker, "live", 5000);
    aligned.steps = worker_number(worker, "steps", 1000000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, replace);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
