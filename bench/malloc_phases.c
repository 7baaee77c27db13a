/* Phases: a program whose needs change. Each phase allocates objects of sizes of its own, then
 * frees all but a few at random, and what is left lies scattered over the memory that the next
 * phase, with other sizes, would like to use. The survivors of a phase die three phases later. Peak
 * memory says how well free memory passes from one size to another. */
#include "random.h"
#include "slots.h"

#define GENERATIONS  3u
#define SURVIVORS_OF 10u /* one in ten */
#define PHASE_BYTES  (4u << 20)
#define SIZES_OF_ONE 4u /* different sizes in a phase */

struct phases {
    struct worker base;
    uint64_t steps;
};

static struct phases phases;

struct generation {
    struct slot *slots;
    size_t count;
};

/* Allocates a phase's worth of objects; keeps the survivors in *out. */
static uint64_t run_phase(struct random *random, struct generation *out)
{
    const uint32_t base = 16u << random_below(random, 8);
    const size_t count = PHASE_BYTES / (base + base / 2);
    *out = (struct generation){slots_create(count), count};
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t size = base + base / SIZES_OF_ONE * random_below(random, SIZES_OF_ONE);
        slot_fill(&out->slots[i], size, i);
        sum += size;
    }
    for (size_t i = 0; i < count; i++) {
        if (random_below(random, SURVIVORS_OF) != 0)
            slot_empty(&out->slots[i]);
    }
    return sum;
}

static uint64_t go_through_phases(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    struct generation generations[GENERATIONS] = {{NULL, 0}};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < phases.steps; i++) {
        struct generation *oldest = &generations[i % GENERATIONS];
        slots_destroy(oldest->slots, oldest->count);
        sum += run_phase(&random, oldest);
    }
    for (unsigned i = 0; i < GENERATIONS; i++)
        slots_destroy(generations[i].slots, generations[i].count);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &phases.base;
    worker_init(worker, argc, argv);
    phases.steps = worker_number(worker, "steps", 60);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, go_through_phases);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
