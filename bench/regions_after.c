/* What is left: pieces=N of size=BYTES are acquired, touched and released, and after wait=MS the
 * kernel is asked what the process still holds.
 *
 * left_bytes is resident memory above what it was before (smaps_rollup), file_bytes what the files
 * without a name take on their file system or in memory (st_blocks). cost_s is the CPU time of the
 * whole process for each piece, so that giving back in the background counts too. */
#include "cost.h"
#include "residence.h"
#include "seam.h"

#define PIECES_MAX 64u

static uint64_t above(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static void use_pieces(const struct seam *seam, unsigned count, size_t size)
{
    struct piece pieces[PIECES_MAX];
    for (unsigned i = 0; i < count; i++) {
        seam_acquire(seam, size, &pieces[i]);
        piece_touch(&pieces[i], TOUCH_PAGE, i);
    }
    for (unsigned i = 0; i < count; i++) {
        pages_check(pieces[i].region.data, size, i);
        seam->release(&pieces[i]);
    }
}

/* Meanwhile nobody calls the allocator: what goes back now goes back by itself. */
static void pause_ms(uint64_t milliseconds)
{
    struct timespec left = {.tv_sec = (time_t)(milliseconds / 1000),
                            .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

int main(int argc, char **argv)
{
    struct worker worker_state;
    struct worker *worker = &worker_state;
    worker_init(worker, argc, argv);
    const struct seam *seam = seam_open(worker);
    const unsigned count = (unsigned)worker_number(worker, "pieces", 8);
    const size_t size = worker_number(worker, "size", 64 * MIB);
    const uint64_t wait_ms = worker_number(worker, "wait", 3000);
    worker_check_arguments(worker);
    if (count == 0 || count > PIECES_MAX || size < PAGE_BYTES)
        worker_fail("pieces must be 1 to %u, size at least %zu", PIECES_MAX, PAGE_BYTES);
    /* What a first use sets up, of the contender and of this program, is not left over. */
    use_pieces(seam, 1, PAGE_BYTES);
    pause_ms(1);
    (void)resident_bytes();
    (void)nameless_files_sum(file_disk_bytes);
    const uint64_t resident = resident_bytes();
    worker_begin(worker);
    const double cpu_s = process_cpu_s();
    const double wall_s = clock_s();
    use_pieces(seam, count, size);
    const double used_s = clock_s() - wall_s;
    const uint64_t freed = resident_bytes();
    pause_ms(wait_ms);
    const double spent_s = process_cpu_s() - cpu_s;
    const uint64_t left = resident_bytes(); /* before code for the report comes in */
    worker_end(worker);
    worker_figure(worker, "cost_s", spent_s / count);
    worker_figure(worker, "cost_wall_s", used_s / count);
    worker_figure(worker, "freed_bytes", (double)above(freed, resident));
    worker_figure(worker, "left_bytes", (double)above(left, resident));
    worker_figure(worker, "file_bytes", (double)nameless_files_sum(file_disk_bytes));
    return worker_report(worker);
}
