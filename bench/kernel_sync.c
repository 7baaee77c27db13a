/* Scattered dirty pages of a file made durable: in place by msync (how=msync), or written side by
 * side elsewhere in the file, past the page cache, with one flush (how=aside). dir=DIRECTORY says
 * on which disk. */
#include "kernel_costs.h"
#include "random.h"

#define FILE_PAGES 65536u
#define FILE_BYTES ((size_t)FILE_PAGES * PAGE_BYTES)
#define REPEATS    5u

struct sync_job {
    struct worker worker;
    int file;
    unsigned pages;
    unsigned char *memory; /* the mapped file, or the pages to write */
};

static struct sync_job job;

static double sync_in_place(struct random *random)
{
    for (unsigned i = 0; i < job.pages; i++)
        job.memory[(size_t)random_below(random, FILE_PAGES) * PAGE_BYTES] ^= 1;
    const double before_s = clock_s();
    if (msync(job.memory, FILE_BYTES, MS_SYNC) != 0)
        costs_not_here(&job.worker, "msync");
    return clock_s() - before_s;
}

static double write_aside(struct random *random)
{
    const size_t size = (size_t)job.pages * PAGE_BYTES;
    const off_t place = (off_t)random_below(random, FILE_PAGES - job.pages) * PAGE_BYTES;
    memset(job.memory, (int)random_below(random, 256), size);
    const double before_s = clock_s();
    if (pwrite(job.file, job.memory, size, place) != (ssize_t)size || fdatasync(job.file) != 0)
        costs_not_here(&job.worker, "a direct write");
    return clock_s() - before_s;
}

/* An unlinked file in `dir` whose blocks are all written, so that no run pays for finding them. */
static void make_file(const char *dir, int flags)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/terrane-sync-XXXXXX", dir);
    job.file = mkostemp(path, O_CLOEXEC | flags);
    if (job.file < 0)
        costs_not_here(&job.worker, flags != 0 ? "direct I/O in that directory" : "that directory");
    unlink(path);
    const size_t chunk = (size_t)8 << 20;
    void *zeros = mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t at = 0; at < FILE_BYTES; at += chunk) {
        if (pwrite(job.file, zeros, chunk, (off_t)at) != (ssize_t)chunk)
            costs_not_here(&job.worker, "256 MiB on that disk");
    }
    munmap(zeros, chunk);
    fsync(job.file);
}

int main(int argc, char **argv)
{
    static struct samples samples;
    worker_init(&job.worker, argc, argv);
    job.pages = (unsigned)worker_number(&job.worker, "pages", 256);
    const char *how = worker_word(&job.worker, "how", "msync");
    const char *dir = worker_word(&job.worker, "dir", ".");
    worker_check_arguments(&job.worker);
    const bool is_aside = strcmp(how, "aside") == 0;
    if (!is_aside && strcmp(how, "msync") != 0)
        worker_fail("how must be msync or aside, not '%s'", how);
    if (job.pages == 0 || job.pages >= FILE_PAGES)
        worker_fail("pages must be 1 to %u", FILE_PAGES - 1);
    make_file(dir, is_aside ? O_DIRECT : 0);
    job.memory =
        mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE,
             is_aside ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, is_aside ? -1 : job.file, 0);
    if (job.memory == MAP_FAILED)
        costs_not_here(&job.worker, "a mapping of the file");
    struct random random = random_make(job.worker.seed, 0);
    worker_begin(&job.worker);
    for (unsigned i = 0; i < REPEATS; i++)
        samples_add(&samples, is_aside ? write_aside(&random) : sync_in_place(&random));
    worker_end(&job.worker);
    return costs_report(&job.worker, &samples);
}
