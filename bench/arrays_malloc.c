/* Arrays as C programs have them: a buffer, a length, a capacity that doubles.
 *
 *     way=realloc   the buffer grows by realloc. For growth at the front the gap is there: the
 * buffer is doubled by realloc and the contents moved to its end, once each doubling way=copy each
 * larger buffer, and each version, is mapped fresh, copied to, and the old one unmapped: what
 * memcpy costs where no malloc keeps memory warm
 *
 * Versions are copies in both. Growth by exact sizes, realloc at every step, is left out: it is the
 * bench `grow`, and doubling is never slower. */
#include "arrays.h"

#include <sys/mman.h>

#define FIRST_BYTES ((size_t)64)

static bool is_mapped; /* way=copy */

static unsigned char *buffer_get(size_t bytes)
{
    unsigned char *buffer;
    if (!is_mapped) {
        buffer = malloc(bytes);
    } else {
        buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        buffer = buffer == MAP_FAILED ? NULL : buffer;
    }
    if (buffer == NULL)
        worker_fail("%zu bytes were refused", bytes);
    return buffer;
}

static void buffer_put(unsigned char *buffer, size_t bytes)
{
    if (!is_mapped)
        free(buffer);
    else if (buffer != NULL)
        munmap(buffer, bytes);
}

static void rows_open(struct worker *worker)
{
    const char *way = worker_word(worker, "way", "realloc");
    is_mapped = strcmp(way, "copy") == 0;
    if (!is_mapped && strcmp(way, "realloc") != 0)
        worker_fail("way must be realloc or copy, not '%s'", way);
}

static void rows_create(struct array *array, size_t unit)
{
    (void)unit;
    *array = (struct array){.own = NULL};
}

static size_t rows_length(const struct array *array)
{
    return (size_t)(array->end - array->first);
}

static size_t rows_total(const struct array *array)
{
    return (size_t)(array->limit - array->base);
}

static void rows_release(struct array *array)
{
    buffer_put(array->base, rows_total(array));
    *array = (struct array){.own = NULL};
}

/* Makes the buffer `total` bytes large, with what it held at its beginning. */
static void rows_enlarge(struct array *array, size_t total)
{
    const size_t front = (size_t)(array->first - array->base);
    const size_t length = rows_length(array);
    unsigned char *buffer;
    if (!is_mapped) {
        buffer = realloc(array->base, total);
        if (buffer == NULL)
            worker_fail("%zu bytes were refused", total);
    } else {
        buffer = buffer_get(total);
        if (length > 0)
            memcpy(buffer + front, array->first, length);
        buffer_put(array->base, rows_total(array));
    }
    array->base = buffer;
    array->first = buffer + front;
    array->end = buffer + front + length;
    array->limit = buffer + total;
}

static size_t rows_doubled(const struct array *array, size_t unit)
{
    const size_t total = rows_total(array);
    return total > 0 ? 2 * total : unit > FIRST_BYTES ? unit : FIRST_BYTES;
}

__attribute__((noinline)) static void rows_grow(struct array *array, size_t unit)
{
    rows_enlarge(array, rows_doubled(array, unit));
}

/* What is mapped fresh is copied to its place at once. */
__attribute__((noinline)) static void rows_grow_front(struct array *array, size_t unit)
{
    const size_t total = rows_doubled(array, unit);
    const size_t length = rows_length(array);
    if (is_mapped) {
        struct array larger = {.base = buffer_get(total)};
        larger.limit = larger.end = larger.base + total;
        larger.first = larger.end - length;
        if (length > 0)
            memcpy(larger.first, array->first, length);
        rows_release(array);
        *array = larger;
        return;
    }
    rows_enlarge(array, total);
    array->end = array->limit;
    memmove(array->end - length, array->first, length);
    array->first = array->end - length;
}

/* ---- pushing ---- */

static inline __attribute__((always_inline)) void push_one(struct array *array, size_t unit,
                                                           const void *from)
{
    if ((size_t)(array->limit - array->end) < unit)
        rows_grow(array, unit);
    memcpy(array->end, from, unit);
    array->end += unit;
}

