/* The benches of arrays: the cases, the clock and the checks, the same for all ways of holding an
 * array. Each worker brings one way, a table of functions, and calls arrays_main or arrays_run.
 *
 *     case=append|prepend   arrays=N, in turns, unit by unit, from nothing to size=BYTES each
 *     case=share            count=N versions, each appended to the one before while that is held;
 *                           every 16th stays, and the array of size=BYTES that all began with
 *     case=fork             two versions of one array that stays, a block appended to each
 *     case=write            a version with one word changed, of an array that stays
 *     case=slice            the middle half of an array that stays, and a block behind it
 *     case=concat           two arrays of size=BYTES put together; held=1: both stay
 *
 * Loops over units lie in the ways themselves, so that no call through a pointer is between a
 * contender and its unit; what goes through the table is work on whole blocks. A way that cannot
 * share makes a copy with room for what comes: that is what its users do.
 *
 * repeat=N does it N times. Arrays that a case begins with are made before the clock starts. All
 * units of the results are added up before it stops: pages that were put off, and addresses that
 * are slow to translate, are paid for. A result is given back within the time of the next one, the
 * last one after the clock has stopped. */
#ifndef TERRANE_BENCH_ARRAYS_H
#define TERRANE_BENCH_ARRAYS_H

#include "cost.h"
#include "residence.h"

#define ARRAYS_MAX    16u
#define VERSIONS_MAX  64u
#define VERSIONS_KEEP 16u
#define BLOCK_BYTES   ((size_t)4096)
#define WORD_BYTES    ((size_t)8)
#define WORD_FACTOR   UINT64_C(0x9e3779b97f4a7c15)
#define SLICE_SHIFT   ((size_t)24) /* a slice does not begin where a page does */

/* An array of some way: what the way calls its own, or a buffer. */
struct array {
    void *own;
    unsigned char *base;  /* the buffer */
    unsigned char *first; /* byte of the first unit */
    unsigned char *end;   /* behind the last unit */
    unsigned char *limit; /* of the buffer */
};

struct arrays_way {
    /* Reads the arguments of the way. */
    void (*open)(struct worker *worker);
    /* An array without units, of `unit` bytes each. */
    void (*create)(struct array *array, size_t unit);
    /* Pushes units 0 to units - 1 to the end (or the front) of each array, in turns. */
    void (*push)(struct array *arrays, unsigned count, size_t unit, size_t units);
    void (*push_front)(struct array *arrays, unsigned count, size_t unit, size_t units);
    /* Makes room for `bytes` in a new array and returns them; NULL: the way has no versions. */
    void *(*fill)(struct array *array, size_t bytes);
    /* New versions; `held` stays as it is. */
    void (*append)(const struct array *held, const void *block, struct array *out);
    void (*write)(const struct array *held, size_t at, uint64_t word, struct array *out);
    void (*slice)(const struct array *held, size_t first, size_t bytes, const void *block,
                  struct array *out);
    /* Consumes both arrays unless they are held. */
    void (*concatenate)(struct array *first, struct array *second, bool held, struct array *out);
    uint64_t (*sum)(const struct array *array);
    void (*release)(struct array *array);
};

struct arrays_bench {
    struct worker base;
    const struct arrays_way *way;
    size_t size;
    size_t unit;
    unsigned arrays;
    unsigned count;
    unsigned repeat;
    bool held;
    struct array begun[2]; /* what the case begins with */
    struct array results[VERSIONS_MAX];
    uint64_t expected[VERSIONS_MAX];
    unsigned result_count;
    unsigned summed; /* of the results, from the first on: inside the time */
    unsigned round;  /* counts repetitions */
    uint64_t total;  /* of all sums */
    uint64_t block[BLOCK_BYTES / WORD_BYTES];
};

struct arrays_case {
    const char *name;
    void (*begin)(struct arrays_bench *bench); /* before each time; NULL: nothing */
    void (*build)(struct arrays_bench *bench);
    bool is_version; /* begins with an array that stays */
};

/* The loops over units of the four sizes that cases push. */
typedef void push_function(struct array *arrays, unsigned count, size_t units);

struct push_units {
    push_function *of_1;
    push_function *of_8;
    push_function *of_64;
    push_function *of_4096;
};

