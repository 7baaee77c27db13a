/* mremap of resident pages from one place to another, there and back again. With offset=0 source
 * and target agree modulo 1 GiB, and the kernel moves whole page tables; offset=4096 spoils that.
 */
#include "kernel_costs.h"

int main(int argc, char **argv)
{
    static struct samples samples;
    struct worker worker;
    worker_init(&worker, argc, argv);
    const size_t size = worker_number(&worker, "size", 1 << 20);
    const size_t offset = worker_number(&worker, "offset", 0);
    const enum costs_backing backing = costs_backing_of(worker_word(&worker, "backing", "private"));
    worker_check_arguments(&worker);
    unsigned char *places[2] = {costs_reserve(size + ALIGN_2M, ALIGN_1G),
                                costs_reserve(size + ALIGN_2M, ALIGN_1G) + offset};
    const int file = costs_file(&worker, backing, size);
    costs_map(&worker, places[0], size, backing, file);
    costs_write_pages(places[0], size);
    worker_begin(&worker);
    for (unsigned i = 0; i < samples_wanted(size * 8); i++) {
        const double before_s = clock_s();
        const void *moved =
            mremap(places[i % 2], size, size, MREMAP_MAYMOVE | MREMAP_FIXED, places[(i + 1) % 2]);
        samples_add(&samples, clock_s() - before_s);
        if (moved == MAP_FAILED)
            costs_not_here(&worker, "mremap");
    }
    worker_end(&worker);
    return costs_report(&worker, &samples);
}
