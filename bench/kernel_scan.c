/* PAGEMAP_SCAN that fetches which pages were written and protects them again, per resident page.
 * written=N of 100 pages were written since the last scan. */
#include "kernel_costs.h"
#include "userfault.h"

#define PAGES   65536u
#define RANGE   ((size_t)PAGES * PAGE_BYTES)
#define REPEATS 9u
#define REGIONS 65536u

/* Scans the range once; the number of regions of written pages, or -1. */
static long scan_once(int pagemap, const unsigned char *memory)
{
    static struct userfault_region regions[REGIONS];
    struct userfault_scan scan = {
        .size = sizeof(scan),
        .flags = USERFAULT_SCAN_PROTECT | USERFAULT_SCAN_CHECK,
        .start = (uintptr_t)memory,
        .end = (uintptr_t)memory + RANGE,
        .vec = (uintptr_t)regions,
        .vec_len = REGIONS,
        .category_mask = USERFAULT_SCAN_IS_WRITTEN,
        .return_mask = USERFAULT_SCAN_IS_WRITTEN,
    };
    return ioctl(pagemap, USERFAULT_SCAN, &scan);
}

int main(int argc, char **argv)
{
    static struct samples samples;
    struct worker worker;
    worker_init(&worker, argc, argv);
    const size_t written = worker_number(&worker, "written", 1);
    worker_check_arguments(&worker);
    unsigned char *memory = costs_reserve(RANGE, ALIGN_2M);
    costs_map(&worker, memory, RANGE, COSTS_PRIVATE, -1);
    costs_write_pages(memory, RANGE);
    const int descriptor = userfault_open_async();
    const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || userfault_protect(descriptor, memory, RANGE) != 0)
        costs_not_here(&worker, "asynchronous write-protection by userfaultfd, Linux 6.7");
    worker_begin(&worker);
    for (unsigned i = 0; i < REPEATS; i++) {
        for (size_t page = 0; page < PAGES; page++) {
            if (page * 37 % 100 < written)
                *(volatile unsigned char *)(memory + page * PAGE_BYTES) = 2;
        }
        const double before_s = clock_s();
        const long regions = scan_once(pagemap, memory);
        samples_add(&samples, (clock_s() - before_s) / PAGES);
        if (regions < 0)
            costs_not_here(&worker, "PAGEMAP_SCAN, Linux 6.7");
        if ((regions > 0) != (written > 0))
            worker_fail("the scan found %ld regions", regions);
    }
    worker_end(&worker);
    return costs_report(&worker, &samples);
}
