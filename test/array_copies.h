/* Versions of arrays, each beside a plain copy of what it must hold, and what can be done to both.
 *
 * A call that is refused for want of memory must have changed nothing: the copy stays as it is, and
 * is compared with the array all the same. */
#ifndef TEST_ARRAY_COPIES_H
#define TEST_ARRAY_COPIES_H

#include "seeds.h"

#include <errno.h>
#include <terrane/array.h>

#define NOISE_BYTES ((size_t)16 << 20)

struct version {
    struct terrane_array *array; /* one reference; NULL: none */
    unsigned char *copy;
    size_t bytes; /* in use, of */
    size_t room;
    size_t unit;
    unsigned space; /* which of the test's */
};

/* What is written comes from here, each time from another place. */
static unsigned char noise[NOISE_BYTES];

static inline void noise_make(uint64_t seed)
{
    contents_write(noise, NOISE_BYTES, seed);
    for (size_t at = 0; at < NOISE_BYTES; at += 8) {
        uint64_t word;
        memcpy(&word, noise + at, 8);
        word = contents_mix(word);
        memcpy(noise + at, &word, 8);
    }
}

static inline const unsigned char *noise_draw(struct seeds *seeds, size_t bytes)
{
    return noise + seeds_below(seeds, NOISE_BYTES - bytes);
}

/* ---- the copy ---- */

static inline void copy_insert(struct version *version, size_t at, const void *bytes, size_t count)
{
    EXPECT(version->bytes + count <= version->room);
    memmove(version->copy + at + count, version->copy + at, version->bytes - at);
    memcpy(version->copy + at, bytes, count);
    version->bytes += count;
}

static inline void copy_remove(struct version *version, size_t at, size_t count)
{
    memmove(version->copy + at, version->copy + at + count, version->bytes - at - count);
    version->bytes -= count;
}

/* ---- both ---- */

static inline char *version_data(const struct version *version)
{
    return version->array->data;
}

static inline size_t version_length(const struct version *version)
{
    return version->bytes / version->unit;
}

/* Where an array differs from its copy. */
static inline size_t version_wrong(const struct version *version)
{
    size_t at = 0;
    const unsigned char *data = terrane_array_data(version->array);
    while (at < version->bytes && data[at] == version->copy[at])
        at++;
    return at;
}

static inline void version_check(const struct version *version)
{
    const struct terrane_array *array = version->array;
    EXPECT_THAT(terrane_array_unit(array) == version->unit, "%zu", terrane_array_unit(array));
    EXPECT_THAT(terrane_array_length(array) * version->unit == version->bytes,
                "%zu of %zu, not %zu", terrane_array_length(array), version->unit, version->bytes);
    const size_t bytes = version->bytes;
    EXPECT_THAT(bytes == 0 || memcmp(terrane_array_data(array), version->copy, bytes) == 0,
                "%zu bytes at %p, wrong from %zu on", bytes, terrane_array_data(array),
                version_wrong(version));
}

/* Calls that were refused for want of memory, or by a broken disk, in this thread. */
static _Thread_local uint64_t refusals;

static inline bool version_took(const struct version *version, const struct terrane_array *before,
                                int error)
{
    if (error == 0)
        return true;
    EXPECT_THAT(error == -ENOMEM || error == -ENOSPC || error == -EIO, "%d", error);
    EXPECT(version->array == before);
    refusals++;
    return false;
}

/* A random number of units in at most so many bytes. */
static inline size_t version_draw(const struct version *version, struct seeds *seeds, size_t bytes)
{
    return (size_t)seeds_below(seeds, bytes / version->unit + 1);
}

/* A random range of the units. */
static inline size_t version_draw_range(const struct version *version, struct seeds *seeds,
                                        size_t *count)
{
    const size_t first = (size_t)seeds_below(seeds, version_length(version) + 1);
    *count = (size_t)seeds_below(seeds, version_length(version) - first + 1);
    return first;
}

/* ---- what adds: up to `bytes` ---- */

