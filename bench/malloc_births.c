/* Birth and death of threads: thousands of short-lived threads, each of which allocates a few
 * hundred objects, frees most and leaves the rest to the one that started it. What a thread costs
 * an allocator at its first call and at its end, and what becomes of what it leaves. */
#include "sizes.h"
#include "slots.h"

#define OBJECTS 300u
#define LEFT    30u

struct births {
    struct worker base;
    struct sizes sizes;
    uint64_t steps;
};

static struct births births;

struct child {
    struct random random;
    struct slot left[LEFT];
    uint64_t sum;
};

static void *live_shortly(void *argument)
{
    struct child *child = argument;
    struct slot slots[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i++) {
        slot_fill(&slots[i], sizes_draw(&births.sizes, &child->random), i);
        child->sum += slots[i].size;
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (i % (OBJECTS / LEFT) == 0)
            child->left[i / (OBJECTS / LEFT)] = slots[i];
        else
            slot_empty(&slots[i]);
    }
    return NULL;
}

static uint64_t start_children(const struct worker *worker, unsigned index)
{
    struct child child = {.random = random_make(worker->seed, index)};
    for (uint64_t i = 0; i < births.steps; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, live_shortly, &child) != 0)
            worker_fail("cannot start a thread");
        pthread_join(thread, NULL);
        for (unsigned j = 0; j < LEFT; j++)
            slot_empty(&child.left[j]);
    }
    return child.sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &births.base;
    worker_init(worker, argc, argv);
    sizes_init(&births.sizes, worker_word(worker, "sizes", "objects"));
    births.steps = worker_number(worker, "steps", 5000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, start_children);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
