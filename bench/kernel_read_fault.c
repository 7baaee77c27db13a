/* The first read of a page of a file in memory that is registered for write-protection, per page;
 * with populate=1 after MADV_POPULATE_READ has mapped the range in one call (not counted). */
#include "kernel_costs.h"
#include "userfault.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define PAGES   16384u
#define RANGE   ((size_t)PAGES * PAGE_BYTES)
#define REPEATS 9u

int main(int argc, char **argv)
{
    static struct samples samples;
    struct worker worker;
    worker_init(&worker, argc, argv);
    const bool populates = worker_number(&worker, "populate", 0) != 0;
    worker_check_arguments(&worker);
    const int file = costs_file(&worker, COSTS_MEMFD, RANGE);
    unsigned char *memory = costs_reserve(RANGE, ALIGN_2M);
    costs_map(&worker, memory, RANGE, COSTS_MEMFD, file);
    costs_write_pages(memory, RANGE);
    const int descriptor = userfault_open_async();
    worker_begin(&worker);
    for (unsigned i = 0; i < REPEATS; i++) {
        costs_map(&worker, memory, RANGE, COSTS_MEMFD, file);
        if (descriptor < 0 || userfault_protect(descriptor, memory, RANGE) != 0)
            costs_not_here(&worker, "asynchronous write-protection by userfaultfd, Linux 6.7");
        if (populates && madvise(memory, RANGE, MADV_POPULATE_READ) != 0)
            costs_not_here(&worker, "MADV_POPULATE_READ, Linux 5.14");
        const double before_s = clock_s();
        costs_read_pages(memory, RANGE);
        samples_add(&samples, (clock_s() - before_s) / PAGES);
    }
    worker_end(&worker);
    return costs_report(&worker, &samples);
}
