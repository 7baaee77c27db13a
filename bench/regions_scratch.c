/* More data than memory may hold: pieces on a file, with a budget for what stays resident.
 *
 *     seam=regions   regions of a scratch space with terrane_pool_set_resident_budget
 *     seam=mmap      one shared mapping of a file without a name: the kernel decides what stays
 *
 * data=BYTES in pieces of size=BYTES are filled, then passes=N go over them in random order, look
 * at every page and write it anew. dir=FOLDER is where the file lies; budget=BYTES.
 *
 * cost_s is the CPU time of the working thread for each MiB of all passes, cost_wall_s the wall
 * time, which waiting for the disk adds to. resident_bytes is the most that was mapped at a time,
 * cached_bytes the most of the file that was in memory, mapped or not; over_ratio the share of the
 * looks at which either was more than a tenth above the budget. An observer looks every few
 * milliseconds. */
#include "cost.h"
#include "random.h"
#include "residence.h"
#include "seam.h"

#include <stdatomic.h>

#define PIECES_MAX 8192u
#define LOOK_NS    5000000

struct scratch {
    struct worker base;
    size_t size;
    uint32_t count;
    uint64_t budget;
    unsigned passes;
    const char *dir;
    int descriptor;
    struct piece pieces[PIECES_MAX];
    uint64_t written[PIECES_MAX]; /* the pass that wrote a piece last */
    atomic_bool is_done;
    uint64_t resident_most;
    uint64_t cached_most;
    unsigned looks;
    unsigned looks_over;
};

static struct scratch scratch;

/* ---- the observer ---- */

static void *observe(void *argument)
{
    (void)argument;
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    while (!atomic_load_explicit(&scratch.is_done, memory_order_relaxed)) {
        const uint64_t resident = proc_bytes("/proc/self/status", "VmRSS:");
        const uint64_t cached = file_cached_bytes(scratch.descriptor);
        scratch.resident_most = resident > scratch.resident_most ? resident : scratch.resident_most;
        scratch.cached_most = cached > scratch.cached_most ? cached : scratch.cached_most;
        scratch.looks++;
        scratch.looks_over += (resident > cached ? resident : cached) > scratch.budget / 10 * 11;
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- the pieces ---- */

static void require(bool is_done, const char *what)
{
    if (!is_done)
        worker_fail("%s: %s", what, strerror(errno));
}

static void map_file(size_t bytes)
{
    scratch.descriptor = open(scratch.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    require(scratch.descriptor >= 0, "cannot make a file");
    require(posix_fallocate(scratch.descriptor, 0, (off_t)bytes) == 0, "cannot reserve the file");
    unsigned char *data =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, scratch.descriptor, 0);
    require(data != MAP_FAILED, "cannot map the file");
    for (uint32_t i = 0; i < scratch.count; i++)
        scratch.pieces[i] =
            (struct piece){{data + (size_t)i * scratch.size, scratch.size}, scratch.size};
}

static int nameless_file;

static uint64_t note_file(int descriptor)
{
    nameless_file = descriptor;
    return 1;
}

static void acquire_regions(const struct seam *seam)
{
    const int status = terrane_pool_set_resident_budget(seam_space, scratch.budget);
    if (status != 0)
        worker_fail("no resident budget: %s", strerror(-status));
    if (nameless_files_sum(note_file) != 1)
        worker_fail("the scratch space should have one file");
    scratch.descriptor = nameless_file;
    for (uint32_t i = 0; i < scratch.count; i++)
        seam_acquire(seam, scratch.size, &scratch.pieces[i]);
}

/* ---- the work ---- */

static uint64_t piece_tag(uint32_t index, uint64_t pass)
{
    return (pass + 1) << 48 | (uint64_t)index << 32;
}

static void write_piece(uint32_t index, uint64_t pass)
{
    pages_stamp(scratch.pieces[index].region.data, 0, scratch.size, piece_tag(index, pass));
    scratch.written[index] = pass;
}

static void check_piece(uint32_t index)
{
    pages_check(scratch.pieces[index].region.data, scratch.size,
                piece_tag(index, scratch.written[index]));
}

static void random_pass(struct random *random, uint64_t pass)
{
    static uint32_t order[PIECES_MAX];
    for (uint32_t i = 0; i < scratch.count; i++) {
        const uint32_t place = random_below(random, i + 1);
        order[i] = order[place];
        order[place] = i;
    }
    for (uint32_t i = 0; i < scratch.count; i++) {
        check_piece(order[i]);
        write_piece(order[i], pass);
    }
}

/* Fills, passes, looks at everything once more. */
static void work(void)
{
    struct random random = random_make(scratch.base.seed, 0);
    for (uint32_t i = 0; i < scratch.count; i++)
        write_piece(i, 0);
    for (unsigned pass = 1; pass <= scratch.passes; pass++)
        random_pass(&random, pass);
    for (uint32_t i = 0; i < scratch.count; i++)
        check_piece(i);
}

static const struct seam *read_arguments(int argc, char **argv)
{
    struct worker *worker = &scratch.base;
    worker_init(worker, argc, argv);
    const uint64_t data = worker_number(worker, "data", 192 * MIB);
    scratch.dir = worker_word(worker, "dir", ".");
    const struct seam *seam = seam_open(worker);
    scratch.size = worker_number(worker, "size", 2 * MIB);
    scratch.budget = worker_number(worker, "budget", 64 * MIB);
    scratch.passes = (unsigned)worker_number(worker, "passes", 2);
    worker_check_arguments(worker);
    if (scratch.size < PAGE_BYTES || scratch.size % PAGE_BYTES != 0 || data < scratch.size ||
        data / scratch.size > PIECES_MAX)
        worker_fail("size must be whole pages, data at most %u pieces of it", PIECES_MAX);
    scratch.count = (uint32_t)(data / scratch.size);
    return seam;
}

int main(int argc, char **argv)
{
    const struct seam *seam = read_arguments(argc, argv);
    struct worker *worker = &scratch.base;
    pthread_t observer;
    worker_begin(worker);
    if (seam_space != NULL)
        acquire_regions(seam);
    else
        map_file(scratch.count * scratch.size);
    require(pthread_create(&observer, NULL, observe, NULL) == 0, "cannot start a thread");
    const double cpu_s = clock_thread_s();
    const double wall_s = clock_s();
    work();
    const double mib =
        (double)scratch.count * (double)scratch.size / (double)MIB * (scratch.passes + 2);
    worker_figure(worker, "cost_s", (clock_thread_s() - cpu_s) / mib);
    worker_figure(worker, "cost_wall_s", (clock_s() - wall_s) / mib);
    atomic_store_explicit(&scratch.is_done, true, memory_order_relaxed);
    pthread_join(observer, NULL);
    worker_end(worker);
    worker_figure(worker, "resident_bytes", (double)scratch.resident_most);
    if (scratch.cached_most > 0)
        worker_figure(worker, "cached_bytes", (double)scratch.cached_most);
    worker_figure(worker, "looks", scratch.looks);
    worker_figure(worker, "over_ratio", (double)scratch.looks_over / scratch.looks);
    return worker_report(worker);
}
