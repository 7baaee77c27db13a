/* From which size on sharing an array is cheaper than copying it.
 *
 * An array has a version that went on behind its end. A second version is to go on from the same
 * place: whole blocks are shown twice, the rest is copied; or, without arrays, a buffer is got, all
 * is copied, and the block is put behind it. Each is done again and again at growing sizes, once
 * adding up the result and once leaving it alone, and the result is given back.
 *
 *     copies=malloc   the buffer comes from malloc: up to 32 MiB the same warm memory each time
 *     copies=fresh    it is mapped and unmapped
 *
 * even_bytes is the least size from which on no larger one, up to 64 MiB, was cheaper to copy;
 * found on a grid of half octaves, then by bisection. Below the least size of the grid nothing is
 * shared; the figure is that size if sharing wins there already. */
#ifndef TERRANE_BENCH_ARRAYS_EVEN_H
#define TERRANE_BENCH_ARRAYS_EVEN_H

#include "arrays.h"

#include <sys/mman.h>

#define EVEN_STEP     ((size_t)64 << 10)
#define EVEN_MOST     ((size_t)64 << 20)
#define EVEN_STEPS    20u /* of half an octave, from the most to the least */
#define EVEN_BATCHES  5
#define EVEN_ACCURACY 1.05

struct even {
    const struct arrays_way *way;
    struct array held;
    struct array went_on; /* keeps the place behind the end of `held` */
    unsigned char *plain; /* the same contents */
    size_t size;
    bool is_summed;
    bool is_fresh;
    uint64_t expected;
    uint64_t block[BLOCK_BYTES / WORD_BYTES];
};

static inline void even_check(const struct even *even, uint64_t sum)
{
    if (sum != even->expected)
        worker_fail("%zu bytes add up to %llx instead of %llx", even->size, (unsigned long long)sum,
                    (unsigned long long)even->expected);
}

static inline void even_share(void *context, uint64_t count)
{
    const struct even *even = (const struct even *)context;
    for (uint64_t i = 0; i < count; i++) {
        struct array version;
        even->way->append(&even->held, even->block, &version);
        if (even->is_summed)
            even_check(even, even->way->sum(&version));
        even->way->release(&version);
    }
}

static inline unsigned char *even_buffer(const struct even *even, size_t bytes)
{
    void *buffer = even->is_fresh ? mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                  : malloc(bytes);
    if (buffer == NULL || buffer == MAP_FAILED)
        worker_fail("%zu bytes were refused", bytes);
    return (unsigned char *)buffer;
}

static inline void even_copy(void *context, uint64_t count)
{
    const struct even *even = (const struct even *)context;
    const size_t bytes = even->size + BLOCK_BYTES;
    for (uint64_t i = 0; i < count; i++) {
        unsigned char *copy = even_buffer(even, bytes);
        memcpy(copy, even->plain, even->size);
        memcpy(copy + even->size, even->block, BLOCK_BYTES);
        /* The compiler must not see that a copy nobody looks at is not needed. */
        __asm__ volatile("" : : "r"(copy) : "memory");
        if (even->is_summed)
            even_check(even, words_sum(copy, bytes));
        if (even->is_fresh)
            munmap(copy, bytes);
        else
            free(copy);
    }
}

/* CPU time of one, the least of some batches: what disturbs only adds. */
static inline double even_cost_s(cost_function *function, struct even *even)
{
    const uint64_t batch = cost_batch(function, even);
    double least_s = 0;
    for (int i = 0; i < EVEN_BATCHES; i++) {
        const double before_s = clock_thread_s();
        function(even, batch);
        const double took_s = (clock_thread_s() - before_s) / (double)batch;
        least_s = i == 0 || took_s < least_s ? took_s : least_s;
    }
    return least_s;
}

static inline bool sharing_wins(struct even *even, size_t size)
{
    even->size = size;
    even->expected = filled_sum(0, size / WORD_BYTES) +
                     words_sum((const unsigned char *)even->block, BLOCK_BYTES);
    even->way->create(&even->held, WORD_BYTES);
    unsigned char *data = (unsigned char *)even->way->fill(&even->held, size);
    even->plain = even_buffer(even, size);
    for (size_t i = 0; i < size / WORD_BYTES; i++) {
        const uint64_t word = word_at(i);
        memcpy(data + i * WORD_BYTES, &word, WORD_BYTES);
    }
    memcpy(even->plain, data, size);
    even->way->append(&even->held, even->block, &even->went_on);
    const double shared_s = even_cost_s(even_share, even);
    const double copied_s = even_cost_s(even_copy, even);
    even->way->release(&even->went_on);
    even->way->release(&even->held);
    if (even->is_fresh)
        munmap(even->plain, size);
    else
        free(even->plain);
    return shared_s < copied_s;
}

static inline size_t even_rounded(double bytes)
{
    return (size_t)(bytes / (double)EVEN_STEP + 0.5) * EVEN_STEP;
}

/* The least size; 0: none. */
static inline size_t even_find(struct even *even)
{
    size_t wins = 0;
    size_t loses = 0;
    for (unsigned step = 0; step <= EVEN_STEPS && loses == 0; step++) {
        const size_t whole = EVEN_MOST >> step / 2; /* every other one lies between two of these */
        const size_t size = step % 2 == 0 ? whole : even_rounded((double)whole * 0.70710678);
        if (sharing_wins(even, size))
            wins = size;
        else
            loses = size;
    }
    while (wins > 0 && loses > 0 && wins - loses > EVEN_STEP &&
           (double)wins > (double)loses * EVEN_ACCURACY) {
        const size_t middle = even_rounded((double)(wins + loses) / 2);
        if (sharing_wins(even, middle))
            wins = middle;
        else
            loses = middle;
    }
    return wins;
}

static inline void even_report(struct worker *worker, const char *figure, size_t bytes)
{
    if (bytes > 0)
        worker_figure(worker, figure, (double)bytes);
    else
        worker_note(worker, "copying is as cheap at 64 MiB");
}

static inline int even_run(struct worker *worker, const struct arrays_way *way)
{
    static struct even even;
    even.way = way;
    way->open(worker);
    const char *copies = worker_word(worker, "copies", "malloc");
    even.is_fresh = strcmp(copies, "fresh") == 0;
    if (!even.is_fresh && strcmp(copies, "malloc") != 0)
        worker_fail("copies must be malloc or fresh, not '%s'", copies);
    worker_check_arguments(worker);
    for (size_t i = 0; i < BLOCK_BYTES / WORD_BYTES; i++)
        even.block[i] = i;
    worker_begin(worker);
    even.is_summed = true;
    even_report(worker, "even_bytes", even_find(&even));
    even.is_summed = false;
    even_report(worker, "even_untouched_bytes", even_find(&even));
    worker_end(worker);
    return worker_report(worker);
}

#endif
