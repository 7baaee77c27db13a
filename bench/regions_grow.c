/* Growth of one piece: acquired at from=BYTES, resized to to=BYTES by step=BYTES or step=double,
 * and released; again and again for ms=N.
 *
 * touch=page stamps every new page at once; at each resize the first and the last page of what was
 * there are looked at, in the end all of them, which is not counted. cost_s is the CPU time of one
 * whole growth, stamping included; resize_s the wall time inside resize; peak_ratio the peak memory
 * of the process as a multiple of the data. */
#include "cost.h"
#include "seam.h"

struct grow {
    struct worker base;
    const struct seam *seam;
    size_t from;
    size_t to;
    size_t step; /* 0: doubling */
    enum touch touch;
    double resize_s;
    double unmeasured_cpu_s; /* spent on looking at all pages */
    double unmeasured_s;
    uint64_t tag;
    uint64_t moves;
};

static struct grow grow;

static size_t next_size(size_t size)
{
    const size_t step = grow.step == 0 ? size : grow.step;
    return grow.to - size < step ? grow.to : size + step;
}

static void grow_once(struct piece *piece)
{
    const unsigned char *old_data = piece->region.data;
    const size_t old_bytes = piece->bytes;
    const double before_s = clock_s();
    seam_resize(grow.seam, piece, next_size(old_bytes));
    grow.resize_s += clock_s() - before_s;
    grow.moves += piece->region.data != old_data;
    if (grow.touch == TOUCH_NONE)
        return;
    page_check(piece->region.data, 0, grow.tag);
    page_check(piece->region.data, old_bytes - PAGE_BYTES, grow.tag);
    pages_stamp(piece->region.data, old_bytes, piece->bytes, grow.tag);
}

static void check_all(const struct piece *piece)
{
    const double before_s = clock_s();
    const double before_cpu_s = clock_thread_s();
    pages_check(piece->region.data, piece->bytes, grow.tag);
    grow.unmeasured_cpu_s += clock_thread_s() - before_cpu_s;
    grow.unmeasured_s += clock_s() - before_s;
}

static void growth(void *context, uint64_t count)
{
    (void)context;
    for (uint64_t i = 0; i < count; i++, grow.tag++) {
        struct piece piece;
        seam_acquire(grow.seam, grow.from, &piece);
        piece_touch(&piece, grow.touch, grow.tag);
        while (piece.bytes < grow.to)
            grow_once(&piece);
        if (grow.touch != TOUCH_NONE)
            check_all(&piece);
        grow.seam->release(&piece);
    }
}

static void read_arguments(int argc, char **argv, double *duration_s)
{
    struct worker *worker = &grow.base;
    worker_init(worker, argc, argv);
    grow.seam = seam_open(worker);
    grow.from = worker_number(worker, "from", 2 * MIB);
    grow.to = worker_number(worker, "to", 64 * MIB);
    grow.touch = touch_read(worker);
    *duration_s = cost_duration_s(worker);
    const char *step = worker_word(worker, "step", "double");
    if (strcmp(step, "double") != 0)
        grow.step = worker_number(worker, "step", 0);
    worker_check_arguments(worker);
    if (grow.from < PAGE_BYTES || grow.to < grow.from || grow.touch == TOUCH_BYTES)
        worker_fail("from must be at least %zu, to at least from, touch none or page", PAGE_BYTES);
    if ((grow.from | grow.to | grow.step) % PAGE_BYTES != 0)
        worker_fail("from, to and step must be whole pages of %zu", PAGE_BYTES);
}

int main(int argc, char **argv)
{
    double duration_s = 0;
    struct worker *worker = &grow.base;
    read_arguments(argc, argv, &duration_s);
    const uint64_t batch = cost_batch(growth, NULL);
    grow.resize_s = 0;
    grow.unmeasured_s = 0;
    grow.unmeasured_cpu_s = 0;
    grow.moves = 0;
    worker_begin(worker);
    struct cost cost = cost_measure(growth, NULL, batch, duration_s);
    worker_end(worker);
    cost.cpu_s -= grow.unmeasured_cpu_s;
    cost.wall_s -= grow.unmeasured_s;
    cost_report(worker, &cost);
    worker_figure(worker, "resize_s", grow.resize_s / (double)cost.count);
    worker_figure(worker, "moves", (double)grow.moves / (double)cost.count);
    if (grow.touch != TOUCH_NONE)
        worker_figure(worker, "peak_ratio", (double)peak_resident_bytes() / (double)grow.to);
    return worker_report(worker);
}
