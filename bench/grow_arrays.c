/* Growth: arrays that grow by realloc, in turns, to a size that matters.
 *
 * arrays=N grow in turn, so that the addresses behind each are taken; step=BYTES, step=mixed (4 to
 * 64 KiB at random) or step=double. With touch=1 every new page is stamped at once and all stamps
 * are looked at in the end, those of a moved array's first and last page also at each move.
 *
 * Every call of realloc is timed: their sum, and the longest, which is what a user of a server or a
 * game notices. After limit=SECONDS the work ends, and the report says how far it came. */
#include "random.h"
#include "worker.h"

#define PAGE_BYTES 4096u
#define ARRAYS_MAX 64u
#define MIXED_MIN  4096u
#define MIXED_MAX  65536u

struct array {
    unsigned char *bytes;
    size_t size;
};

struct grow {
    struct worker base;
    unsigned arrays;
    size_t target; /* bytes of each array in the end */
    size_t step;   /* 0: mixed */
    bool is_doubling;
    bool touches;
    double limit_s;
    struct array table[ARRAYS_MAX];
    double realloc_s;
    double longest_s;
    uint64_t calls;
    uint64_t moves;
};

static struct grow grow;

static uint64_t page_stamp(unsigned array, size_t offset)
{
    return (offset / PAGE_BYTES + 1) * 0x9e3779b97f4a7c15u + array;
}

static void stamp_pages(unsigned array, size_t from, size_t to)
{
    for (size_t at = (from + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES; at < to; at += PAGE_BYTES) {
        const uint64_t stamp = page_stamp(array, at);
        memcpy(grow.table[array].bytes + at, &stamp, sizeof(stamp));
    }
}

static void check_page(unsigned array, size_t at)
{
    const uint64_t stamp = page_stamp(array, at);
    if (memcmp(grow.table[array].bytes + at, &stamp, sizeof(stamp)) != 0)
        worker_fail("array %u was overwritten at %zu", array, at);
}

static size_t next_size(size_t size, struct random *random)
{
    const size_t step = grow.is_doubling ? (size == 0 ? MIXED_MAX : size)
                        : grow.step != 0
                            ? grow.step
                            : random_between(random, MIXED_MIN / 16, MIXED_MAX / 16) * (size_t)16;
    return grow.target - size < step ? grow.target : size + step;
}

static void grow_one(unsigned index, size_t size)
{
    struct array *array = &grow.table[index];
    const size_t old_size = array->size;
    const double before_s = clock_s();
    unsigned char *bytes = realloc(array->bytes, size);
    const double took_s = clock_s() - before_s;
    if (bytes == NULL)
        worker_fail("realloc from %zu to %zu failed", old_size, size);
    grow.calls++;
    grow.realloc_s += took_s;
    grow.longest_s = took_s > grow.longest_s ? took_s : grow.longest_s;
    const bool has_moved = bytes != array->bytes && old_size > 0;
    array->bytes = bytes;
    array->size = size;
    grow.moves += has_moved;
    if (!grow.touches)
        return;
    if (has_moved) {
        check_page(index, 0);
        check_page(index, (old_size - 1) / PAGE_BYTES * PAGE_BYTES);
    }
    stamp_pages(index, old_size, size);
}

/* False when the time was up first. */
static bool grow_all(struct random *random)
{
    const double end_s = clock_s() + grow.limit_s;
    while (grow.table[grow.arrays - 1].size < grow.target) {
        for (unsigned i = 0; i < grow.arrays; i++) {
            grow_one(i, next_size(grow.table[i].size, random));
            if (clock_s() > end_s && grow.table[grow.arrays - 1].size < grow.target)
                return false;
        }
    }
    return true;
}

static uint64_t finish(void)
{
    uint64_t pages = 0;
    for (unsigned i = 0; i < grow.arrays; i++) {
        for (size_t at = 0; grow.touches && at < grow.table[i].size; at += PAGE_BYTES, pages++)
            check_page(i, at);
        free(grow.table[i].bytes);
    }
    return pages;
}

static void read_arguments(int argc, char **argv)
{
    struct worker *worker = &grow.base;
    worker_init(worker, argc, argv);
    grow.arrays = (unsigned)worker_number(worker, "arrays", 1);
    grow.target = worker_number(worker, "target", (uint64_t)256 << 20);
    grow.touches = worker_number(worker, "touch", 1) != 0;
    grow.limit_s = (double)worker_number(worker, "limit", 60);
    const char *step = worker_word(worker, "step", "mixed");
    grow.is_doubling = strcmp(step, "double") == 0;
    if (!grow.is_doubling && strcmp(step, "mixed") != 0)
        grow.step = worker_number(worker, "step", 0);
    worker_check_arguments(worker);
    if (grow.arrays == 0 || grow.arrays > ARRAYS_MAX || grow.target == 0)
        worker_fail("arrays must be 1 to %u and target above 0", ARRAYS_MAX);
}

int main(int argc, char **argv)
{
    read_arguments(argc, argv);
    struct worker *worker = &grow.base;
    struct random random = random_make(worker->seed, 0);
    worker_begin(worker);
    const bool is_complete = grow_all(&random);
    worker_end(worker);
    size_t reached = 0;
    for (unsigned i = 0; i < grow.arrays; i++)
        reached += grow.table[i].size;
    worker_figure(worker, "realloc_s", grow.realloc_s);
    worker_figure(worker, "longest_s", grow.longest_s);
    worker_figure(worker, "calls", (double)grow.calls);
    worker_figure(worker, "moves", (double)grow.moves);
    worker_figure(worker, "data_bytes", (double)reached);
    if (grow.touches)
        worker_figure(worker, "peak_ratio", (double)peak_resident_bytes() / (double)reached);
    if (!is_complete) {
        char note[128];
        snprintf(note, sizeof(note), "reached %zu of %zu MiB in %.0f s", reached >> 20,
                 grow.target * grow.arrays >> 20, grow.limit_s);
        worker_note(worker, note);
    }
    worker_output(worker, finish());
    return worker_report(worker);
}
