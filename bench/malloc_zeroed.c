/* calloc: mostly objects, now and then a table of up to 64 KiB; that fresh memory is zero is looked
 * at, because memory that comes back is not, and clearing it is the cost. */
#include "sizes.h"
#include "slots.h"

#define TABLE_MIN   1024u
#define TABLE_MAX   65536u
#define TABLE_SHARE 40u /* every 40th is a table */

struct zeroed {
    struct worker base;
    struct sizes sizes;
    uint32_t live;
    uint64_t steps;
};

static struct zeroed zeroed;

static void check_zero(const unsigned char *bytes, size_t size)
{
    unsigned found = bytes[size - 1] | bytes[size / 2];
    for (size_t i = 0; i < size; i += 61)
        found |= bytes[i];
    if (found != 0)
        worker_fail("calloc(%zu) is not zero", size);
}

static uint64_t replace(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    struct slot *slots = slots_create(zeroed.live);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < zeroed.steps; i++) {
        struct slot *slot = &slots[random_below(&random, zeroed.live)];
        slot_empty(slot);
        const size_t size = random_below(&random, TABLE_SHARE) == 0
                                ? random_between(&random, TABLE_MIN, TABLE_MAX)
                                : sizes_draw(&zeroed.sizes, &random);
        *slot = (struct slot){calloc(1, size), size, i | 1};
        if (slot->object == NULL)
            worker_fail("calloc(%zu) failed", size);
        check_zero(slot->object, size);
        stamp_write(slot->object, size, slot->tag);
        sum += size;
    }
    slots_destroy(slots, zeroed.live);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &zeroed.base;
    worker_init(worker, argc, argv);
    sizes_init(&zeroed.sizes, worker_word(worker, "sizes", "objects"));
    zeroed.live = (uint32_t)worker_number(worker, "live", 4000);
    zeroed.steps = worker_number(worker, "steps", 1000000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, replace);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
