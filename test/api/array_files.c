/* Arrays of files: pages that come when they are used, stores that stay in the space, versions,
 * what is refused, and the way back into a file, in spaces of each backing. */
#include "api_test.h"

#include <terrane/array.h>

#define WORDS ((size_t)1 << 19) /* of a file: 4 MiB, of which one fault may bring 2 */
#define BYTES (8 * WORDS)

/* A file with `bytes` of the contents of its seed, gone when it is closed. */
static int file_of(size_t bytes, uint64_t seed)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/terrane-test-XXXXXX", scratch_dir());
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    char *contents = malloc(bytes + 1);
    assert_non_null(contents);
    contents_write(contents, bytes, seed);
    assert_int_equal(pwrite(fd, contents, bytes, 0), (ssize_t)bytes);
    free(contents);
    return fd;
}

static void assert_file(int fd, size_t offset, size_t bytes, uint64_t seed)
{
    char *contents = malloc(bytes);
    assert_non_null(contents);
    assert_int_equal(pread(fd, contents, bytes, (off_t)offset), (ssize_t)bytes);
    assert_contents(contents, bytes, seed);
    free(contents);
}

static struct terrane_array *array_of(struct terrane_space *space, size_t unit, int fd,
                                      size_t bytes)
{
    struct terrane_array *array = NULL;
    assert_int_equal(terrane_array_from_file(space, unit, 0, fd, 0, bytes, &array), 0);
    assert_int_equal(terrane_array_length(array), bytes / unit);
    assert_int_equal(terrane_array_unit(array), unit);
    return array;
}

static void assert_array(const struct terrane_array *array, size_t bytes, uint64_t seed)
{
    assert_int_equal(terrane_array_length(array) * terrane_array_unit(array), bytes);
    assert_contents(terrane_array_data(array), bytes, seed);
}

static void assert_nothing_left(struct terrane_space *space)
{
    struct terrane_array_stats stats;
    terrane_array_stats(space, &stats);
    assert_int_equal(stats.arrays, 0);
    assert_int_equal(stats.bodies, 0);
    assert_int_equal(stats.body_bytes, 0);
}

/* Pages of a range that are in the page tables. */
static size_t pages_mapped(const void *start, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    size_t mapped = 0;
    assert_true(fd >= 0);
    for (size_t at = (uintptr_t)start / page; at < ((uintptr_t)start + bytes) / page; at++) {
        uint64_t word;
        assert_int_equal(pread(fd, &word, sizeof(word), (off_t)(8 * at)), sizeof(word));
        mapped += word >> 63;
    }
    close(fd);
    return mapped;
}

