/* Strings that grow by a few bytes at a time with a realloc for each append, as careless builders
 * do; now and then one is cut to its length or started anew. */
#include "random.h"
#include "stamp.h"

#define APPEND_MAX 40u

struct strings {
    struct worker base;
    uint32_t live;
    uint64_t steps;
};

static struct strings strings;

struct string {
    unsigned char *bytes;
    uint32_t length;
    uint32_t limit; /* started anew when it is reached */
};

static void string_append(struct string *string, uint32_t count)
{
    unsigned char *longer = realloc(string->bytes, string->length + count);
    if (longer == NULL)
        worker_fail("realloc(%u) failed", string->length + count);
    for (uint32_t i = string->length; i < string->length + count; i++)
        longer[i] = (unsigned char)i;
    string->bytes = longer;
    string->length += count;
}

/* Every byte of a string is its index, cut to a byte. */
static uint64_t string_end(struct string *string)
{
    for (uint32_t i = 0; i < string->length; i += 37) {
        if (string->bytes[i] != (unsigned char)i)
            worker_fail("a string of %u bytes was overwritten", string->length);
    }
    free(string->bytes);
    const uint64_t length = string->length;
    *string = (struct string){NULL, 0, 0};
    return length;
}

static uint64_t build(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    struct string *table = calloc(strings.live, sizeof(*table));
    if (table == NULL)
        worker_fail("calloc of the table failed");
    uint64_t sum = 0;
    for (uint64_t i = 0; i < strings.steps; i++) {
        struct string *string = &table[random_below(&random, strings.live)];
        if (string->length >= string->limit) {
            sum += string_end(string);
            string->limit = random_between(&random, 10, 10u << random_below(&random, 9));
        }
        string_append(string, random_between(&random, 1, APPEND_MAX));
    }
    for (uint32_t i = 0; i < strings.live; i++)
        sum += string_end(&table[i]);
    free(table);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &strings.base;
    worker_init(worker, argc, argv);
    strings.live = (uint32_t)worker_number(worker, "live", 2000);
    strings.steps = worker_number(worker, "steps", 1000000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, build);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
