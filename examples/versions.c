/* A table of prices is corrected, added to at both ends and forked, and each version that somebody
 * holds stays what it was: a version costs the pages in which it differs. */
#include <inttypes.h>
#include <stdio.h>
#include <terrane/terrane.h>

#define DAYS 4000000

static int64_t sum(const struct terrane_array *array)
{
    const int64_t *const cents = (const int64_t *)terrane_array_data(array);
    int64_t total = 0;
    for (size_t i = 0; i < terrane_array_length(array); i++)
        total += cents[i];
    return total;
}

static void show(const char *name, struct terrane_array *array)
{
    printf("%-10s %zu days, sum %" PRId64 "\n", name, terrane_array_length(array), sum(array));
    terrane_array_release(array);
}

int main(void)
{
    const struct terrane_space_options shared = {.backing = TERRANE_BACKING_MEMFD};
    struct terrane_space *space;
    struct terrane_array *prices;
    if (terrane_space_create(&shared, &space) != 0 ||
        terrane_array_create(space, sizeof(int64_t), 0, &prices) != 0)
        return 1;
    for (int64_t day = 0; day < DAYS; day++) {
        if (terrane_array_push(&prices, &day, sizeof(day)) != 0)
            return 1;
    }
    struct terrane_array *const published = terrane_array_reference(prices);
    struct terrane_array *corrected = terrane_array_reference(prices);
    struct terrane_array *recent = terrane_array_reference(prices);
    const int64_t more[] = {1000, 2000, 3000};
    void *one;
    if (terrane_array_append(&prices, more, 3) != 0 ||  /* the same memory, and 24 bytes behind */
        terrane_array_prepend(&prices, more, 2) != 0 || /* whole blocks of it by page table */
        terrane_array_write(&corrected, DAYS / 2, 1, &one) != 0 || /* one block is copied */
        terrane_array_slice(&recent, DAYS - 365, 365) != 0 ||      /* the same memory */
        terrane_array_append(&recent, more, 1) != 0) /* where `prices` went on: a year is copied */
        return 1;
    *(int64_t *)one = -1;

    struct terrane_array_stats stats;
    terrane_array_stats(space, &stats);
    printf("%d bytes, four versions, %" PRIu64 " bytes copied\n", DAYS * (int)sizeof(int64_t),
           stats.copied_bytes);
    show("published", published);
    show("prices", prices);
    show("corrected", corrected);
    show("recent", recent);
    return terrane_space_destroy(space);
}
