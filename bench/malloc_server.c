/* A server that lives long: each client has a table of objects, random ones of which are replaced;
 * after a while the thread that served the client ends and a new one takes its table over. So
 * objects outlive the threads that allocated them and are freed by their successors. */
#include "sizes.h"
#include "slots.h"

struct server {
    struct worker base;
    struct sizes sizes;
    uint32_t live;
    uint32_t generations;
    uint64_t steps; /* of one generation */
};

static struct server server;

struct client {
    struct slot *slots;
    struct random random;
    uint64_t sum;
};

static void *serve(void *argument)
{
    struct client *client = argument;
    for (uint64_t i = 0; i < server.steps; i++) {
        struct slot *slot = &client->slots[random_below(&client->random, server.live)];
        slot_empty(slot);
        slot_fill(slot, sizes_draw(&server.sizes, &client->random), i);
        client->sum += slot->size;
    }
    return NULL;
}

/* One client from its first thread to its last. */
static uint64_t serve_generations(const struct worker *worker, unsigned index)
{
    struct client client = {.slots = slots_create(server.live),
                            .random = random_make(worker->seed, index)};
    for (uint32_t i = 0; i < server.generations; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, &client) != 0)
            worker_fail("cannot start a thread");
        pthread_join(thread, NULL);
    }
    slots_destroy(client.slots, server.live);
    return client.sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &server.base;
    worker_init(worker, argc, argv);
    sizes_init(&server.sizes, worker_word(worker, "sizes", "objects"));
    server.live = (uint32_t)worker_number(worker, "live", 5000);
    server.generations = (uint32_t)worker_number(worker, "generations", 50);
    server.steps = worker_number(worker, "steps", 1000000) / server.generations;
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, serve_generations);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
