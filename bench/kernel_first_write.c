/* What the first write to a clean page costs, by the way in which the write is noticed, per page:
 *
 *     how=signal    read-only shared pages; the SIGSEGV handler saves the page and maps a block of
 *                   the file in its place, writable
 *     how=cow       a private mapping of a file; the kernel copies the page
 *     how=uffd      private pages under asynchronous write-protection; the kernel takes a mark off
 *     how=plain     private pages that are writable already, for comparison */
#include "kernel_costs.h"
#include "userfault.h"

#include <signal.h>

#define PAGES   4096u
#define RANGE   ((size_t)PAGES * PAGE_BYTES)
#define REPEATS 5u

static unsigned char *memory;
static int file;

/* Standard calls only, all of them safe in a handler. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    unsigned char *page = (unsigned char *)info->si_addr - (uintptr_t)info->si_addr % PAGE_BYTES;
    unsigned char saved[PAGE_BYTES];
    if (page < memory || page >= memory + RANGE)
        _exit(3);
    memcpy(saved, page, PAGE_BYTES);
    const off_t offset = (off_t)RANGE + (page - memory);
    if (mmap(page, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, file, offset) ==
        MAP_FAILED)
        _exit(4);
    memcpy(page, saved, PAGE_BYTES);
}

static void prepare_signal(struct worker *worker)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
    if (mmap(memory, RANGE, PROT_READ, MAP_FIXED | MAP_SHARED, file, 0) == MAP_FAILED)
        costs_not_here(worker, "a shared mapping");
    costs_read_pages(memory, RANGE);
}

static void prepare_cow(struct worker *worker)
{
    if (mmap(memory, RANGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE, file, 0) == MAP_FAILED)
        costs_not_here(worker, "a private mapping");
    costs_read_pages(memory, RANGE);
}

static void prepare_private(struct worker *worker)
{
    costs_map(worker, memory, RANGE, COSTS_PRIVATE, -1);
    costs_write_pages(memory, RANGE);
}

static void prepare_userfault(struct worker *worker)
{
    prepare_private(worker);
    const int descriptor = userfault_open_async();
    if (descriptor < 0 || userfault_protect(descriptor, memory, RANGE) != 0)
        costs_not_here(worker, "asynchronous write-protection by userfaultfd, Linux 6.7");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *how;
        void (*prepare)(struct worker *worker);
    } ways[] = {{"signal", prepare_signal},
                {"cow", prepare_cow},
                {"uffd", prepare_userfault},
                {"plain", prepare_private}};
    static struct samples samples;
    struct worker worker;
    worker_init(&worker, argc, argv);
    const char *how = worker_word(&worker, "how", "cow");
    worker_check_arguments(&worker);
    size_t way = 0;
    while (way < sizeof(ways) / sizeof(ways[0]) && strcmp(ways[way].how, how) != 0)
        way++;
    if (way == sizeof(ways) / sizeof(ways[0]))
        worker_fail("how must be signal, cow, uffd or plain, not '%s'", how);
    memory = costs_reserve(RANGE, ALIGN_2M);
    file = costs_file(&worker, COSTS_MEMFD, 2 * RANGE);
    unsigned char *filled = costs_reserve(2 * RANGE, ALIGN_2M);
    costs_map(&worker, filled, 2 * RANGE, COSTS_MEMFD, file);
    costs_write_pages(filled, 2 * RANGE);
    worker_begin(&worker);
    for (unsigned i = 0; i < REPEATS; i++) {
        ways[way].prepare(&worker);
        const double before_s = clock_s();
        /* Scattered, as a program writes: neighbours would let the kernel merge mappings. */
        for (size_t page = 0, at = 0; page < PAGES; page++, at = (at + 1237) % PAGES)
            *(volatile unsigned char *)(memory + at * PAGE_BYTES) = 2;
        samples_add(&samples, (clock_s() - before_s) / PAGES);
    }
    worker_end(&worker);
    return costs_report(&worker, &samples);
}
