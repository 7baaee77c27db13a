/* Arrays under strict overcommit, where the kernel refuses to make a whole window accessible, so
 * that every part of a room is committed before it is used. Addresses that were forgotten would
 * fault; parts that are no whole pages end the process. */
#include "base/base.h"
#include "contents.h"
#include "os/os.h"
#include "space/space.h"

#include <terrane/terrane.h>

#define UNIT     24
#define UNITS    20000
#define BYTES    ((size_t)UNIT * UNITS)
#define PROMISED TN_GIB

int __real_tn_os_commit(void *addr, size_t size);
int __wrap_tn_os_commit(void *addr, size_t size);
int __wrap_tn_os_commit(void *addr, size_t size)
{
    return size > PROMISED ? -ENOMEM : __real_tn_os_commit(addr, size);
}

static char contents[3 * BYTES];

static void expect(const struct terrane_array *array, size_t from, size_t units)
{
    EXPECT_THAT(terrane_array_length(array) == units, "%zu", terrane_array_length(array));
    EXPECT(memcmp(terrane_array_data(array), contents + from, units * UNIT) == 0);
}

static struct terrane_array *array_in(struct terrane_space *space)
{
    struct terrane_array *array;
    EXPECT(terrane_array_create(space, UNIT, 0, &array) == 0);
    EXPECT(terrane_array_append(&array, contents + BYTES, UNITS) == 0);
    return array;
}

/* Adds a third before and a third behind, in steps. */
static void grow_both_ways(struct terrane_array **array)
{
    for (size_t at = 0; at < UNITS; at += UNITS / 16) {
        const size_t step = UNITS / 16;
        EXPECT(terrane_array_append(array, contents + 2 * BYTES + at * UNIT, step) == 0);
        EXPECT(terrane_array_prepend(array, contents + BYTES - (at + step) * UNIT, step) == 0);
    }
    expect(*array, 0, 3 * UNITS);
}

static void grow_from(struct terrane_array *array)
{
    struct terrane_array *version = terrane_array_reference(array), *rest;
    grow_both_ways(&version);
    expect(array, BYTES, UNITS);
    EXPECT(terrane_array_split(&version, UNITS + 7, &rest) == 0);
    EXPECT(terrane_array_insert(&rest, UNITS / 2, contents, 100) == 0);
    EXPECT(terrane_array_remove(&rest, UNITS / 2, 100) == 0);
    EXPECT(terrane_array_concatenate(&version, rest) == 0);
    expect(version, 0, 3 * UNITS);
    terrane_array_release(version);
    grow_both_ways(&array);
    EXPECT(terrane_array_resize(&array, 4 * UNITS) == 0);
    EXPECT_ZERO((const char *)terrane_array_data(array) + 3 * BYTES, BYTES);
    EXPECT(terrane_array_slice(&array, UNITS, 10) == 0);
    expect(array, BYTES, 10);
    terrane_array_release(array);
}

static struct terrane_array *sealed_in(struct terrane_space *space)
{
    struct terrane_array *array = array_in(space);
    EXPECT(terrane_array_seal(&array) == 0);
    return array;
}

static struct terrane_array *from_file_in(struct terrane_space *space)
{
    struct terrane_array *array;
    int fd;
    EXPECT(tn_os_file_memfd("test", 0, &fd) == 0);
    EXPECT(tn_os_user_file_write(fd, contents + BYTES, BYTES, 0) == 0);
    EXPECT(terrane_array_from_file(space, UNIT, 0, fd, 0, BYTES, &array) == 0);
    tn_os_file_close(fd);
    return array;
}

int main(void)
{
    const struct terrane_space_options options = {.window_bytes = 16 * TN_GIB,
                                                  .move_min_bytes = 64 * TN_KIB};
    struct terrane_space *space, *other;
    struct terrane_array_stats stats;
    contents_write(contents, sizeof(contents), 1);
    EXPECT(terrane_space_create(&options, &space) == 0);
    EXPECT(terrane_space_create(&options, &other) == 0);
    EXPECT(space->lazy_commit);
    for (unsigned round = 0; round < 3; round++) {
        struct terrane_array *array = array_in(other);
        EXPECT(terrane_array_move(&array, space) == 0);
        grow_from(array);
        grow_from(array_in(space));
        grow_from(sealed_in(space));
        grow_from(from_file_in(space));
    }
    terrane_array_stats(space, &stats);
    EXPECT(stats.arrays == 0 && stats.bodies == 0 && stats.body_bytes == 0);
    EXPECT(terrane_space_destroy(other) == 0);
    EXPECT(terrane_space_destroy(space) == 0);
    return 0;
}
