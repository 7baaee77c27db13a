/* terrane_stats_openmetrics and terrane_stats_json: the syntax is exact, and every field of both
 * structs is there with its value, for each space, each order, and in sum. With the name of a file
 * this program only checks that file as OpenMetrics. */
#include "api_test.h"
#include "openmetrics.h"

#define SPACES 3

static struct terrane_space *spaces[SPACES];
static struct terrane_stats space_stats[SPACES];
static struct terrane_pool_stats pool_stats[SPACES];

/* One field: its place in the struct, and what it is in OpenMetrics. */
struct field {
    const char *family; /* behind the prefix of its group */
    size_t offset;
    bool counter;
    const char *state;
    bool no_sum;
};

#define S(field, family, ...)                                                                      \
    {                                                                                              \
        family, offsetof(struct terrane_stats, field), __VA_ARGS__                                 \
    }
static const struct field space_fields[] = {
    S(version, "stats_version", false, "", true),
    S(window_bytes, "window_bytes", false, "", true),
    S(meta_bytes, "meta_bytes", false, "", true),
    S(run_bytes, "run_bytes", false, "", false),
    S(run_bytes_peak, "run_peak_bytes", false, "", false),
    S(dirty_bytes, "dirty_bytes", false, "", false),
    S(small_bytes, "small_bytes", false, "", false),
    S(large_bytes, "large_bytes", false, "", false),
    S(mappings, "mappings", false, "", false),
    S(mappings_budget, "mappings_budget", false, "", true),
    S(commits, "commits", true, "", false),
    S(discards, "discards", true, "", false),
    S(discard_bytes, "discard_bytes", true, "", false),
    S(moves, "moves", true, "", false),
    S(move_bytes, "move_bytes", true, "", false),
    S(copies, "copies", true, "", false),
    S(copy_bytes, "copy_bytes", true, "", false),
    S(grown_in_place, "grown_in_place", true, "", false),
    S(aliases, "aliases", true, "", false),
    S(alias_bytes, "alias_bytes", true, "", false),
    S(budget_refusals, "budget_refusals", true, "", false),
    S(large_allocs, "large_allocs", true, "", false),
    S(large_frees, "large_frees", true, "", false),
    S(remote_frees, "remote_frees", true, "", false),
    S(heaps, "heaps", false, "", false),
    S(adoptions, "adoptions", true, "", false),
    S(small_refills, "small_refills", true, "", false),
    S(small_flushes, "small_flushes", true, "", false),
};

#define P(field, family, ...)                                                                      \
    {                                                                                              \
        family, offsetof(struct terrane_pool_stats, field), __VA_ARGS__                            \
    }
static const struct field pool_fields[] = {
    P(version, "stats_version", false, "", true),
    P(regions, "regions", false, "", false),
    P(resizes, "resizes", true, "", false),
    P(purges, "purges", true, "", false),
    P(refusals, "refusals", true, "", false),
    P(pressure_calls, "pressure_calls", true, "", false),
    P(mapped_bytes, "mapped_bytes", false, "", false),
    P(resident_bytes, "resident_bytes", false, "", false),
    P(file_bytes, "file_bytes", false, "", false),
    P(elided_bytes, "elided_bytes", true, "", false),
    P(evicted_bytes, "evicted_bytes", true, "", false),
    P(limit_bytes, "limit_bytes", false, "", true),
    P(budget_bytes, "budget_bytes", false, "", true),
};

#define O(field, family, ...)                                                                      \
    {                                                                                              \
        family, offsetof(struct terrane_order_stats, field), __VA_ARGS__                           \
    }
static const struct field order_fields[] = {
    O(acquires, "acquires", true, "", false),
    O(releases, "releases", true, "", false),
    O(cache_hits, "cache_hits", true, "", false),
    O(dirty_hits, "dirty_hits", true, "", false),
    O(steals, "steals", true, "", false),
    O(refills, "refills", true, "", false),
    O(splits, "splits", true, "", false),
    O(joins, "joins", true, "", false),
    O(purged_bytes, "purged_bytes", true, "", false),
    O(live_bytes, "bytes", false, "live", false),
    O(held_peak, "held_peak_bytes", false, "", false),
    O(cached_bytes, "bytes", false, "cached", false),
    O(dirty_bytes, "bytes", false, "dirty", false),
    O(clean_bytes, "bytes", false, "clean", false),
};