static void pages_come_when_used(void **state)
{
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    const int fd = file_of(BYTES, 1);
    struct terrane_array *array = array_of(space, 8, fd, BYTES);
    (void)state;
    close(fd);
    const char *data = terrane_array_data(array);
    assert_int_equal((uintptr_t)data % (size_t)sysconf(_SC_PAGESIZE), 0);
    assert_int_equal(pages_mapped(data, BYTES), 0);
    (void)*(const volatile char *)(data + BYTES / 2);
    const size_t mapped = pages_mapped(data, BYTES);
    assert_in_range(mapped, 1, 512); /* and some around it, if the file system likes */
    assert_array(array, BYTES, 1);
    terrane_array_release(array);
    assert_nothing_left(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* What is mapped of a file is ordinary memory of the space afterwards. */
static void memory_is_plain_again(void **state)
{
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_PRIVATE);
    const int fd = file_of(BYTES, 2);
    size_t mappings = 0;
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct terrane_array *array = array_of(space, 1, fd, BYTES), *plain;
        assert_array(array, BYTES, 2);
        terrane_array_release(array);
        assert_int_equal(terrane_array_create(space, 1, 0, &plain), 0);
        assert_int_equal(terrane_array_resize(&plain, BYTES), 0);
        assert_int_equal(contents_nonzero(terrane_array_data(plain), BYTES), BYTES);
        terrane_array_release(plain);
        terrane_space_trim(space);
        if (round == 0)
            mappings = mappings_count();
    }
    assert_true(mappings_count() <= mappings + 2); /* the C library's own */
    close(fd);
    assert_nothing_left(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void stores_stay_here(struct terrane_space *space, enum terrane_backing backing)
{
    const int fd = file_of(BYTES, 3);
    struct terrane_array *array = array_of(space, 1, fd, BYTES);
    char *units = terrane_array_writable(array);
    (void)backing;
    assert_non_null(units);
    contents_write(units, BYTES, 4);
    assert_array(array, BYTES, 4);
    assert_file(fd, 0, BYTES, 3);
    terrane_array_release(array);
    close(fd);
    assert_nothing_left(space);
}

/* Adds at both ends what makes the whole the contents of a seed. */
static void grows_at_both_ends(struct terrane_space *space, enum terrane_backing backing)
{
    char *const whole = malloc(3 * BYTES);
    const int fd = file_of(1, 0);
    struct terrane_array *array;
    (void)backing;
    assert_non_null(whole);
    contents_write(whole, 3 * BYTES, 5);
    assert_int_equal(pwrite(fd, whole + BYTES, BYTES, 0), (ssize_t)BYTES);
    array = array_of(space, 8, fd, BYTES);
    struct terrane_array *const before = terrane_array_reference(array);
    for (size_t at = 0; at < WORDS; at += WORDS / 32) {
        const size_t step = WORDS / 32;
        assert_int_equal(terrane_array_append(&array, whole + 2 * BYTES + 8 * at, step), 0);
        const char *front = whole + BYTES - 8 * (at + step);
        assert_int_equal(terrane_array_prepend(&array, front, step), 0);
    }
    assert_array(array, 3 * BYTES, 5);
    assert_int_equal(terrane_array_length(before), WORDS);
    assert_memory_equal(terrane_array_data(before), whole + BYTES, BYTES);
    terrane_array_release(before);
    assert_array(array, 3 * BYTES, 5);
    terrane_array_release(array);
    close(fd);
    free(whole);
    assert_nothing_left(space);
}

static void has_versions_and_parts(struct terrane_space *space, enum terrane_backing backing)
{
    const int fd = file_of(BYTES, 6);
    struct terrane_array *array = array_of(space, 4, fd, BYTES), *part, *rest;
    void *units;
    (void)backing;
    part = terrane_array_reference(array);
    assert_int_equal(terrane_array_slice(&part, WORDS / 2, WORDS), 0);
    struct terrane_array *changed = terrane_array_reference(array);
    assert_int_equal(terrane_array_write(&changed, WORDS, 2, &units), 0);
    memset(units, 0, 8);
    assert_array(array, BYTES, 6);
    assert_memory_equal(terrane_array_data(changed), terrane_array_data(array), 4 * WORDS);
    assert_int_equal(contents_nonzero((const char *)terrane_array_data(changed) + 4 * WORDS, 8), 8);
    assert_int_equal(terrane_array_split(&changed, WORDS, &rest), 0);
    assert_memory_equal((const char *)terrane_array_data(rest) + 8,
                        (const char *)terrane_array_data(array) + 4 * WORDS + 8, 4 * WORDS - 8);
    terrane_array_release(array);
    terrane_array_release(rest);
    assert_array(changed, 4 * WORDS, 6);
    assert_int_equal(terrane_array_concatenate(&changed, terrane_array_reference(changed)), 0);
    assert_contents(terrane_array_data(changed), 4 * WORDS, 6);
    assert_contents((const char *)terrane_array_data(changed) + 4 * WORDS, 4 * WORDS, 6);
    terrane_array_release(changed);
    const char *bytes = terrane_array_data(part);
    for (size_t at = 0; at < WORDS / 2; at++) {
        const uint64_t word = contents_word(6, at + WORDS / 4);
        assert_memory_equal(bytes + 8 * at, &word, 8);
    }
    terrane_array_release(part);
    close(fd);
    assert_nothing_left(space);
}

/* Behind the part of a file there are zeros, whatever the file has there. */
static void is_longer_with_zeros(struct terrane_space *space, enum terrane_backing backing)
{
    static const size_t lengths[] = {1,         100,         4096,          40000,
                                     BYTES / 2, BYTES - 100, BYTES - 5000u, BYTES};
    const int fd = file_of(BYTES, 7);
    (void)backing;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct terrane_array *array = array_of(space, 1, fd, lengths[i]);
        assert_array(array, lengths[i], 7);
        assert_int_equal(terrane_array_resize(&array, BYTES + 100000), 0);
        const char *bytes = terrane_array_data(array);
        assert_contents(bytes, lengths[i], 7);
        const size_t zeros = BYTES + 100000 - lengths[i];
        assert_int_equal(contents_nonzero(bytes + lengths[i], zeros), zeros);
        assert_int_equal(terrane_array_resize(&array, lengths[i] / 2), 0);
        assert_int_equal(terrane_array_resize(&array, lengths[i]), 0);
        bytes = terrane_array_data(array);
        assert_contents(bytes, lengths[i] / 2, 7);
        const size_t half = lengths[i] - lengths[i] / 2;
        assert_int_equal(contents_nonzero(bytes + lengths[i] / 2, half), half);
        terrane_array_release(array);
    }
    close(fd);
    assert_nothing_left(space);
}

static void starts_anywhere_and_may_be_empty(struct terrane_space *space,
                                             enum terrane_backing backing)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const int fd = file_of(BYTES + 10, 8);
    struct terrane_array *array;
    (void)backing;
    assert_int_equal(terrane_array_from_file(space, 2, 0, fd, page, BYTES + 10 - page, &array), 0);
    assert_int_equal(terrane_array_length(array), (BYTES + 10 - page) / 2);
    for (size_t at = 0; at < (BYTES - page) / 8; at++) {
        const uint64_t word = contents_word(8, at + page / 8);
        assert_memory_equal((const char *)terrane_array_data(array) + 8 * at, &word, 8);
    }
    terrane_array_release(array);
    array = array_of(space, 8, fd, 0);
    assert_int_equal(terrane_array_append(&array, "12345678", 1), 0);
    assert_memory_equal(terrane_array_data(array), "12345678", 8);
    terrane_array_release(array);
    close(fd);
    assert_nothing_left(space);
}