static inline push_function *push_units_find(const struct push_units *pushes, size_t unit)
{
    switch (unit) {
    case 1:
        return pushes->of_1;
    case 8:
        return pushes->of_8;
    case 64:
        return pushes->of_64;
    case 4096:
        return pushes->of_4096;
    default:
        worker_fail("unit must be 1, 8, 64 or 4096, not %zu", unit);
    }
}

/* ---- contents ---- */

/* Bytes as words; what does not fill a word at the end is left out, and no case has any. */
static inline uint64_t words_sum(const unsigned char *data, size_t bytes)
{
    uint64_t sums[4] = {0, 0, 0, 0};
    uint64_t words[4];
    size_t at = 0;
    for (; at + sizeof(words) <= bytes; at += sizeof(words)) {
        memcpy(words, data + at, sizeof(words));
        for (int i = 0; i < 4; i++)
            sums[i] += words[i];
    }
    for (; at + WORD_BYTES <= bytes; at += WORD_BYTES) {
        memcpy(words, data + at, WORD_BYTES);
        sums[0] += words[0];
    }
    return sums[0] + sums[1] + sums[2] + sums[3];
}

/* The unit that is pushed: its number in the first word, constants behind. A unit of one byte is
 * the lowest byte of its number. */
static inline void unit_fill(uint64_t *words, size_t unit)
{
    for (size_t i = 0; i < unit / WORD_BYTES; i++)
        words[i] = i;
}

/* Sum of 0 to count - 1. */
static inline uint64_t numbers_sum(uint64_t count)
{
    return count % 2 == 0 ? count / 2 * (count - 1) : (count - 1) / 2 * count;
}

/* What the words of `units` pushed units add up to. */
static inline uint64_t units_sum(size_t unit, size_t units, bool at_front)
{
    uint64_t sum = 0;
    if (unit == 1) {
        for (uint64_t i = 0; i < 256; i++)
            sum += (at_front ? 255 - i : i) << i % WORD_BYTES * 8;
        return sum * (units / 256);
    }
    return numbers_sum(units) + numbers_sum(unit / WORD_BYTES) * units;
}

static inline uint64_t word_at(size_t index)
{
    return index * WORD_FACTOR;
}

/* What word_at gives for `count` words from `first` on. */
static inline uint64_t filled_sum(size_t first, size_t count)
{
    return (numbers_sum(first + count) - numbers_sum(first)) * WORD_FACTOR;
}

static inline void begin_filled(struct arrays_bench *bench, struct array *array)
{
    bench->way->create(array, WORD_BYTES);
    unsigned char *data = (unsigned char *)bench->way->fill(array, bench->size);
    for (size_t i = 0; i < bench->size / WORD_BYTES; i++) {
        const uint64_t word = word_at(i);
        memcpy(data + i * WORD_BYTES, &word, WORD_BYTES);
    }
}

static inline uint64_t block_sum(struct arrays_bench *bench, uint64_t tag)
{
    for (size_t i = 0; i < BLOCK_BYTES / WORD_BYTES; i++)
        bench->block[i] = tag + i;
    return words_sum((const unsigned char *)bench->block, BLOCK_BYTES);
}

static inline struct array *add_result(struct arrays_bench *bench, uint64_t expected)
{
    if (bench->result_count == VERSIONS_MAX)
        worker_fail("more than %u versions", VERSIONS_MAX);
    bench->expected[bench->result_count] = expected;
    return &bench->results[bench->result_count++];
}

/* ---- the cases ---- */

static inline void begin_empty(struct arrays_bench *bench, bool at_front)
{
    const size_t units = bench->size / bench->unit;
    for (unsigned i = 0; i < bench->arrays; i++)
        bench->way->create(add_result(bench, units_sum(bench->unit, units, at_front)), bench->unit);
    bench->summed = bench->arrays;
}

static inline void begin_append(struct arrays_bench *bench)
{
    begin_empty(bench, false);
}

static inline void begin_prepend(struct arrays_bench *bench)
{
    begin_empty(bench, true);
}

static inline void build_append(struct arrays_bench *bench)
{
    bench->way->push(bench->results, bench->arrays, bench->unit, bench->size / bench->unit);
}

static inline void build_prepend(struct arrays_bench *bench)
{
    bench->way->push_front(bench->results, bench->arrays, bench->unit, bench->size / bench->unit);
}

