/* Random lifetimes as programs have them: most objects die young, some live on, few live very long.
 *
 * Time is the number of allocations. A wheel of buckets holds the objects by the time of their
 * death; objects are linked through their own first bytes, as intrusive lists do. Survivors of all
 * ages lie between short-lived neighbours, which is what fragments a heap. */
#include "sizes.h"
#include "stamp.h"

#define WHEEL_SLOTS 65536u
#define TAG         0x5a5a5a5a5a5a5a5au

struct mortal {
    struct mortal *next;
    size_t size;
};

struct lifetimes {
    struct worker base;
    struct sizes sizes;
    uint64_t steps;
};

static struct lifetimes lifetimes;

static uint32_t draw_lifetime(struct random *random)
{
    const uint32_t kind = random_below(random, 1000);
    if (kind < 750)
        return random_between(random, 1, 64);
    if (kind < 950)
        return random_between(random, 65, 2048);
    if (kind < 990)
        return random_between(random, 2049, 16384);
    return random_between(random, 16385, WHEEL_SLOTS - 1);
}

static void bury(struct mortal **bucket)
{
    while (*bucket != NULL) {
        struct mortal *dead = *bucket;
        *bucket = dead->next;
        if (dead->size > sizeof(*dead))
            stamp_check(dead + 1, dead->size - sizeof(*dead), TAG);
        free(dead);
    }
}

static uint64_t live_and_die(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    struct mortal **wheel = calloc(WHEEL_SLOTS, sizeof(*wheel));
    if (wheel == NULL)
        worker_fail("calloc of the wheel failed");
    uint64_t sum = 0;
    for (uint64_t now = 0; now < lifetimes.steps; now++) {
        bury(&wheel[now % WHEEL_SLOTS]);
        const size_t more = sizes_draw(&lifetimes.sizes, &random);
        struct mortal *born = get_memory(sizeof(*born) + more);
        stamp_write(born + 1, more, TAG);
        struct mortal **bucket = &wheel[(now + draw_lifetime(&random)) % WHEEL_SLOTS];
        *born = (struct mortal){*bucket, sizeof(*born) + more};
        *bucket = born;
        sum += more;
    }
    for (uint32_t i = 0; i < WHEEL_SLOTS; i++)
        bury(&wheel[i]);
    free(wheel);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &lifetimes.base;
    worker_init(worker, argc, argv);
    sizes_init(&lifetimes.sizes, worker_word(worker, "sizes", "objects"));
    lifetimes.steps = worker_number(worker, "steps", 1000000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, live_and_die);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
