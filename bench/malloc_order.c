/* Ordered lifetimes: last in first out, as recursion frees, or first in first out, as queues do.
 *
 * lifo: a stack that is pushed and popped in bursts of random length; the same few objects at its
 * top are reused all the time. fifo: a ring; memory comes back in the order in which it went out,
 * so that an allocator's cache of the most recently freed objects is always the wrong end. */
#include "sizes.h"
#include "slots.h"

#define BURST_MAX 200

struct order {
    struct worker base;
    struct sizes sizes;
    uint32_t live;
    uint64_t steps;
};

static struct order order;

static uint64_t last_in_first_out(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    struct slot *stack = slots_create(order.live);
    uint32_t depth = 0;
    uint64_t sum = 0;
    for (uint64_t step = 0; step < order.steps;) {
        for (uint32_t push = random_below(&random, BURST_MAX); push > 0 && depth < order.live;
             push--) {
            slot_fill(&stack[depth], sizes_draw(&order.sizes, &random), ++step);
            sum += stack[depth++].size;
        }
        for (uint32_t pop = random_below(&random, BURST_MAX); pop > 0 && depth > 0; pop--)
            slot_empty(&stack[--depth]);
    }
    slots_destroy(stack, order.live);
    return sum;
}

static uint64_t first_in_first_out(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    struct slot *ring = slots_create(order.live);
    uint64_t sum = 0;
    for (uint64_t step = 0; step < order.steps; step++) {
        struct slot *oldest = &ring[step % order.live];
        slot_empty(oldest);
        slot_fill(oldest, sizes_draw(&order.sizes, &random), step);
        sum += oldest->size;
    }
    slots_destroy(ring, order.live);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &order.base;
    worker_init(worker, argc, argv);
    sizes_init(&order.sizes, worker_word(worker, "sizes", "objects"));
    order.live = (uint32_t)worker_number(worker, "live", 10000);
    order.steps = worker_number(worker, "steps", 1000000);
    const char *which = worker_word(worker, "order", "lifo");
    worker_check_arguments(worker);
    const bool is_lifo = strcmp(which, "lifo") == 0;
    if (!is_lifo && strcmp(which, "fifo") != 0)
        worker_fail("order must be lifo or fifo, not '%s'", which);
    worker_begin(worker);
    const uint64_t sum =
        worker_run_threads(worker, is_lifo ? last_in_first_out : first_in_first_out);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