enum { SPACE_FIELDS = sizeof(space_fields) / sizeof(space_fields[0]) };
enum { POOL_FIELDS = sizeof(pool_fields) / sizeof(pool_fields[0]) };
enum { ORDER_FIELDS = sizeof(order_fields) / sizeof(order_fields[0]) };

_Static_assert(SPACE_FIELDS == sizeof(struct terrane_stats) / 8, "all fields are looked for");
_Static_assert(ORDER_FIELDS == sizeof(struct terrane_order_stats) / 8, "all fields again");
_Static_assert(POOL_FIELDS + ORDER_FIELDS == offsetof(struct terrane_pool_stats, orders) / 8,
               "all fields again");

/* ---- what the text should say ---- */

static uint64_t value_at(const void *of, size_t offset)
{
    uint64_t value;
    memcpy(&value, (const char *)of + offset, sizeof(value));
    return value;
}

/* Where a group's fields lie in the structs of space `i`. */
enum group { GROUP_SPACE, GROUP_POOL, GROUP_TOTAL, GROUP_ORDER };
static const char *const prefixes[] = {"space_", "pool_", "pool_", "pool_order_"};

static const void *group_of(enum group group, size_t i, unsigned order)
{
    if (group == GROUP_SPACE)
        return &space_stats[i];
    if (group == GROUP_POOL)
        return &pool_stats[i];
    return group == GROUP_TOTAL ? &pool_stats[i].total : &pool_stats[i].orders[order];
}

/* How many there were: the reader takes none twice. */
struct seen {
    size_t samples, sums;
};

static bool field_is(const struct field *field, enum group group, const char *rest,
                     const struct metric_sample *sample)
{
    const size_t prefix = strlen(prefixes[group]);
    return strncmp(rest, prefixes[group], prefix) == 0 &&
           strcmp(rest + prefix, field->family) == 0 && field->counter == sample->counter &&
           strcmp(metric_label_of(sample, "state"), field->state) == 0;
}

static const char *const backings[SPACES] = {"private", "memfd", "scratch"};

static void check_value(const struct metric_sample *sample, const struct field *field,
                        enum group group, unsigned order)
{
    const size_t i = (size_t)atoi(metric_label_of(sample, "space"));
    assert_true(i < SPACES); /* there is no default space */
    assert_string_equal(metric_label_of(sample, "backing"), backings[i]);
    const uint64_t wanted = value_at(group_of(group, i, order), field->offset);
    if (sample->whole != wanted)
        fail_msg("%s of space %zu, order %u is %llu instead of %llu", sample->family, i, order,
                 (unsigned long long)sample->whole, (unsigned long long)wanted);
}

static void check_sum(const struct metric_sample *sample, const struct field *field,
                      enum group group, unsigned order)
{
    uint64_t wanted = 0;
    assert_false(field->no_sum);
    for (size_t i = 0; i < SPACES; i++)
        wanted += value_at(group_of(group, i, order), field->offset);
    if (sample->whole != wanted)
        fail_msg("the sum %s, order %u is %llu instead of %llu", sample->family, order,
                 (unsigned long long)sample->whole, (unsigned long long)wanted);
}

static bool check_group(const struct metric_sample *sample, const char *rest, bool is_sum,
                        enum group group, const struct field *fields, size_t count)
{
    const char *order = metric_label_of(sample, "order");
    if ((*order != '\0') != (group == GROUP_ORDER))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!field_is(&fields[i], group, rest, sample))
            continue;
        if (is_sum)
            check_sum(sample, &fields[i], group, (unsigned)atoi(order));
        else
            check_value(sample, &fields[i], group, (unsigned)atoi(order));
        return true;
    }
    return false;
}