static inline void version_append(struct version *version, struct seeds *seeds, size_t bytes)
{
    const size_t count = bytes / version->unit;
    const unsigned char *from = noise_draw(seeds, count * version->unit);
    const struct terrane_array *before = version->array;
    const int error = count == 1 ? terrane_array_push(&version->array, from, version->unit)
                                 : terrane_array_append(&version->array, from, count);
    if (version_took(version, before, error))
        copy_insert(version, version->bytes, from, count * version->unit);
}

static inline void version_prepend(struct version *version, struct seeds *seeds, size_t bytes)
{
    const size_t count = bytes / version->unit;
    const unsigned char *from = noise_draw(seeds, count * version->unit);
    const struct terrane_array *before = version->array;
    const int error = count == 1 ? terrane_array_push_front(&version->array, from, version->unit)
                                 : terrane_array_prepend(&version->array, from, count);
    if (version_took(version, before, error))
        copy_insert(version, 0, from, count * version->unit);
}

/* A part of itself, at either end. */
static inline void version_repeat(struct version *version, struct seeds *seeds, size_t bytes)
{
    size_t count;
    const size_t first = version_draw_range(version, seeds, &count);
    const struct terrane_array *before = version->array;
    const char *from = version_data(version) + first * version->unit;
    const bool behind = seeds_chance(seeds, 50);
    if (count > bytes / version->unit)
        count = bytes / version->unit;
    const int error = behind ? terrane_array_append(&version->array, from, count)
                             : terrane_array_prepend(&version->array, from, count);
    if (!version_took(version, before, error))
        return;
    const size_t added = count * version->unit;
    unsigned char *copy = version->copy + first * version->unit;
    copy_insert(version, behind ? version->bytes : 0, noise, added);
    memcpy(version->copy + (behind ? version->bytes - added : 0), behind ? copy : copy + added,
           added);
}

static inline void version_extend(struct version *version, struct seeds *seeds, size_t bytes)
{
    const size_t count = bytes / version->unit, added = count * version->unit;
    const unsigned char *from = noise_draw(seeds, added);
    const struct terrane_array *before = version->array;
    const bool behind = seeds_chance(seeds, 50);
    void *units = NULL;
    const int error = behind ? terrane_array_extend(&version->array, count, &units)
                             : terrane_array_extend_front(&version->array, count, &units);
    if (!version_took(version, before, error))
        return;
    if (added > 0) {
        EXPECT((char *)units == version_data(version) + (behind ? version->bytes : 0));
        memcpy(units, from, added);
    }
    copy_insert(version, behind ? version->bytes : 0, from, added);
}

static inline void version_insert(struct version *version, struct seeds *seeds, size_t bytes)
{
    const size_t count = bytes / version->unit;
    const size_t index = (size_t)seeds_below(seeds, version_length(version) + 1);
    const unsigned char *from = noise_draw(seeds, count * version->unit);
    const struct terrane_array *before = version->array;
    const int error = terrane_array_insert(&version->array, index, from, count);
    if (version_took(version, before, error))
        copy_insert(version, index * version->unit, from, count * version->unit);
}

/* With zero bytes, whatever was there before. */
static inline void version_enlarge(struct version *version, size_t bytes)
{
    const size_t count = bytes / version->unit;
    const struct terrane_array *before = version->array;
    if (!version_took(version, before,
                      terrane_array_resize(&version->array, version_length(version) + count)))
        return;
    EXPECT(version->bytes + count * version->unit <= version->room);
    memset(version->copy + version->bytes, 0, count * version->unit);
    version->bytes += count * version->unit;
}

/* Adds in what was reserved move nothing and are not refused. */
static inline void version_reserve(struct version *version, struct seeds *seeds, size_t bytes)
{
    size_t front = version_draw(version, seeds, bytes);
    size_t behind = version_draw(version, seeds, bytes - front * version->unit);
    const struct terrane_array *before = version->array;
    if (!version_took(version, before, terrane_array_reserve(&version->array, front, behind)))
        return;
    const uint64_t refused = refusals;
    while (front + behind > 0) {
        const char *data = version_data(version);
        const bool at_front = behind == 0 || (front > 0 && seeds_chance(seeds, 50));
        size_t *left = at_front ? &front : &behind;
        const size_t count = seeds_chance(seeds, 50) ? *left : (*left + 1) / 2;
        const size_t added = count * version->unit;
        if (at_front)
            version_prepend(version, seeds, added);
        else
            version_append(version, seeds, added);
        EXPECT_THAT(version_data(version) + (at_front ? added : 0) == data, "%p, not %p",
                    (void *)version_data(version), (const void *)data);
        *left -= count;
    }
    EXPECT(refusals == refused);
}

