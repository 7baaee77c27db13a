/* A second mapping of the same pages of a memfd; with touch=1 each page of it is read too, which
 * the kernel serves several pages to a fault. */
#include "kernel_costs.h"

#define REPEATS 25u

int main(int argc, char **argv)
{
    static struct samples samples;
    struct worker worker;
    worker_init(&worker, argc, argv);
    const size_t size = worker_number(&worker, "size", (uint64_t)64 << 20);
    const bool touches = worker_number(&worker, "touch", 0) != 0;
    worker_check_arguments(&worker);
    const int file = costs_file(&worker, COSTS_MEMFD, size);
    unsigned char *original = costs_reserve(size, ALIGN_2M);
    unsigned char *alias = costs_reserve(size, ALIGN_2M);
    costs_map(&worker, original, size, COSTS_MEMFD, file);
    costs_write_pages(original, size);
    worker_begin(&worker);
    for (unsigned i = 0; i < REPEATS; i++) {
        const double before_s = clock_s();
        costs_map(&worker, alias, size, COSTS_MEMFD, file);
        if (touches)
            costs_read_pages(alias, size);
        samples_add(&samples, clock_s() - before_s);
        (void)mmap(alias, size, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    worker_end(&worker);
    return costs_report(&worker, &samples);
}