/* The newest version is the first result, those that stay are behind it. */
static inline void build_share(struct arrays_bench *bench)
{
    uint64_t sum = filled_sum(0, bench->size / WORD_BYTES);
    struct array *newest = add_result(bench, 0);
    for (unsigned i = 0; i < bench->count; i++) {
        struct array next;
        sum += block_sum(bench, i);
        bench->way->append(i == 0 ? &bench->begun[0] : newest, bench->block, &next);
        if (i > 0 && i % VERSIONS_KEEP == 0)
            *add_result(bench, bench->expected[0]) = *newest;
        else if (i > 0)
            bench->way->release(newest);
        *newest = next;
        bench->expected[0] = sum;
    }
    bench->summed = 1;
}

static inline void build_fork(struct arrays_bench *bench)
{
    const uint64_t sum = filled_sum(0, bench->size / WORD_BYTES);
    for (uint64_t i = 0; i < 2; i++) {
        const uint64_t added = block_sum(bench, i);
        bench->way->append(&bench->begun[0], bench->block, add_result(bench, sum + added));
    }
    bench->summed = 2;
}

static inline void build_write(struct arrays_bench *bench)
{
    const size_t words = bench->size / WORD_BYTES;
    const size_t index = (size_t)(bench->round * WORD_FACTOR % words);
    const uint64_t expected = filled_sum(0, words) - word_at(index) + bench->round;
    bench->way->write(&bench->begun[0], index * WORD_BYTES, bench->round,
                      add_result(bench, expected));
    bench->summed = 1;
}

static inline void build_slice(struct arrays_bench *bench)
{
    const size_t first = bench->size / 4 + SLICE_SHIFT;
    const size_t bytes = bench->size / 2;
    const uint64_t sum = filled_sum(first / WORD_BYTES, bytes / WORD_BYTES);
    const uint64_t added = block_sum(bench, bench->round);
    bench->way->slice(&bench->begun[0], first, bytes, bench->block, add_result(bench, sum + added));
    bench->summed = 1;
}

static inline void begin_concat(struct arrays_bench *bench)
{
    begin_filled(bench, &bench->begun[0]);
    begin_filled(bench, &bench->begun[1]);
}

static inline void build_concat(struct arrays_bench *bench)
{
    const uint64_t sum = filled_sum(0, bench->size / WORD_BYTES);
    struct array *joined = add_result(bench, 2 * sum);
    bench->way->concatenate(&bench->begun[0], &bench->begun[1], bench->held, joined);
    bench->summed = 1;
    for (unsigned i = 0; bench->held && i < 2; i++)
        *add_result(bench, sum) = bench->begun[i];
}

static inline const struct arrays_case *arrays_case_find(const char *name)
{
    static const struct arrays_case cases[] = {
        {"append", begin_append, build_append, false},
        {"prepend", begin_prepend, build_prepend, false},
        {"share", NULL, build_share, true},
        {"fork", NULL, build_fork, true},
        {"write", NULL, build_write, true},
        {"slice", NULL, build_slice, true},
        {"concat", begin_concat, build_concat, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    }
    worker_fail("no case '%s'", name);
}

/* ---- measuring ---- */

/* Memory of the process that is there once however often it is shown: its own pages, and the
 * blocks of its files without a name. */
static inline uint64_t physical_bytes(void)
{
    return proc_bytes("/proc/self/smaps_rollup", "Anonymous:") +
           nameless_files_sum(file_disk_bytes);
}

static inline void sum_results(struct arrays_bench *bench, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        const uint64_t sum = bench->way->sum(&bench->results[i]);
        if (sum != bench->expected[i])
            worker_fail("result %u adds up to %llx instead of %llx", i, (unsigned long long)sum,
                        (unsigned long long)bench->expected[i]);
        bench->total += sum;
    }
}

static inline void release_results(struct arrays_bench *bench)
{
    for (unsigned i = 0; i < bench->result_count; i++)
        bench->way->release(&bench->results[i]);
    bench->result_count = 0;
}

struct arrays_time {
    double cpu_s;
    double wall_s;
};

static inline struct arrays_time time_now(void)
{
    const struct arrays_time now = {process_cpu_s(), clock_s()};
    return now;
}

static inline void time_add(struct arrays_time *sum, const struct arrays_time *since)
{
    const struct arrays_time now = time_now();
    sum->cpu_s += now.cpu_s - since->cpu_s;
    sum->wall_s += now.wall_s - since->wall_s;
}

