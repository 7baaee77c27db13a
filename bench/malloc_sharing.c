/* False sharing: small objects that different threads write to all the time. They should not lie in
 * one cache line; neither those that the threads allocate, nor after they have freed an object that
 * the main thread allocated beside another thread's. */
#include "stamp.h"

#define OBJECT_BYTES 8u

struct sharing {
    struct worker base;
    uint64_t steps;
    uint64_t writes;
    void *given[WORKER_THREADS_MAX];
};

static struct sharing sharing;

static uint64_t scratch(const struct worker *worker, unsigned index)
{
    (void)worker;
    uint64_t sum = 0;
    free(sharing.given[index]);
    for (uint64_t i = 0; i < sharing.steps; i++) {
        volatile uint64_t *object = get_memory(OBJECT_BYTES);
        *object = i;
        for (uint64_t j = 0; j < sharing.writes; j++)
            *object = *object + 1;
        sum += *object;
        free((void *)(uintptr_t)object);
    }
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &sharing.base;
    worker_init(worker, argc, argv);
    sharing.steps = worker_number(worker, "steps", 1000);
    sharing.writes = worker_number(worker, "writes", 100000);
    worker_check_arguments(worker);
    for (unsigned i = 0; i < worker->threads; i++)
        sharing.given[i] = get_stamped(OBJECT_BYTES, i);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, scratch);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