static inline __attribute__((always_inline)) void push_one_front(struct array *array, size_t unit,
                                                                 const void *from)
{
    if ((size_t)(array->first - array->base) < unit)
        rows_grow_front(array, unit);
    array->first -= unit;
    /* clang-tidy takes the difference above for that of two null pointers */
    memcpy(array->first, from, unit); /* NOLINT(clang-analyzer-core.NonNullParamChecker) */
}

/* One array is a local variable of the loop, as in a function that builds one. */
#define PUSH_UNITS(name, push, unit)                                                               \
    static void name(struct array *arrays, unsigned count, size_t units)                           \
    {                                                                                              \
        uint64_t words[((unit) + 7) / 8];                                                          \
        unit_fill(words, unit);                                                                    \
        struct array one = arrays[0];                                                              \
        for (uint64_t i = 0; count == 1 && i < units; i++) {                                       \
            words[0] = i;                                                                          \
            push(&one, unit, words);                                                               \
        }                                                                                          \
        for (uint64_t i = 0; count > 1 && i < units; i++) {                                        \
            words[0] = i;                                                                          \
            for (unsigned j = 0; j < count; j++)                                                   \
                push(&arrays[j], unit, words);                                                     \
        }                                                                                          \
        if (count == 1)                                                                            \
            arrays[0] = one;                                                                       \
    }

PUSH_UNITS(push_1, push_one, 1)
PUSH_UNITS(push_8, push_one, 8)
PUSH_UNITS(push_64, push_one, 64)
PUSH_UNITS(push_4096, push_one, 4096)
PUSH_UNITS(push_front_1, push_one_front, 1)
PUSH_UNITS(push_front_8, push_one_front, 8)
PUSH_UNITS(push_front_64, push_one_front, 64)
PUSH_UNITS(push_front_4096, push_one_front, 4096)

static void rows_push(struct array *arrays, unsigned count, size_t unit, size_t units)
{
    static const struct push_units pushes = {push_1, push_8, push_64, push_4096};
    push_units_find(&pushes, unit)(arrays, count, units);
}

static void rows_push_front(struct array *arrays, unsigned count, size_t unit, size_t units)
{
    static const struct push_units pushes = {push_front_1, push_front_8, push_front_64,
                                             push_front_4096};
    push_units_find(&pushes, unit)(arrays, count, units);
}

/* ---- versions ---- */

static void *rows_fill(struct array *array, size_t bytes)
{
    unsigned char *buffer = buffer_get(bytes);
    *array = (struct array){NULL, buffer, buffer, buffer + bytes, buffer + bytes};
    return buffer;
}

static void rows_slice(const struct array *held, size_t first, size_t bytes, const void *block,
                       struct array *out)
{
    unsigned char *data = rows_fill(out, bytes + BLOCK_BYTES);
    memcpy(data, held->first + first, bytes);
    memcpy(data + bytes, block, BLOCK_BYTES);
}

static void rows_append(const struct array *held, const void *block, struct array *out)
{
    rows_slice(held, 0, rows_length(held), block, out);
}

static void rows_write(const struct array *held, size_t at, uint64_t word, struct array *out)
{
    unsigned char *data = rows_fill(out, rows_length(held));
    memcpy(data, held->first, rows_length(held));
    memcpy(data + at, &word, sizeof(word));
}

/* Only the second is copied if nobody holds the first. */
static void rows_concatenate(struct array *first, struct array *second, bool held,
                             struct array *out)
{
    const size_t length = rows_length(first);
    const size_t added = rows_length(second);
    if (held) {
        unsigned char *data = rows_fill(out, length + added);
        memcpy(data, first->first, length);
        memcpy(data + length, second->first, added);
        return;
    }
    rows_enlarge(first, length + added);
    memcpy(first->end, second->first, added);
    first->end += added;
    *out = *first;
    rows_release(second);
}

static uint64_t rows_sum(const struct array *array)
{
    return words_sum(array->first, rows_length(array));
}

int main(int argc, char **argv)
{
    static const struct arrays_way way = {
        rows_open,  rows_create, rows_push,        rows_push_front, rows_fill,    rows_append,
        rows_write, rows_slice,  rows_concatenate, rows_sum,        rows_release,
    };
    return arrays_main(argc, argv, &way);
}
