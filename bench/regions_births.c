/* The first use in a new thread: threads are born one after the other, and each acquires, touches
 * and releases one piece before it ends.
 *
 * cost_s is the CPU time of that pair (the median of all threads, without what reading the clock
 * takes), thread_s that of the process for a whole life: what a thread's end costs the contender
 * shows there. */
#include "cost.h"
#include "samples.h"
#include "seam.h"

#define WARM_PAIRS 64u

struct births {
    struct worker base;
    const struct seam *seam;
    size_t size;
    enum touch touch;
    struct samples cpu_s;
    struct samples wall_s;
};

static struct births births;

static void one_pair(uint64_t tag)
{
    struct piece piece;
    seam_acquire(births.seam, births.size, &piece);
    piece_touch(&piece, births.touch, tag);
    piece_check(&piece, births.touch, tag);
    births.seam->release(&piece);
}

static void *live(void *argument)
{
    const unsigned *index = argument;
    (void)clock_thread_s(); /* its own first use */
    const double reading_s = clock_thread_s();
    const double cpu_s = clock_thread_s();
    const double wall_s = clock_s();
    one_pair(*index);
    const double after_wall_s = clock_s();
    const double after_s = clock_thread_s();
    samples_add(&births.wall_s, after_wall_s - wall_s);
    samples_add(&births.cpu_s, (after_s - cpu_s) - (cpu_s - reading_s));
    return NULL;
}

int main(int argc, char **argv)
{
    struct worker *worker = &births.base;
    worker_init(worker, argc, argv);
    births.seam = seam_open(worker);
    births.size = worker_number(worker, "size", 2 * MIB);
    births.touch = touch_read(worker);
    const unsigned count = (unsigned)worker_number(worker, "births", 400);
    worker_check_arguments(worker);
    if (count == 0 || count > SAMPLES_MAX)
        worker_fail("births must be 1 to %u", SAMPLES_MAX);
    for (unsigned i = 0; i < WARM_PAIRS; i++)
        one_pair(i);
    worker_begin(worker);
    const double before_s = process_cpu_s();
    for (unsigned i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, live, &i) != 0)
            worker_fail("cannot start a thread");
        pthread_join(thread, NULL);
    }
    const double spent_s = process_cpu_s() - before_s;
    worker_end(worker);
    worker_figure(worker, "cost_s", samples_median(&births.cpu_s));
    worker_figure(worker, "cost_wall_s", samples_median(&births.wall_s));
    worker_figure(worker, "thread_s", spent_s / count);
    return worker_report(worker);
}
