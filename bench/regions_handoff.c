/* From producer to consumer: one thread acquires and touches pieces, another looks at them and
 * releases them. Between the two is a ring of 64 places with two semaphores.
 *
 * channel_s is what the ring alone costs, measured first by handing over pieces that are not
 * acquired; cost_s is the CPU time of both threads for each piece, the ring's included. */
#include "cost.h"
#include "seam.h"

#include <semaphore.h>

#define PLACES 64u

struct handoff {
    struct worker base;
    const struct seam *seam; /* NULL: the channel alone */
    size_t size;
    enum touch touch;
    double duration_s;
    struct piece ring[PLACES];
    sem_t filled;
    sem_t empty;
    struct cost consumed;
};

static struct handoff handoff;

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0 && errno == EINTR)
        continue;
}

static void hand_over(uint64_t turn, const struct piece *piece)
{
    wait_for(&handoff.empty);
    handoff.ring[turn % PLACES] = *piece;
    sem_post(&handoff.filled);
}

static void produce(void *context, uint64_t count)
{
    uint64_t *turn = context;
    for (uint64_t i = 0; i < count; i++, (*turn)++) {
        struct piece piece = {{&handoff, handoff.size}, handoff.size};
        if (handoff.seam != NULL) {
            seam_acquire(handoff.seam, handoff.size, &piece);
            piece_touch(&piece, handoff.touch, *turn);
        }
        hand_over(*turn, &piece);
    }
}

static void *consume(void *argument)
{
    (void)argument;
    const double before_s = clock_thread_s();
    const double faults = thread_faults();
    for (uint64_t turn = 0;; turn++) {
        wait_for(&handoff.filled);
        struct piece piece = handoff.ring[turn % PLACES];
        sem_post(&handoff.empty);
        if (piece.region.data == NULL)
            break;
        if (handoff.seam == NULL)
            continue;
        piece_check(&piece, handoff.touch, turn);
        handoff.seam->release(&piece);
    }
    handoff.consumed =
        (struct cost){.cpu_s = clock_thread_s() - before_s, .faults = thread_faults() - faults};
    return NULL;
}

/* The consumer sees all turns, also those in which the producer finds its batch. */
static struct cost hand_over_for(double duration_s)
{
    pthread_t consumer;
    uint64_t turn = 0;
    sem_init(&handoff.filled, 0, 0);
    sem_init(&handoff.empty, 0, PLACES);
    if (pthread_create(&consumer, NULL, consume, NULL) != 0)
        worker_fail("cannot start a thread");
    const uint64_t batch = cost_batch(produce, &turn);
    struct cost cost = cost_measure(produce, &turn, batch, duration_s);
    const struct piece end = {{NULL, 0}, 0};
    hand_over(turn, &end);
    pthread_join(consumer, NULL);
    const double share = (double)cost.count / (double)turn;
    cost.cpu_s += handoff.consumed.cpu_s * share;
    cost.faults += handoff.consumed.faults * share;
    return cost;
}

int main(int argc, char **argv)
{
    struct worker *worker = &handoff.base;
    worker_init(worker, argc, argv);
    const struct seam *seam = seam_open(worker);
    handoff.size = worker_number(worker, "size", 2 * MIB);
    handoff.touch = touch_read(worker);
    handoff.duration_s = cost_duration_s(worker);
    worker_check_arguments(worker);
    worker_begin(worker);
    const struct cost channel = hand_over_for(handoff.duration_s);
    handoff.seam = seam;
    const struct cost cost = hand_over_for(handoff.duration_s);
    worker_end(worker);
    cost_report(worker, &cost);
    worker_figure(worker, "channel_s", channel.cpu_s / (double)channel.count);
    return worker_report(worker);
}