static void check_sample(const struct metric_sample *sample, void *context)
{
    struct seen *seen = context;
    static const char prefix[] = "terrane_", sum_prefix[] = "terrane_process_";
    const bool is_sum = strncmp(sample->family, sum_prefix, sizeof(sum_prefix) - 1) == 0;
    const char *rest = sample->family + (is_sum ? sizeof(sum_prefix) : sizeof(prefix)) - 1;
    assert_true(strncmp(sample->family, prefix, sizeof(prefix) - 1) == 0);
    assert_true((*metric_label_of(sample, "space") == '\0') == is_sum);
    const bool known = check_group(sample, rest, is_sum, GROUP_SPACE, space_fields, SPACE_FIELDS) ||
                       check_group(sample, rest, is_sum, GROUP_POOL, pool_fields, POOL_FIELDS) ||
                       check_group(sample, rest, is_sum, GROUP_TOTAL, order_fields, ORDER_FIELDS) ||
                       check_group(sample, rest, is_sum, GROUP_ORDER, order_fields, ORDER_FIELDS);
    if (!known)
        fail_msg("%s is no field", sample->family);
    if (is_sum)
        seen->sums++;
    else
        seen->samples++;
}

/* ---- the text ---- */

typedef int writer(struct terrane_space *space, char *text, size_t size);

static char *text_of(writer *write_text, struct terrane_space *space)
{
    const int length = write_text(space, NULL, 0);
    assert_true(length > 0);
    char *text = malloc((size_t)length + 1);
    assert_non_null(text);
    assert_int_equal(write_text(space, text, (size_t)length + 1), length);
    assert_int_equal(strlen(text), length);
    return text;
}

static void *use_cache(void *context)
{
    struct terrane_space *space = context;
    for (int i = 0; i < 20; i++) {
        struct terrane_region region;
        assert_int_equal(terrane_region_acquire(space, (size_t)100000 << i % 5, &region), 0);
        terrane_region_release(&region);
    }
    return NULL;
}

/* Figures that are not 0, in many orders. Nothing here makes the default space. */
static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < SPACES; i++) {
        struct terrane_region region;
        void *object;
        spaces[i] = space_of_backing((enum terrane_backing)i);
        struct terrane_heap *heap = heap_in(spaces[i]);
        for (size_t bytes = 1; bytes < 100 * MIB; bytes *= 3)
            object = object_in(heap, bytes);
        terrane_free(object);
        assert_int_equal(terrane_region_acquire(spaces[i], 5 * MIB, &region), 0);
        (void)use_cache(spaces[i]);
        terrane_pool_set_limit(spaces[i], 900 * MIB + (size_t)i);
        terrane_pool_set_decay(spaces[i], UINT64_MAX); /* so that nothing changes */
    }
    return 0;
}

static void figures_now(void)
{
    for (size_t i = 0; i < SPACES; i++) {
        terrane_space_stats(spaces[i], &space_stats[i]);
        terrane_pool_stats(spaces[i], &pool_stats[i]);
    }
}

static void test_openmetrics_of_all(void **state)
{
    (void)state;
    struct seen seen = {0, 0};
    char *text = text_of(terrane_stats_openmetrics, NULL);
    figures_now();
    metrics_read(text, check_sample, &seen);
    const size_t each = SPACE_FIELDS + POOL_FIELDS + ORDER_FIELDS * (1 + TERRANE_POOL_ORDERS);
    assert_int_equal(seen.samples, SPACES * each);
    assert_int_equal(seen.sums, each - 7); /* those that have no sum */
    free(text);
}

static void test_openmetrics_of_one(void **state)
{
    (void)state;
    struct seen seen = {0, 0};
    char *text = text_of(terrane_stats_openmetrics, spaces[1]);
    figures_now();
    metrics_read(text, check_sample, &seen);
    assert_int_equal(seen.samples,
                     SPACE_FIELDS + POOL_FIELDS + ORDER_FIELDS * (1 + TERRANE_POOL_ORDERS));
    assert_int_equal(seen.sums, 0);
    free(text);
}

