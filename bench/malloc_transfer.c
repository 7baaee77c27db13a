/* Threads that exchange work: each builds chains of objects, keeps some, and swaps others through a
 * shared table for whatever chain lies there, which it then checks and frees. In phases, between
 * which all threads end and new ones start, while the kept chains of the phase before are freed. */
#include "sizes.h"
#include "stamp.h"

#include <stdatomic.h>

#define SHARED    1024u
#define KEPT      2000u
#define LINKS_MAX 32u
#define TAG       0x1234567890abcdefu

struct chain {
    struct chain *next;
    size_t size; /* of the payload behind the header */
};

struct transfer {
    struct worker base;
    struct sizes sizes;
    uint64_t steps; /* chains built by one thread in one phase */
    uint32_t phases;
    uint32_t phase;
    _Atomic(struct chain *) shared[SHARED];
};

static struct transfer transfer;

static struct chain *chain_build(struct random *random, uint64_t *sum)
{
    struct chain *first = NULL;
    for (uint32_t left = random_between(random, 1, LINKS_MAX); left > 0; left--) {
        const size_t size = sizes_draw(&transfer.sizes, random);
        struct chain *link = get_memory(sizeof(*link) + size);
        stamp_write(link + 1, size, TAG);
        *link = (struct chain){first, size};
        first = link;
        *sum += size;
    }
    return first;
}

static void chain_free(struct chain *chain)
{
    while (chain != NULL) {
        struct chain *next = chain->next;
        stamp_check(chain + 1, chain->size, TAG);
        free(chain);
        chain = next;
    }
}

static uint64_t work(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index + transfer.phase * 1000u);
    struct chain **kept = get_memory(KEPT * sizeof(*kept));
    memset(kept, 0, KEPT * sizeof(*kept));
    uint64_t sum = 0;
    for (uint64_t i = 0; i < transfer.steps; i++) {
        struct chain *chain = chain_build(&random, &sum);
        const uint32_t place = random_below(&random, SHARED);
        if (random_below(&random, 4) == 0) {
            /* Both sides publish what the other will read: release and acquire in one. */
            chain = atomic_exchange_explicit(&transfer.shared[place], chain, memory_order_acq_rel);
        } else {
            struct chain **keep = &kept[random_below(&random, KEPT)];
            struct chain *old = *keep;
            *keep = chain;
            chain = old;
        }
        chain_free(chain);
    }
    for (uint32_t i = 0; i < KEPT; i++)
        chain_free(kept[i]);
    free(kept);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &transfer.base;
    worker_init(worker, argc, argv);
    sizes_init(&transfer.sizes, worker_word(worker, "sizes", "objects"));
    transfer.phases = (uint32_t)worker_number(worker, "phases", 10);
    transfer.steps = worker_number(worker, "steps", 100000) / transfer.phases;
    worker_check_arguments(worker);
    worker_begin(worker);
    uint64_t sum = 0;
    for (; transfer.phase < transfer.phases; transfer.phase++)
        sum += worker_run_threads(worker, work);
    for (uint32_t i = 0; i < SHARED; i++)
        chain_free(atomic_load_explicit(&transfer.shared[i], memory_order_relaxed));
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
