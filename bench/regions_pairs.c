/* The pair: a piece is acquired, touched and released, on one thread or on several at a time.
 *
 * live=1 (default) is the hot pair, whose piece is warm from the pair before. With live=N there are
 * always N pieces, and the oldest goes back before a new one comes. size=BYTES, touch=none|page|
 * bytes, ms=N the CPU time that each thread spends. */
#include "cost.h"
#include "seam.h"

#define LIVE_MAX 1024u

struct pairs {
    struct worker base;
    const struct seam *seam;
    size_t size;
    enum touch touch;
    unsigned live;
    double duration_s;
    pthread_barrier_t start;
    struct cost costs[WORKER_THREADS_MAX];
};

static struct pairs pairs;

/* The pieces of one thread; with live=1 none is held between pairs. */
struct holder {
    struct piece held[LIVE_MAX];
    uint64_t turn;
    uint64_t tag;
};

static void hot_pair(void *context, uint64_t count)
{
    struct holder *holder = context;
    for (uint64_t i = 0; i < count; i++) {
        struct piece piece;
        const uint64_t tag = holder->tag + i;
        seam_acquire(pairs.seam, pairs.size, &piece);
        piece_touch(&piece, pairs.touch, tag);
        piece_check(&piece, pairs.touch, tag);
        pairs.seam->release(&piece);
    }
    holder->tag += count;
}

/* A piece's tag follows from the turn in which it was acquired: `live` turns ago. */
static void cycled_pair(void *context, uint64_t count)
{
    struct holder *holder = context;
    for (uint64_t i = 0; i < count; i++, holder->turn++) {
        struct piece *piece = &holder->held[holder->turn % pairs.live];
        piece_check(piece, pairs.touch, holder->turn);
        pairs.seam->release(piece);
        seam_acquire(pairs.seam, pairs.size, piece);
        piece_touch(piece, pairs.touch, holder->turn + pairs.live);
    }
}

static void hold_first(struct holder *holder)
{
    for (unsigned i = 0; i < pairs.live; i++) {
        seam_acquire(pairs.seam, pairs.size, &holder->held[i]);
        piece_touch(&holder->held[i], pairs.touch, i);
    }
}

static uint64_t work(const struct worker *worker, unsigned index)
{
    static _Thread_local struct holder holder;
    (void)worker;
    holder.tag = (uint64_t)index << 32;
    cost_function *function = pairs.live > 1 ? cycled_pair : hot_pair;
    if (pairs.live > 1)
        hold_first(&holder);
    const uint64_t batch = cost_batch(function, &holder);
    pthread_barrier_wait(&pairs.start);
    pairs.costs[index] = cost_measure(function, &holder, batch, pairs.duration_s);
    /* Until all are done, so that what a thread leaves at its end is not found by the others. */
    pthread_barrier_wait(&pairs.start);
    for (unsigned i = 0; pairs.live > 1 && i < pairs.live; i++)
        pairs.seam->release(&holder.held[i]);
    return 0;
}

int main(int argc, char **argv)
{
    struct worker *worker = &pairs.base;
    worker_init(worker, argc, argv);
    pairs.seam = seam_open(worker);
    pairs.size = worker_number(worker, "size", 2 * MIB);
    pairs.touch = touch_read(worker);
    pairs.live = (unsigned)worker_number(worker, "live", 1);
    pairs.duration_s = cost_duration_s(worker);
    worker_check_arguments(worker);
    if (pairs.live == 0 || pairs.live > LIVE_MAX || pairs.size < PAGE_BYTES)
        worker_fail("live must be 1 to %u, size at least %zu", LIVE_MAX, PAGE_BYTES);
    pthread_barrier_init(&pairs.start, NULL, worker->threads);
    worker_begin(worker);
    worker_run_threads(worker, work);
    worker_end(worker);
    struct cost sum = {.count = 0};
    for (unsigned i = 0; i < worker->threads; i++)
        cost_add(&sum, &pairs.costs[i]);
    cost_report(worker, &sum);
    return worker_report(worker);
}
