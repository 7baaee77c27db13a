/* The first touch of fresh pages (what=touch) and giving them back (what=discard), for 1 MiB: a
 * range of 64 MiB is touched and discarded as a whole, so that huge pages fit. */
#include "kernel_costs.h"

#include <fcntl.h>

#define RANGE_MIB 64u
#define RANGE     ((size_t)RANGE_MIB << 20)
#define REPEATS   9u

static int discard(unsigned char *memory, int file)
{
    if (file < 0)
        return madvise(memory, RANGE, MADV_DONTNEED);
    return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)RANGE);
}

int main(int argc, char **argv)
{
    static struct samples touches;
    static struct samples discards;
    struct worker worker;
    worker_init(&worker, argc, argv);
    const enum costs_backing backing = costs_backing_of(worker_word(&worker, "backing", "private"));
    const char *what = worker_word(&worker, "what", "touch");
    worker_check_arguments(&worker);
    unsigned char *memory = costs_reserve(RANGE, ALIGN_2M);
    const int file = costs_file(&worker, backing, RANGE);
    costs_map(&worker, memory, RANGE, backing, file);
    worker_begin(&worker);
    for (unsigned i = 0; i < REPEATS; i++) {
        double before_s = clock_s();
        costs_write_pages(memory, RANGE);
        samples_add(&touches, (clock_s() - before_s) / RANGE_MIB);
        before_s = clock_s();
        if (discard(memory, file) != 0)
            costs_not_here(&worker, "discarding pages");
        samples_add(&discards, (clock_s() - before_s) / RANGE_MIB);
    }
    worker_end(&worker);
    return costs_report(&worker, strcmp(what, "touch") == 0 ? &touches : &discards);
}
