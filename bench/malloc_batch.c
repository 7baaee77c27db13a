/* Batches of one size: allocate n objects, free them, in the order of allocation, backwards, and
 * every other one first; over the sizes and batch lengths that a fast path is made for. What is
 * left to measure is the bare pair of malloc and free. */
#include "stamp.h"

#define BATCH_MAX 1600

static const size_t batch_sizes[] = {16, 32, 48, 64, 112, 128, 256, 512, 1024};
static const unsigned batch_counts[] = {25, 100, 400, BATCH_MAX};

struct batch {
    struct worker base;
    uint64_t steps;
};

static struct batch batch;

static void fill(void **objects, unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++) {
        objects[i] = get_memory(size);
        *(volatile unsigned *)objects[i] = i;
    }
}

static uint64_t check_and_free(void *object, unsigned index)
{
    const unsigned found = *(volatile unsigned *)object;
    if (found != index)
        worker_fail("object %u was overwritten", index);
    free(object);
    return found;
}

static uint64_t one_batch(void **objects, unsigned count, size_t size)
{
    uint64_t sum = 0;
    fill(objects, count, size);
    for (unsigned i = 0; i < count; i++)
        sum += check_and_free(objects[i], i);
    fill(objects, count, size);
    for (unsigned i = count; i > 0; i--)
        sum += check_and_free(objects[i - 1], i - 1);
    fill(objects, count, size);
    for (unsigned i = 0; i < count; i += 2)
        sum += check_and_free(objects[i], i);
    for (unsigned i = 1; i < count; i += 2)
        sum += check_and_free(objects[i], i);
    return sum;
}

static uint64_t run_batches(const struct worker *worker, unsigned index)
{
    (void)worker;
    (void)index;
    void **objects = get_memory(BATCH_MAX * sizeof(void *));
    uint64_t sum = 0;
    for (size_t s = 0; s < sizeof(batch_sizes) / sizeof(batch_sizes[0]); s++) {
        for (size_t c = 0; c < sizeof(batch_counts) / sizeof(batch_counts[0]); c++) {
            for (uint64_t done = 0; done < batch.steps; done += batch_counts[c])
                sum += one_batch(objects, batch_counts[c], batch_sizes[s]);
        }
    }
    free(objects);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &batch.base;
    worker_init(worker, argc, argv);
    batch.steps = worker_number(worker, "steps", 100000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, run_batches);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