/* As much as fits, terminated, and the length of the whole whatever the room. */
static void test_small_rooms(void **state)
{
    (void)state;
    writer *const writers[] = {terrane_stats_json, terrane_stats_openmetrics};
    for (size_t w = 0; w < 2; w++) {
        char *whole = text_of(writers[w], spaces[0]);
        const size_t length = strlen(whole);
        for (size_t size = 1; size <= length + 1; size = size < 5 ? size + 1 : size * 2) {
            char *text = malloc(size + 1);
            memset(text, '#', size + 1);
            assert_int_equal(writers[w](spaces[0], text, size), length);
            assert_int_equal(strlen(text), size <= length ? size - 1 : length);
            assert_memory_equal(text, whole, strlen(text));
            assert_int_equal(text[size], '#');
            free(text);
        }
        assert_int_equal(writers[w](spaces[0], NULL, 1), -EINVAL);
        assert_int_equal(writers[w](spaces[0], NULL, 0), length);
        free(whole);
    }
}

/* The number behind "name": from `at` on. */
static uint64_t json_number(const char *at, const char *name)
{
    char key[64];
    snprintf(key, sizeof(key), "\"%s\":", name);
    at = strstr(at, key);
    assert_non_null(at);
    return strtoull(at + strlen(key), NULL, 10);
}

/* Names and places; that the whole is JSON is seen with a reader of JSON in test/preload. */
static void test_json(void **state)
{
    (void)state;
    char *text = text_of(terrane_stats_json, spaces[2]);
    figures_now();
    assert_non_null(strstr(text, "\"backing\":\"scratch\""));
    assert_null(strstr(text, "\"sum\""));
    assert_int_equal(json_number(text, "run_bytes_peak"), space_stats[2].run_bytes_peak);
    assert_int_equal(json_number(text, "small_flushes"), space_stats[2].small_flushes);
    const char *pool = strstr(text, "\"pool\":");
    assert_non_null(pool);
    assert_int_equal(json_number(pool, "limit_bytes"), 900 * MIB + 2);
    assert_int_equal(json_number(pool, "mapped_bytes"), pool_stats[2].mapped_bytes);
    const char *total = strstr(pool, "\"total\":");
    assert_int_equal(json_number(total, "acquires"), pool_stats[2].total.acquires);
    const char *orders = strstr(pool, "\"orders\":[");
    for (unsigned order = 0; order < TERRANE_POOL_ORDERS; order++) {
        char key[32];
        snprintf(key, sizeof(key), "{\"order\":%u,", order);
        const char *at = strstr(orders, key);
        assert_non_null(at);
        assert_int_equal(json_number(at, "run_bytes"), (uint64_t)65536 << order);
        assert_int_equal(json_number(at, "acquires"), pool_stats[2].orders[order].acquires);
        assert_int_equal(json_number(at, "clean_bytes"), pool_stats[2].orders[order].clean_bytes);
    }
    free(text);
    text = text_of(terrane_stats_json, NULL);
    const char *sum = strstr(text, "\"sum\":");
    assert_non_null(sum);
    assert_int_equal(json_number(sum, "run_bytes"), space_stats[0].run_bytes +
                                                        space_stats[1].run_bytes +
                                                        space_stats[2].run_bytes);
    free(text);
}

/* ---- a file ---- */

static void ignore(const struct metric_sample *sample, void *context)
{
    (void)sample;
    ++*(size_t *)context;
}

static int check_file(const char *path)
{
    static char text[4 << 20];
    size_t samples = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0);
    size_t length = 0;
    for (ssize_t got; (got = read(fd, text + length, sizeof(text) - 1 - length)) > 0;)
        length += (size_t)got;
    close(fd);
    text[length] = '\0';
    metrics_read(text, ignore, &samples);
    printf("%zu samples\n", samples);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return check_file(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openmetrics_of_all),
        cmocka_unit_test(test_openmetrics_of_one),
        cmocka_unit_test(test_small_rooms),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, set_up, NULL) == 0 ? 0 : 1;
}
