/* Each system call that arrays of files and of other processes make fails, once and always, with
 * each of its errors: the call that needed it says so or reads what it cannot map, contents stay,
 * nothing is left behind, and what follows works. A run that cannot be made the space's own again
 * is not used until it can: nobody may find a file in his memory, nor write to it. */
#include "base/base.h"
#include "contents.h"
#include "os/os.h"
#include "os/os_fault.h"
#include "process.h"

#include <terrane/terrane.h>

#define BYTES ((size_t)300 << 10)
#define SEED  7

/* Arrays of zeros at a time. */
#define ZEROS_MAX 12

static struct terrane_space *private_space, *shared_space;
static int source, target; /* files */
static unsigned refused;

static const struct {
    const char *verb;
    int errors[5];
} verbs[] = {
    {"user_file_size", {EIO, EBADF, ENOTSUP}}, {"user_file_map", {ENOMEM, ENOTSUP, EACCES, EIO}},
    {"user_file_read", {EIO, EBADF}},          {"user_file_write", {EIO, ENOSPC, EFBIG}},
    {"file_duplicate", {EMFILE, EBADF}},       {"map_private", {ENOMEM}},
};

/* Whether a call has succeeded; it fails only while there are faults, and with their error or what
 * it is called then. */
static bool done(int error, int fault)
{
    EXPECT_THAT(error == 0 || (fault != 0 && (error == -fault || error == -EINVAL)), "%d, not %d",
                error, fault);
    refused += error != 0;
    return error == 0;
}

static void expect_intact(const struct terrane_array *array)
{
    EXPECT(terrane_array_length(array) * terrane_array_unit(array) == BYTES);
    EXPECT_INTACT(terrane_array_data(array), BYTES, SEED);
}

static void take_from_file(struct terrane_space *space, int fault)
{
    struct terrane_array *array = NULL;
    if (!done(terrane_array_from_file(space, 8, 0, source, 0, BYTES, &array), fault)) {
        EXPECT(array == NULL);
        return;
    }
    expect_intact(array);
    char *units = terrane_array_writable(array);
    EXPECT(units != NULL);
    memset(units, 0xff, BYTES);
    terrane_array_release(array);
}

/* What is new in a space is not what a file left. Enough of it, and it lies where that was. */
static void take_zeros(unsigned count, int fault)
{
    struct terrane_array *arrays[ZEROS_MAX] = {NULL};
    terrane_space_trim(private_space); /* no warm runs */
    for (unsigned i = 0; i < count; i++) {
        if (!done(terrane_array_create(private_space, 1, 0, &arrays[i]), fault) ||
            !done(terrane_array_reserve(&arrays[i], 0, BYTES), fault) || /* in runs of one size */
            !done(terrane_array_resize(&arrays[i], BYTES), fault))
            continue;
        EXPECT_ZERO(terrane_array_data(arrays[i]), BYTES);
        memset(terrane_array_writable(arrays[i]), 0xff, BYTES);
    }
    for (unsigned i = 0; i < count; i++)
        terrane_array_release(arrays[i]);
}

static void borrow(const struct terrane_array *lent, int fault)
{
    struct terrane_array_parcel parcel;
    struct terrane_array *array = NULL;
    int fd = -1;
    if (!done(terrane_array_lend(lent, &parcel, &fd), fault)) {
        EXPECT(fd == -1);
        return;
    }
    if (done(terrane_array_borrow(private_space, 0, fd, &parcel, &array), fault)) {
        expect_intact(array);
        terrane_array_release(array);
    }
    close(fd);
}

static void live(const struct terrane_array *lent, int fault)
{
    take_from_file(private_space, fault);
    take_from_file(shared_space, fault);
    (void)done(terrane_array_to_file(lent, target, 100), fault);
    for (unsigned zeros = 4; zeros <= ZEROS_MAX; zeros += 4) {
        borrow(lent, fault);
        take_zeros(zeros, fault);
    }
    expect_intact(lent);
}

static void expect_nothing_left(uint64_t arrays_in_shared)
{
    struct terrane_array_stats stats;
    terrane_array_stats(private_space, &stats);
    EXPECT(stats.arrays == 0 && stats.bodies == 0 && stats.body_bytes == 0);
    terrane_array_stats(shared_space, &stats);
    EXPECT(stats.arrays == arrays_in_shared && stats.bodies == arrays_in_shared);
}

static char contents[BYTES];

static void expect_files(void)
{
    EXPECT(pread(source, contents, BYTES, 0) == (ssize_t)BYTES);
    EXPECT_INTACT(contents, BYTES, SEED);
    EXPECT(pread(target, contents, BYTES, 100) == (ssize_t)BYTES);
    EXPECT_INTACT(contents, BYTES, SEED);
}

static void try_fault(const struct terrane_array *lent, int verb, long nth, int error)
{
    const size_t descriptors = descriptors_count();
    tn_fault_arm(verb, nth, error);
    live(lent, error);
    tn_fault_disarm();
    EXPECT(descriptors_count() == descriptors);
    expect_nothing_left(1);
    live(lent, 0);
    expect_files();
    expect_nothing_left(1);
}

static void try_verb(const struct terrane_array *lent, int verb, const int *errors)
{
    tn_fault_arm(verb, -1, 0);
    live(lent, 0);
    const long calls = tn_fault_calls(verb);
    printf("%ld calls of %s\n", calls, tn_fault_verb_names[verb]);
    for (; *errors != 0; errors++) {
        for (long nth = 0; nth <= calls; nth++)
            try_fault(lent, verb, nth, *errors);
    }
}

static int verb_of(const char *name)
{
    int verb = 0;
    while (verb < tn_fault_verb_count && strcmp(tn_fault_verb_names[verb], name) != 0)
        verb++;
    EXPECT_THAT(verb < tn_fault_verb_count, "%s", name);
    return verb;
}

static int file_make(void)
{
    char path[] = "/tmp/terrane-test-XXXXXX";
    const int fd = mkstemp(path);
    EXPECT(fd >= 0);
    EXPECT(unlink(path) == 0);
    EXPECT(pwrite(fd, contents, BYTES, 0) == (ssize_t)BYTES);
    return fd;
}

int main(void)
{
    const struct terrane_space_options private = {.window_bytes = (size_t)1 << 30};
    const struct terrane_space_options shared = {.backing = TERRANE_BACKING_MEMFD,
                                                 .window_bytes = (size_t)1 << 30};
    struct terrane_array *lent;
    contents_write(contents, BYTES, SEED);
    source = file_make();
    target = file_make();
    EXPECT(terrane_space_create(&private, &private_space) == 0);
    EXPECT(terrane_space_create(&shared, &shared_space) == 0);
    EXPECT(terrane_array_create(shared_space, 8, 0, &lent) == 0);
    EXPECT(terrane_array_append(&lent, contents, BYTES / 8) == 0);
    live(lent, 0);
    const size_t mappings = mappings_count();
    for (size_t i = 0; i < TN_ARRAY_COUNT(verbs); i++)
        try_verb(lent, verb_of(verbs[i].verb), verbs[i].errors);
    printf("%u refusals\n", refused);
    EXPECT(refused > 50);
    terrane_space_trim(private_space);
    EXPECT_THAT(mappings_count() <= mappings + 16, "from %zu to %zu", mappings, mappings_count());
    terrane_array_release(lent);
    expect_nothing_left(0);
    EXPECT(terrane_space_destroy(private_space) == 0);
    EXPECT(terrane_space_destroy(shared_space) == 0);
    return 0;
}