struct arrays_cost {
    struct arrays_time all;
    struct arrays_time sums;
    double grown_bytes; /* by the last repetition */
};

static inline void arrays_once(struct arrays_bench *bench, const struct arrays_case *run,
                               struct arrays_cost *cost, bool is_last)
{
    const struct arrays_time released = time_now();
    release_results(bench);
    time_add(&cost->all, &released);
    if (run->begin != NULL)
        run->begin(bench);
    const uint64_t physical = is_last ? physical_bytes() : 0;
    const struct arrays_time begun = time_now();
    run->build(bench);
    const struct arrays_time built = time_now();
    sum_results(bench, 0, bench->summed);
    time_add(&cost->sums, &built);
    time_add(&cost->all, &begun);
    if (is_last)
        cost->grown_bytes = (double)physical_bytes() - (double)physical;
    sum_results(bench, bench->summed, bench->result_count);
    bench->round++;
}

static inline void arrays_report(struct arrays_bench *bench, const struct arrays_cost *cost,
                                 unsigned operations)
{
    struct worker *worker = &bench->base;
    const double count = (double)operations;
    worker_figure(worker, "cost_s", cost->all.cpu_s / count);
    worker_figure(worker, "cost_wall_s", cost->all.wall_s / count);
    worker_figure(worker, "build_s", (cost->all.cpu_s - cost->sums.cpu_s) / count);
    worker_figure(worker, "sum_s", cost->sums.cpu_s / count);
    worker_figure(worker, "grown_bytes", cost->grown_bytes);
    worker_output(worker, bench->total);
}

static inline void arrays_measure(struct arrays_bench *bench, const struct arrays_case *run)
{
    struct arrays_cost warm_up = {{0, 0}, {0, 0}, 0};
    struct arrays_cost cost = {{0, 0}, {0, 0}, 0};
    if (run->is_version)
        begin_filled(bench, &bench->begun[0]);
    if (bench->repeat > 1)
        arrays_once(bench, run, &warm_up, true); /* what looks at the memory warms up, too */
    else
        (void)physical_bytes(); /* the code of the look itself comes in */
    worker_begin(&bench->base);
    for (unsigned i = 0; i < bench->repeat; i++)
        arrays_once(bench, run, &cost, i + 1 == bench->repeat);
    worker_end(&bench->base);
    release_results(bench);
    if (run->is_version) {
        if (bench->way->sum(&bench->begun[0]) != filled_sum(0, bench->size / WORD_BYTES))
            worker_fail("the array that stays was changed");
        bench->way->release(&bench->begun[0]);
    }
    arrays_report(bench, &cost, bench->repeat * (bench->count > 0 ? bench->count : 1));
}

static inline int arrays_run(struct worker *worker, const struct arrays_way *way)
{
    static struct arrays_bench bench;
    bench.way = way;
    way->open(worker);
    const struct arrays_case *run = arrays_case_find(worker_word(worker, "case", "append"));
    bench.size = worker_number(worker, "size", (uint64_t)1 << 20);
    bench.unit = worker_number(worker, "unit", WORD_BYTES);
    bench.arrays = (unsigned)worker_number(worker, "arrays", 1);
    bench.count = (unsigned)worker_number(worker, "count", 0);
    bench.repeat = (unsigned)worker_number(worker, "repeat", 1);
    bench.held = worker_number(worker, "held", 0) != 0;
    worker_check_arguments(worker);
    bench.base = *worker;
    if (bench.arrays == 0 || bench.arrays > ARRAYS_MAX || bench.repeat == 0)
        worker_fail("arrays must be 1 to %u, repeat at least 1", ARRAYS_MAX);
    if (bench.size < BLOCK_BYTES || bench.size % BLOCK_BYTES != 0)
        worker_fail("size must be a multiple of %zu", BLOCK_BYTES);
    if ((run->is_version || strcmp(run->name, "concat") == 0) && way->fill == NULL)
        worker_fail("this contender has no versions");
    arrays_measure(&bench, run);
    return worker_report(&bench.base);
}

/* The main of a worker that has no other cases. */
static inline int arrays_main(int argc, char **argv, const struct arrays_way *way)
{
    struct worker worker;
    worker_init(&worker, argc, argv);
    return arrays_run(&worker, way);
}

#endif