/* ---- what takes away ---- */

static inline void version_remove(struct version *version, struct seeds *seeds)
{
    size_t count;
    const size_t first = version_draw_range(version, seeds, &count);
    const struct terrane_array *before = version->array;
    if (version_took(version, before, terrane_array_remove(&version->array, first, count)))
        copy_remove(version, first * version->unit, count * version->unit);
}

static inline void version_shorten(struct version *version, struct seeds *seeds)
{
    const size_t length = (size_t)seeds_below(seeds, version_length(version) + 1);
    const struct terrane_array *before = version->array;
    if (version_took(version, before, terrane_array_resize(&version->array, length)))
        version->bytes = length * version->unit;
}

static inline void version_slice(struct version *version, struct seeds *seeds)
{
    size_t count;
    const size_t first = version_draw_range(version, seeds, &count);
    const struct terrane_array *before = version->array;
    if (!version_took(version, before, terrane_array_slice(&version->array, first, count)))
        return;
    copy_remove(version, 0, first * version->unit);
    version->bytes = count * version->unit;
}

/* ---- what changes nothing, or units ---- */

static inline void version_overwrite(struct version *version, struct seeds *seeds, void *units,
                                     size_t first, size_t count)
{
    const size_t bytes = count * version->unit;
    unsigned char *copy = version->copy + first * version->unit;
    EXPECT(count == 0 || (char *)units == version_data(version) + first * version->unit);
    EXPECT(count == 0 || memcmp(units, copy, bytes) == 0);
    const unsigned char *from = noise_draw(seeds, bytes);
    memcpy(copy, from, bytes);
    if (count > 0)
        memcpy(units, from, bytes);
}

static inline void version_write(struct version *version, struct seeds *seeds)
{
    size_t count;
    void *units = NULL;
    size_t first = version_draw_range(version, seeds, &count);
    if (seeds_chance(seeds, 50) && version->bytes > 0) {
        first -= first == version_length(version);
        count = 1;
    }
    const struct terrane_array *before = version->array;
    if (version_took(version, before, terrane_array_write(&version->array, first, count, &units)))
        version_overwrite(version, seeds, units, first, count);
}

/* Where the array may be written as it is. */
static inline void version_scrawl(struct version *version, struct seeds *seeds)
{
    size_t count;
    char *data = terrane_array_writable(version->array);
    const size_t first = version_draw_range(version, seeds, &count);
    EXPECT(data == NULL || terrane_array_holders(version->array) == 1);
    if (data != NULL)
        version_overwrite(version, seeds, data + first * version->unit, first, count);
}

/* What is kept ahead for the only holder, in bytes. */
static inline size_t room_behind(const struct terrane_array *array)
{
    const char *end = array->data + array->length * array->unit;
    return array->limit == NULL ? 0 : (size_t)(array->limit - end);
}

static inline size_t room_in_front(const struct terrane_array *array)
{
    return array->floor == NULL ? 0 : (size_t)(array->data - array->floor);
}

/* That is nobody else's: it may be stored to. */
static inline void version_fill_room(struct version *version, struct seeds *seeds)
{
    const struct terrane_array *array = version->array;
    const size_t most = (size_t)64 << 10;
    const size_t front = room_in_front(array), behind = room_behind(array);
    const size_t before = front < most ? front : most, after = behind < most ? behind : most;
    memcpy(array->data - before, noise_draw(seeds, before), before);
    memcpy(array->data - front, noise_draw(seeds, before), before);
    memcpy(array->data + version->bytes, noise_draw(seeds, after), after);
    memcpy(array->data + version->bytes + behind - after, noise_draw(seeds, after), after);
}

static inline void version_seal(struct version *version)
{
    const struct terrane_array *before = version->array;
    if (version_took(version, before, terrane_array_seal(&version->array)))
        EXPECT(terrane_array_writable(version->array) == NULL || version->bytes == 0);
}

#endif