static void refuses(struct terrane_space *space, enum terrane_backing backing)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const int fd = file_of(BYTES, 9);
    const int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int writing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct terrane_array *array = (void *)page;
    int ends[2];
    (void)backing;
    assert_int_equal(pipe(ends), 0);
    const struct {
        size_t unit;
        unsigned flags;
        int fd;
        uint64_t offset, bytes;
        int error;
    } cases[] = {
        {0, 0, fd, 0, 0, -EINVAL},
        {TERRANE_ARRAY_UNIT_MAX + 1, 0, fd, 0, 0, -EINVAL},
        {1, 1u << 30, fd, 0, BYTES, -EINVAL},
        {3, 0, fd, 0, BYTES, -EINVAL},
        {1, 0, fd, 1, 10, -EINVAL},
        {1, 0, fd, page / 2, 10, -EINVAL},
        {1, 0, fd, 0, BYTES + 1, -EINVAL},
        {1, 0, fd, page, BYTES, -EINVAL},
        {1, 0, fd, BYTES + page, 1, -EINVAL},
        {1, 0, fd, -(uint64_t)page, page, -EINVAL},
        {1, 0, fd, -(uint64_t)page, 2 * page, -EINVAL},
        {1, 0, fd, page, -(uint64_t)page, -EINVAL},
        {1, 0, -1, 0, BYTES, -EBADF},
        {1, 0, folder, 0, BYTES, -EISDIR},
        {1, 0, writing, 0, BYTES, -EBADF},
        {1, 0, ends[0], 0, BYTES, -ESPIPE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(terrane_array_from_file(space, cases[i].unit, cases[i].flags, cases[i].fd,
                                                 cases[i].offset, cases[i].bytes, &array),
                         cases[i].error);
    assert_ptr_equal(array, (void *)page);
    close(folder);
    close(writing);
    close(ends[0]);
    close(ends[1]);
    close(fd);
    assert_nothing_left(space);
}

/* A file that may be written only can neither be mapped nor read. */
static void refuses_what_cannot_be_read(struct terrane_space *space, enum terrane_backing backing)
{
    char path[4096];
    struct terrane_array *array;
    snprintf(path, sizeof(path), "%s/terrane-test-XXXXXX", scratch_dir());
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, BYTES), 0);
    const int writing = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(unlink(path), 0);
    const int error = backing == TERRANE_BACKING_PRIVATE ? -EACCES : -EBADF;
    assert_int_equal(terrane_array_from_file(space, 1, 0, writing, 0, BYTES, &array), error);
    assert_int_equal(terrane_array_from_file(space, 1, 0, writing, 0, 100, &array), -EBADF);
    close(writing);
    close(fd);
    assert_nothing_left(space);
}

