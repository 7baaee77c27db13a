/* Producer and consumer: objects allocated by one thread and freed by another.
 *
 * Batches of pointers pass through a bounded queue under a lock, so that the queue itself costs
 * little. mode=one: one thread allocates everything, the other frees everything. mode=both: two
 * threads, each of which allocates for the other and frees what it gets. */
#include "sizes.h"
#include "slots.h"

#define BATCH 256u
#define QUEUE 16u /* batches in flight: bounds the memory, and keeps both threads going */

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned head; /* batches taken so far */
    unsigned tail; /* batches put so far */
    struct slot batches[QUEUE][BATCH];
};

struct handoff {
    struct worker base;
    struct sizes sizes;
    uint64_t batches;
    bool is_both;
    struct queue queues[2]; /* by the index of the thread that frees */
};

static struct handoff handoff;

static void queue_wait(struct queue *queue, bool for_room)
{
    pthread_mutex_lock(&queue->lock);
    while (for_room ? queue->tail - queue->head == QUEUE : queue->tail == queue->head)
        pthread_cond_wait(&queue->changed, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
}

static void queue_advance(struct queue *queue, unsigned *counter)
{
    pthread_mutex_lock(&queue->lock);
    ++*counter;
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

static uint64_t produce(struct queue *queue, struct random *random)
{
    uint64_t sum = 0;
    queue_wait(queue, true);
    struct slot *batch = queue->batches[queue->tail % QUEUE];
    for (unsigned i = 0; i < BATCH; i++) {
        slot_fill(&batch[i], sizes_draw(&handoff.sizes, random), i);
        sum += batch[i].size;
    }
    queue_advance(queue, &queue->tail);
    return sum;
}

static void consume(struct queue *queue)
{
    queue_wait(queue, false);
    struct slot *batch = queue->batches[queue->head % QUEUE];
    for (unsigned i = 0; i < BATCH; i++)
        slot_empty(&batch[i]);
    queue_advance(queue, &queue->head);
}

static uint64_t exchange(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    const bool produces = handoff.is_both || index == 0;
    const bool consumes = handoff.is_both || index == 1;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < handoff.batches; i++) {
        if (produces)
            sum += produce(&handoff.queues[1 - index], &random);
        if (consumes)
            consume(&handoff.queues[index]);
    }
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &handoff.base;
    worker_init(worker, argc, argv);
    worker->threads = 2;
    sizes_init(&handoff.sizes, worker_word(worker, "sizes", "objects"));
    handoff.batches = worker_number(worker, "steps", 1000000) / BATCH;
    const char *mode = worker_word(worker, "mode", "one");
    worker_check_arguments(worker);
    handoff.is_both = strcmp(mode, "both") == 0;
    if (!handoff.is_both && strcmp(mode, "one") != 0)
        worker_fail("mode must be one or both, not '%s'", mode);
    for (unsigned i = 0; i < 2; i++) {
        pthread_mutex_init(&handoff.queues[i].lock, NULL);
        pthread_cond_init(&handoff.queues[i].changed, NULL);
    }
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, exchange);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
