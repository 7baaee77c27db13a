/* Random replacement: a table of live objects, of which a random one is freed and replaced, again
 * and again. Lifetimes have no order at all, so that freed objects of a class lie scattered. */
#include "sizes.h"
#include "slots.h"

struct mix {
    struct worker base;
    struct sizes sizes;
    uint32_t live;
    uint64_t steps;
};

static struct mix mix;

static uint64_t replace(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    struct slot *slots = slots_create(mix.live);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < mix.steps; i++) {
        struct slot *slot = &slots[random_below(&random, mix.live)];
        slot_empty(slot);
        slot_fill(slot, sizes_draw(&mix.sizes, &random), i);
        sum += slot->size;
    }
    slots_destroy(slots, mix.live);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &mix.base;
    worker_init(worker, argc, argv);
    sizes_init(&mix.sizes, worker_word(worker, "sizes", "objects"));
    mix.live = (uint32_t)worker_number(worker, "live", 10000);
    mix.steps = worker_number(worker, "steps", 1000000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, replace);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