static void goes_to_a_file(struct terrane_space *space, enum terrane_backing backing)
{
    const int fd = file_of(100, 1);
    struct terrane_array *array;
    void *units;
    (void)backing;
    assert_int_equal(terrane_array_create(space, 24, 0, &array), 0);
    assert_int_equal(terrane_array_to_file(array, fd, 0), 0);
    assert_file(fd, 0, 100, 1);
    assert_int_equal(terrane_array_extend(&array, WORDS / 2, &units), 0);
    contents_write(units, 12 * WORDS, 10);
    struct terrane_array *version = terrane_array_reference(array);
    assert_int_equal(terrane_array_append(&version, units, 1), 0);
    assert_int_equal(terrane_array_to_file(array, fd, 4097), 0);
    assert_file(fd, 4097, 12 * WORDS, 10);
    assert_int_equal(terrane_array_to_file(version, fd, 0), 0);
    assert_file(fd, 0, 12 * WORDS, 10);
    assert_int_equal(lseek(fd, 0, SEEK_END), 4097 + 12 * WORDS);
    terrane_array_release(array);
    array = array_of(space, 24, fd, 12 * WORDS);
    assert_memory_equal(terrane_array_data(array), terrane_array_data(version), 12 * WORDS);
    assert_int_equal(terrane_array_to_file(array, -1, 0), -EBADF);
    const int reading = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(terrane_array_to_file(array, reading, 0), -EBADF);
    if (full >= 0)
        assert_int_equal(terrane_array_to_file(array, full, 0), -ENOSPC);
    close(reading);
    close(full);
    close(fd);
    terrane_array_release(version);
    terrane_array_release(array);
    assert_nothing_left(space);
}

/* The pages of a file are no space's, so the array is copied. */
static void goes_to_another_space(struct terrane_space *space, enum terrane_backing backing)
{
    struct terrane_space *other = space_of_backing(backing);
    struct terrane_space *home = space_of_backing(TERRANE_BACKING_PRIVATE);
    const int fd = file_of(BYTES, 11);
    struct terrane_array *array = array_of(home, 8, fd, BYTES);
    assert_int_equal(terrane_array_move(&array, space), 0);
    assert_array(array, BYTES, 11);
    assert_int_equal(terrane_array_move(&array, other), 0);
    assert_int_equal(terrane_space_destroy(home), 0);
    assert_array(array, BYTES, 11);
    terrane_array_release(array);
    array = array_of(space, 8, fd, BYTES);
    assert_int_equal(terrane_array_seal(&array), 0);
    assert_null(terrane_array_writable(array));
    assert_int_equal(terrane_array_append(&array, "12345678", 1), 0);
    assert_contents(terrane_array_data(array), BYTES, 11);
    terrane_array_release(array);
    close(fd);
    assert_nothing_left(other);
    assert_nothing_left(space);
    assert_int_equal(terrane_space_destroy(other), 0);
}

/* Without mappings left, what cannot be mapped is refused, and all is as before. */
static void needs_mappings(void **state)
{
    struct terrane_space_options options = options_of(TERRANE_BACKING_PRIVATE);
    struct terrane_array *arrays[64];
    size_t made = 0;
    int error = 0;
    (void)state;
    options.mappings_budget = 64;
    struct terrane_space *space = space_with(&options);
    const int fd = file_of(BYTES, 12);
    while (made < 64 && error == 0) {
        error = terrane_array_from_file(space, 1, 0, fd, 0, BYTES, &arrays[made]);
        made += error == 0;
    }
    assert_int_equal(error, -ENOMEM);
    assert_in_range(made, 10, 40);
    for (size_t i = 0; i < made; i++) {
        assert_array(arrays[i], BYTES, 12);
        terrane_array_release(arrays[i]);
    }
    terrane_array_release(array_of(space, 1, fd, BYTES));
    close(fd);
    assert_nothing_left(space);
    assert_int_equal(terrane_space_destroy(space), 0);
}

#define ON_EACH_BACKING(test)                                                                      \
    static void test##_anywhere(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        on_each_backing(test);                                                                     \
    }
ON_EACH_BACKING(stores_stay_here)
ON_EACH_BACKING(grows_at_both_ends)
ON_EACH_BACKING(has_versions_and_parts)
ON_EACH_BACKING(is_longer_with_zeros)
ON_EACH_BACKING(starts_anywhere_and_may_be_empty)
ON_EACH_BACKING(refuses)
ON_EACH_BACKING(refuses_what_cannot_be_read)
ON_EACH_BACKING(goes_to_a_file)
ON_EACH_BACKING(goes_to_another_space)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_come_when_used),
        cmocka_unit_test(memory_is_plain_again),
        cmocka_unit_test(stores_stay_here_anywhere),
        cmocka_unit_test(grows_at_both_ends_anywhere),
        cmocka_unit_test(has_versions_and_parts_anywhere),
        cmocka_unit_test(is_longer_with_zeros_anywhere),
        cmocka_unit_test(starts_anywhere_and_may_be_empty_anywhere),
        cmocka_unit_test(refuses_anywhere),
        cmocka_unit_test(refuses_what_cannot_be_read_anywhere),
        cmocka_unit_test(goes_to_a_file_anywhere),
        cmocka_unit_test(goes_to_another_space_anywhere),
        cmocka_unit_test(needs_mappings),
    };
    return RUN_TESTS(tests);
}
