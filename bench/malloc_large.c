/* Large blocks that come and go: random replacement among few blocks of random size, each of them
 * written in full, as a buffer or an image is. What decides is whether a freed block's pages stay
 * for the next one. */
#include "random.h"
#include "slots.h"

struct large {
    struct worker base;
    uint32_t live;
    uint32_t min_bytes;
    uint32_t max_bytes;
    uint64_t steps;
};

static struct large large;

static void slot_write(struct slot *slot, size_t size, uint64_t tag)
{
    void *block = get_memory(size);
    memset(block, (int)(tag & 0xff), size);
    stamp_write(block, size, tag);
    *slot = (struct slot){block, size, tag};
}

static uint64_t churn(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    struct slot *slots = slots_create(large.live);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < large.steps; i++) {
        struct slot *slot = &slots[random_below(&random, large.live)];
        slot_empty(slot);
        slot_write(slot, random_between(&random, large.min_bytes, large.max_bytes), i);
        sum += slot->size;
    }
    slots_destroy(slots, large.live);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &large.base;
    worker_init(worker, argc, argv);
    large.live = (uint32_t)worker_number(worker, "live", 20);
    large.min_bytes = (uint32_t)worker_number(worker, "min", 5u << 20);
    large.max_bytes = (uint32_t)worker_number(worker, "max", 25u << 20);
    large.steps = worker_number(worker, "steps", 1000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, churn);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
