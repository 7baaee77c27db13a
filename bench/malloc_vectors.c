/* Vectors that grow by a factor: many arrays side by side, elements pushed to random ones, room
 * made by realloc to twice (or one and a half times) the size; full ones are cut to their length,
 * kept for a while, and freed. Sizes up to 4 MiB: the way most memory is asked for. */
#include "random.h"
#include "stamp.h"

#define PUSH_MAX 64u

struct vectors {
    struct worker base;
    uint32_t live;
    uint64_t steps;
};

static struct vectors vectors;

struct vector {
    uint64_t *elements;
    uint32_t count;
    uint32_t capacity;
    uint32_t limit;
};

static void vector_resize(struct vector *vector, uint32_t capacity)
{
    uint64_t *resized = realloc(vector->elements, capacity * sizeof(uint64_t));
    if (resized == NULL)
        worker_fail("realloc(%zu) failed", capacity * sizeof(uint64_t));
    vector->elements = resized;
    vector->capacity = capacity;
}

static void vector_push(struct vector *vector, uint32_t count)
{
    if (vector->count + count > vector->capacity) {
        const uint32_t grown =
            vector->limit % 2 == 0 ? vector->capacity * 2 : vector->capacity + vector->capacity / 2;
        vector_resize(vector, grown < vector->count + count ? vector->count + count : grown);
    }
    for (uint32_t i = 0; i < count; i++, vector->count++)
        vector->elements[vector->count] = vector->count;
}

static uint64_t vector_end(struct vector *vector)
{
    for (uint32_t i = 0; i < vector->count; i += 509) {
        if (vector->elements[i] != i)
            worker_fail("a vector of %u elements was overwritten", vector->count);
    }
    free(vector->elements);
    const uint64_t count = vector->count;
    *vector = (struct vector){NULL, 0, 0, 0};
    return count;
}

/* Most vectors stay short: every doubling of the limit is half as likely, up to 2^19 elements. */
static uint32_t draw_limit(struct random *random)
{
    uint32_t limit = random_between(random, 8, 15);
    for (unsigned doublings = 0; doublings < 15 && random_below(random, 100) < 72; doublings++)
        limit *= 2;
    return limit + random_below(random, limit);
}

static uint64_t push(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    struct vector *table = calloc(vectors.live, sizeof(*table));
    if (table == NULL)
        worker_fail("calloc of the table failed");
    uint64_t sum = 0;
    for (uint64_t i = 0; i < vectors.steps; i++) {
        struct vector *vector = &table[random_below(&random, vectors.live)];
        if (vector->count >= vector->limit) {
            sum += vector_end(vector);
            vector->limit = draw_limit(&random);
        }
        vector_push(vector, random_between(&random, 1, 1 + vector->count / 4 + PUSH_MAX));
        if (vector->count >= vector->limit)
            vector_resize(vector, vector->count);
    }
    for (uint32_t i = 0; i < vectors.live; i++)
        sum += vector_end(&table[i]);
    free(table);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &vectors.base;
    worker_init(worker, argc, argv);
    vectors.live = (uint32_t)worker_number(worker, "live", 200);
    vectors.steps = worker_number(worker, "steps", 500000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, push);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
