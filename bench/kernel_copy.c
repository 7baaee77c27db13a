/* memcpy into memory whose pages are there (warm) or just mapped (fresh=1). */
#include "kernel_costs.h"

int main(int argc, char **argv)
{
    static struct samples samples;
    struct worker worker;
    worker_init(&worker, argc, argv);
    const size_t size = worker_number(&worker, "size", 1 << 20);
    const bool is_fresh = worker_number(&worker, "fresh", 0) != 0;
    worker_check_arguments(&worker);
    unsigned char *source = costs_reserve(size, ALIGN_2M);
    unsigned char *target = costs_reserve(size, ALIGN_2M);
    costs_map(&worker, source, size, COSTS_PRIVATE, -1);
    costs_map(&worker, target, size, COSTS_PRIVATE, -1);
    memset(source, 1, size);
    memset(target, 2, size);
    worker_begin(&worker);
    for (unsigned i = 0; i < samples_wanted(is_fresh ? size * 8 : size); i++) {
        if (is_fresh)
            costs_map(&worker, target, size, COSTS_PRIVATE, -1);
        const double before_s = clock_s();
        memcpy(target, source, size);
        samples_add(&samples, clock_s() - before_s);
        if (target[size - 1] != 1)
            worker_fail("the copy is wrong");
    }
    worker_end(&worker);
    return costs_report(&worker, &samples);
}
