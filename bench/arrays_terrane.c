/* Arrays of terrane, on the pages of pages=NAME:
 *
 *     private      anonymous memory, huge pages where the kernel gives them (the default space)
 *     private-4K   the same without asking for huge pages
 *     memfd        a shared space: pages can be shown twice
 *     memfd-2M     the same of huge pages, which must be reserved in the machine
 *     memfd-1G
 *
 * case=even does not build arrays to be measured, it looks for the size from which sharing is
 * cheaper than copying: see arrays_even.h. */
#include "arrays.h"
#include "arrays_even.h"

#include <terrane/array.h>

static struct terrane_space *rows_space; /* NULL: the default one */
static unsigned rows_flags;

static void check(int status, const char *what)
{
    if (status != 0)
        worker_fail("%s: %s", what, strerror(-status));
}

static struct terrane_array *rows_of(const struct array *array)
{
    return array->own;
}

static void rows_open(struct worker *worker)
{
    static const struct {
        const char *name;
        size_t huge_page_bytes;
        unsigned flags;
        bool is_shared;
    } kinds[] = {
        {"private", 0, 0, false},
        {"private-4K", 0, TERRANE_ARRAY_SMALL_PAGES, false},
        {"memfd", 0, TERRANE_ARRAY_SMALL_PAGES, true},
        {"memfd-2M", (size_t)2 << 20, 0, true},
        {"memfd-1G", (size_t)1 << 30, 0, true},
    };
    const char *pages = worker_word(worker, "pages", "private");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, pages) != 0)
            continue;
        const struct terrane_space_options options = {.backing = TERRANE_BACKING_MEMFD,
                                                      .huge_page_bytes = kinds[i].huge_page_bytes};
        rows_flags = kinds[i].flags;
        if (kinds[i].is_shared)
            check(terrane_space_create(&options, &rows_space), pages);
        return;
    }
    worker_fail("pages must be private, private-4K, memfd, memfd-2M or memfd-1G, not '%s'", pages);
}

static void rows_create(struct array *array, size_t unit)
{
    struct terrane_array *rows = NULL;
    check(terrane_array_create(rows_space, unit, rows_flags, &rows), "create");
    *array = (struct array){.own = rows};
}

static void rows_release(struct array *array)
{
    terrane_array_release(rows_of(array));
    array->own = NULL;
}

/* ---- pushing ---- */

static _Noreturn __attribute__((noinline)) void refused(void)
{
    worker_fail("an array could not grow");
}

#define PUSH_UNITS(name, push, unit)                                                               \
    static void name(struct array *arrays, unsigned count, size_t units)                           \
    {                                                                                              \
        uint64_t words[((unit) + 7) / 8];                                                          \
        struct terrane_array *rows[ARRAYS_MAX];                                                    \
        unit_fill(words, unit);                                                                    \
        for (unsigned j = 0; j < count; j++)                                                       \
            rows[j] = rows_of(&arrays[j]);                                                         \
        for (uint64_t i = 0; count == 1 && i < units; i++) {                                       \
            words[0] = i;                                                                          \
            if (push(&rows[0], words, unit) != 0)                                                  \
                refused();                                                                         \
        }                                                                                          \
        for (uint64_t i = 0; count > 1 && i < units; i++) {                                        \
            words[0] = i;                                                                          \
            for (unsigned j = 0; j < count; j++) {                                                 \
                if (push(&rows[j], words, unit) != 0)                                              \
                    refused();                                                                     \
            }                                                                                      \
        }                                                                                          \
        for (unsigned j = 0; j < count; j++)                                                       \
            arrays[j].own = rows[j];                                                               \
    }

PUSH_UNITS(push_1, terrane_array_push, 1)
PUSH_UNITS(push_8, terrane_array_push, 8)
PUSH_UNITS(push_64, terrane_array_push, 64)
PUSH_UNITS(push_4096, terrane_array_push, 4096)
PUSH_UNITS(push_front_1, terrane_array_push_front, 1)
PUSH_UNITS(push_front_8, terrane_array_push_front, 8)
PUSH_UNITS(push_front_64, terrane_array_push_front, 64)
PUSH_UNITS(push_front_4096, terrane_array_push_front, 4096)

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
    struct terrane_array *rows = rows_of(array);
    void *units = NULL;
    check(terrane_array_extend(&rows, bytes / WORD_BYTES, &units), "extend");
    array->own = rows;
    return units;
}

static void rows_append(const struct array *held, const void *block, struct array *out)
{
    struct terrane_array *rows = terrane_array_reference(rows_of(held));
    check(terrane_array_append(&rows, block, BLOCK_BYTES / WORD_BYTES), "append");
    out->own = rows;
}

static void rows_write(const struct array *held, size_t at, uint64_t word, struct array *out)
{
    struct terrane_array *rows = terrane_array_reference(rows_of(held));
    void *unit = NULL;
    check(terrane_array_write(&rows, at / WORD_BYTES, 1, &unit), "write");
    memcpy(unit, &word, sizeof(word));
    out->own = rows;
}

static void rows_slice(const struct array *held, size_t first, size_t bytes, const void *block,
                       struct array *out)
{
    struct terrane_array *rows = terrane_array_reference(rows_of(held));
    check(terrane_array_slice(&rows, first / WORD_BYTES, bytes / WORD_BYTES), "slice");
    check(terrane_array_append(&rows, block, BLOCK_BYTES / WORD_BYTES), "append");
    out->own = rows;
}

static void rows_concatenate(struct array *first, struct array *second, bool held,
                             struct array *out)
{
    struct terrane_array *rows = rows_of(first);
    if (held) {
        terrane_array_reference(rows);
        terrane_array_reference(rows_of(second));
    }
    check(terrane_array_concatenate(&rows, rows_of(second)), "concatenate");
    out->own = rows;
}

static uint64_t rows_sum(const struct array *array)
{
    const struct terrane_array *rows = rows_of(array);
    return words_sum(terrane_array_data(rows),
                     terrane_array_length(rows) * terrane_array_unit(rows));
}

int main(int argc, char **argv)
{
    static const struct arrays_way way = {
        rows_open,  rows_create, rows_push,        rows_push_front, rows_fill,    rows_append,
        rows_write, rows_slice,  rows_concatenate, rows_sum,        rows_release,
    };
    struct worker worker;
    worker_init(&worker, argc, argv);
    if (strcmp(worker_word(&worker, "case", "append"), "even") == 0)
        return even_run(&worker, &way);
    return arrays_run(&worker, &way);
}
