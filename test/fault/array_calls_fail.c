/* Building calls of arrays where something is refused: every verb of the os floor at its n-th call,
 * mappings beyond a budget, bytes beyond a limit, a full disk, no more huge pages. Each call says
 * so or finds another way; the contents of all versions that live are as before; the same calls
 * pass when there is room again; and when all is released, memory, file, mappings and descriptors
 * are as they were.
 *
 * The calls are the same each time: every one that builds, on arrays of the only holder and on
 * versions, in heaps and in runs, with pages copied, moved and shown twice. */
#include "array/array.h"
#include "array_copies.h"
#include "fault_errors.h"
#include "huge_pages.h"
#include "os/os.h"

#include <sched.h>
#include <sys/mount.h>
#include <terrane/terrane.h>

#define KIB       ((size_t)1 << 10)
#define MIB       ((size_t)1 << 20)
#define SLOTS     10
#define BYTES_MAX (4 * MIB)
#define SPACES    2

/* More of 2 MiB than the calls need. */
#define HUGE_PAGES 64
#define PAGES_LEFT 4

static struct version slots[SLOTS];
static struct terrane_space *spaces[SPACES];
static struct seeds seeds;

/* ---- the table ---- */

static void check_all(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].array != NULL)
            version_check(&slots[i]);
    }
}

/* A call may have been refused: then nothing may have changed, anywhere. */
static void after(uint64_t refused_before)
{
    if (refusals != refused_before)
        check_all();
}

#define TRY(call)                                                                                  \
    do {                                                                                           \
        const uint64_t refused_before = refusals;                                                  \
        call;                                                                                      \
        after(refused_before);                                                                     \
    } while (0)

static void release(unsigned i)
{
    terrane_array_release(slots[i].array);
    slots[i].array = NULL;
}

static void create(unsigned i, unsigned space, size_t unit, unsigned flags)
{
    struct version *version = &slots[i];
    version->unit = unit;
    version->space = space;
    version->bytes = 0;
    const int error = terrane_array_create(spaces[space], unit, flags, &version->array);
    (void)version_took(version, NULL, error);
}

/* Slot `to` shows units of slot `from`, from a byte on. */
static void fill(unsigned to, unsigned from, size_t byte, struct terrane_array *array)
{
    slots[to].array = array;
    slots[to].unit = slots[from].unit;
    slots[to].space = slots[from].space;
    slots[to].bytes = slots[from].bytes - byte;
    memcpy(slots[to].copy, slots[from].copy + byte, slots[to].bytes);
}

static void reference(unsigned to, unsigned from)
{
    fill(to, from, 0, terrane_array_reference(slots[from].array));
}

static void split(unsigned to, unsigned from, size_t index)
{
    struct version *version = &slots[from];
    struct terrane_array *rest = NULL;
    const struct terrane_array *before = version->array;
    if (index > version_length(version) ||
        !version_took(version, before, terrane_array_split(&version->array, index, &rest)))
        return;
    fill(to, from, index * version->unit, rest);
    version->bytes = index * version->unit;
}

/* Slot `from` goes behind slot `to`, and is empty then. */
static void join(unsigned to, unsigned from)
{
    struct version *version = &slots[to], *second = &slots[from];
    const struct terrane_array *before = version->array;
    if (second->array == NULL ||
        !version_took(version, before, terrane_array_concatenate(&version->array, second->array)))
        return;
    EXPECT(version->bytes + second->bytes <= version->room);
    memcpy(version->copy + version->bytes, second->copy, second->bytes);
    version->bytes += second->bytes;
    second->array = NULL;
}

static void move(unsigned i, unsigned space)
{
    struct version *version = &slots[i];
    const struct terrane_array *before = version->array;
    if (version_took(version, before, terrane_array_move(&version->array, spaces[space])))
        version->space = space;
}

/* ---- the calls ---- */

/* Through the sizes of heaps and into runs, and on by relocation. */
static void grow_alone(void)
{
    TRY(create(0, 0, 8, 0));
    TRY(create(1, 0, 3, TERRANE_ARRAY_ATOMIC | TERRANE_ARRAY_SMALL_PAGES));
    for (unsigned i = 0; i < 2; i++) {
        struct version *version = &slots[i];
        if (version->array == NULL)
            continue;
        TRY(version_append(version, &seeds, 100));
        TRY(version_prepend(version, &seeds, 5000));
        TRY(version_append(version, &seeds, 40 * KIB));
        TRY(version_append(version, &seeds, 300 * KIB));
        TRY(version_prepend(version, &seeds, 200 * KIB));
        TRY(version_extend(version, &seeds, 80 * KIB));
        TRY(version_insert(version, &seeds, 30 * KIB));
        TRY(version_enlarge(version, 100 * KIB));
        TRY(version_reserve(version, &seeds, 150 * KIB));
        version_fill_room(version, &seeds);
        TRY(version_repeat(version, &seeds, 20 * KIB));
    }
}

/* Versions of slot 0 that go on in its memory, and others that fork. */
static void fork_versions(void)
{
    reference(2, 0);
    TRY(version_append(&slots[2], &seeds, 90 * KIB));
    reference(3, 0);
    TRY(version_append(&slots[3], &seeds, 70 * KIB));
    reference(4, 3);
    TRY(version_prepend(&slots[4], &seeds, 130 * KIB));
    reference(5, 0);
    TRY(version_insert(&slots[5], &seeds, 64 * KIB));
    TRY(version_write(&slots[5], &seeds));
    TRY(version_write(&slots[3], &seeds));
    reference(6, 4);
    TRY(version_write(&slots[6], &seeds));
    TRY(version_remove(&slots[6], &seeds));
    check_all();
}

/* Joins of what others hold too, and of what they do not. */
static void join_versions(void)
{
    TRY(split(7, 2, version_length(&slots[2]) / 3));
    reference(8, 3);
    TRY(join(8, 4));
    if (slots[7].array != NULL)
        TRY(join(7, 5));
    reference(9, 0);
    TRY(version_slice(&slots[9], &seeds));
    TRY(version_append(&slots[9], &seeds, 200 * KIB));
    TRY(version_shorten(&slots[6], &seeds));
    TRY(version_write(&slots[8], &seeds));
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].array != NULL)
            version_fill_room(&slots[i], &seeds);
    }
    check_all();
}

static void hand_over(void)
{
    TRY(move(1, 1));
    TRY(version_append(&slots[1], &seeds, 50 * KIB));
    TRY(move(1, 0));
    TRY(version_seal(&slots[3]));
    reference(4, 3);
    TRY(version_append(&slots[4], &seeds, 60 * KIB));
    TRY(version_write(&slots[3], &seeds));
    check_all();
}

/* All of it; slots that a refusal left empty are left out of what follows. */
static void live(void)
{
    seeds = seeds_stream(1, 1);
    grow_alone();
    if (slots[0].array != NULL && slots[1].array != NULL) {
        fork_versions();
        join_versions();
        for (unsigned i = 4; i < 6; i++) {
            if (slots[i].array != NULL)
                release(i);
        }
        hand_over();
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].array != NULL)
            release(i);
        check_all();
    }
}

/* ---- what must be back afterwards ---- */

struct level {
    uint64_t live_bytes[SPACES], file_bytes[SPACES], mappings[SPACES];
    size_t descriptors;
};

static void trim(struct terrane_space *space)
{
    struct tn_arrays *arrays = tn_arrays_if_any(space);
    for (unsigned i = 0; arrays != NULL && i < TN_ARRAY_SHARDS * TN_ARRAY_KINDS; i++) {
        struct terrane_heap *heap = arrays->shards[i / TN_ARRAY_KINDS].heaps[i % TN_ARRAY_KINDS];
        if (heap != NULL)
            terrane_heap_trim(heap);
    }
    (void)terrane_space_trim(space);
    (void)terrane_pool_purge(space);
}

static void expect_no_arrays(struct terrane_space *space)
{
    struct terrane_array_stats stats;
    terrane_array_stats(space, &stats);
    EXPECT_THAT(stats.arrays == 0 && stats.bodies == 0 && stats.body_bytes == 0,
                "%llu arrays, %llu bodies, %llu bytes", (unsigned long long)stats.arrays,
                (unsigned long long)stats.bodies, (unsigned long long)stats.body_bytes);
}

static void measure(struct level *level)
{
    static struct terrane_pool_stats pool;
    for (unsigned i = 0; i < SPACES; i++) {
        expect_no_arrays(spaces[i]);
        trim(spaces[i]);
        tn_lock_acquire(&spaces[i]->lock);
        tn_space_audit(spaces[i]);
        tn_lock_release(&spaces[i]->lock);
        terrane_pool_stats(spaces[i], &pool);
        level->live_bytes[i] = pool.total.live_bytes;
        level->file_bytes[i] = pool.file_bytes;
        level->mappings[i] = tn_counted(spaces[i], TN_COUNT_MAPPINGS);
    }
    level->descriptors = descriptors_count();
}

static void expect_level(const struct level *start)
{
    struct level end;
    measure(&end);
    for (unsigned i = 0; i < SPACES; i++) {
        if (end.mappings[i] != start->mappings[i])
            EXPECT_THAT(end.live_bytes[i] == start->live_bytes[i], "space %u: %llu, not %llu", i,
                        (unsigned long long)end.live_bytes[i],
                        (unsigned long long)start->live_bytes[i]);
        EXPECT_THAT(end.file_bytes[i] <= start->file_bytes[i], "space %u: %llu, not %llu", i,
                    (unsigned long long)end.file_bytes[i],
                    (unsigned long long)start->file_bytes[i]);
        EXPECT_THAT(end.mappings[i] == start->mappings[i], "space %u: %llu, not %llu", i,
                    (unsigned long long)end.mappings[i], (unsigned long long)start->mappings[i]);
    }
    EXPECT(end.descriptors == start->descriptors);
}

static void keep_file_bytes(struct level *level)
{
    struct level now;
    measure(&now);
    memcpy(level->file_bytes, now.file_bytes, sizeof(now.file_bytes));
}

/* Calls that are refused in one life without faults. */
static uint64_t refused_in_life(void)
{
    const uint64_t before = refusals;
    live();
    return refusals - before;
}

/* ---- spaces ---- */

/* Under strict overcommit the kernel refuses to make a whole window accessible. */
static bool strict_overcommit;

static int verb_named(const char *name)
{
    int verb = 0;
    while (strcmp(tn_fault_verb_names[verb], name) != 0)
        verb++;
    return verb;
}

static void open_spaces(const struct terrane_space_options *options)
{
    for (unsigned i = 0; i < SPACES; i++) {
        if (strict_overcommit)
            tn_fault_arm(verb_named("commit"), 1, ENOMEM);
        EXPECT(terrane_space_create(options, &spaces[i]) == 0);
        tn_fault_disarm();
        EXPECT(spaces[i]->lazy_commit == strict_overcommit);
    }
    live(); /* makes what stays, such as the heaps of headers */
}

static void close_spaces(void)
{
    for (unsigned i = 0; i < SPACES; i++)
        EXPECT(terrane_space_destroy(spaces[i]) == 0);
}

static struct terrane_space_options options_of(enum terrane_backing backing)
{
    return (struct terrane_space_options){.backing = backing,
                                          .window_bytes = (size_t)4 << 30,
                                          .move_min_bytes = 1, /* whatever can be moved is */
                                          .scratch_dir = backing != TERRANE_BACKING_SCRATCH ? NULL
                                                         : access("/dev/shm", W_OK) == 0
                                                             ? "/dev/shm"
                                                             : "/tmp"};
}

/* ---- faults ---- */

static void try_fault(struct level *start, int verb, long nth, int error)
{
    tn_fault_arm(verb, nth, error);
    live();
    tn_fault_disarm();
    const uint64_t refused = nth == 0 ? refused_in_life() : 0;
    EXPECT_THAT(refused == 0, "%llu after %s", (unsigned long long)refused,
                tn_fault_verb_names[verb]);
    if (error == ENOTSUP && strcmp(tn_fault_verb_names[verb], "file_punch") == 0)
        keep_file_bytes(start); /* a file without holes: what is given back is cleared, and stays */
    expect_level(start);
}

static void try_verb(struct level *start, int verb)
{
    tn_fault_arm(verb, -1, 0);
    EXPECT(refused_in_life() == 0);
    const long calls = tn_fault_calls(verb);
    if (calls == 0)
        return;
    const uint64_t before = refusals;
    for (const int *error = errors_of(verb); *error != 0; error++) {
        try_fault(start, verb, 0, *error);
    }
    for (long nth = 1; nth <= calls; nth += nth < 3 ? 1 : 1 + calls / 4)
        try_fault(start, verb, nth, *errors_of(verb));
    printf("  %ld calls of %s, %llu refusals\n", calls, tn_fault_verb_names[verb],
           (unsigned long long)(refusals - before));
}

static void faults(const struct terrane_space_options *options)
{
    struct level start;
    open_spaces(options);
    measure(&start);
    for (int verb = 0; verb < tn_fault_verb_count; verb++) {
        if (strcmp(tn_fault_verb_names[verb], "release") !=
            0) /* leaves addresses behind, rightly */
            try_verb(&start, verb);
    }
    expect_level(&start);
    close_spaces();
}

/* ---- budgets and limits ---- */

/* Without mappings everything is copied. Only sealing, of which there is one, needs some. */
static void no_mappings(struct terrane_space_options options)
{
    struct terrane_array_stats stats;
    struct level start;
    options.mappings_budget = 4;
    open_spaces(&options);
    measure(&start);
    EXPECT(refused_in_life() <= 1);
    expect_level(&start);
    EXPECT(tn_counted(spaces[0], TN_COUNT_BUDGET_REFUSALS) > 0);
    terrane_array_stats(spaces[0], &stats);
    EXPECT(stats.copied_bytes > stats.aliased_bytes + stats.moved_bytes);
    close_spaces();
}

/* From less than the calls need up to enough. */
static void limits(const struct terrane_space_options *options)
{
    struct level start;
    uint64_t refused = 0, last = 1;
    open_spaces(options);
    measure(&start);
    for (size_t limit = 128 * KIB; last > 0; limit *= 2) {
        for (unsigned i = 0; i < SPACES; i++)
            terrane_pool_set_limit(spaces[i], limit);
        last = refused_in_life();
        refused += last;
        expect_level(&start);
        EXPECT(limit < 256 * MIB);
    }
    EXPECT(refused > 10);
    close_spaces();
}

/* ---- a full disk, and no more huge pages ---- */

static char mount_point[] = "/tmp/terrane-arrays-XXXXXX";

/* From less than the calls need up to enough. */
static void full_disks(void)
{
    uint64_t refused = 0, last = 1;
    char size[32];
    for (size_t kib = 400; last > 0; kib *= 2) {
        struct level start;
        struct terrane_space_options options = options_of(TERRANE_BACKING_SCRATCH);
        options.scratch_dir = mount_point;
        snprintf(size, sizeof(size), "size=%zuk", kib);
        EXPECT(mount("tmpfs", mount_point, "tmpfs", 0, size) == 0);
        open_spaces(&options);
        measure(&start);
        last = refused_in_life();
        refused += last;
        expect_level(&start);
        close_spaces();
        EXPECT(umount(mount_point) == 0);
    }
    EXPECT(refused > 10);
}

static void on_full_disks(void)
{
    EXPECT(mkdtemp(mount_point) != NULL);
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", mount_point, "tmpfs", 0, "size=64k") == 0) {
        EXPECT(umount(mount_point) == 0);
        full_disks();
    } else {
        printf("  left out: no right to mount a small tmpfs: %s\n", strerror(errno));
    }
    EXPECT(rmdir(mount_point) == 0);
}

static struct terrane_space_options on_large_pages(void)
{
    struct terrane_space_options options = options_of(TERRANE_BACKING_MEMFD);
    options.huge_page_bytes = 2 * MIB;
    return options;
}

/* Others may have pages in the pool too: what is left of it is taken first. */
static void few_huge_pages(void *nothing)
{
    struct level start;
    struct tn_run rest;
    struct terrane_space *hog;
    const struct terrane_space_options options = on_large_pages();
    (void)nothing;
    open_spaces(&options);
    EXPECT(terrane_space_create(&options, &hog) == 0);
    measure(&start);
    const size_t pages = huge_pages_figure(&huge_pages_ours, "free_hugepages");
    const struct tn_wish wish = {.bytes = (pages - PAGES_LEFT) * 2 * MIB};
    EXPECT(tn_pool_acquire(hog, &wish, &rest) == 0);
    EXPECT(refused_in_life() > 0 ||
           huge_pages_figure(&huge_pages_ours, "free_hugepages") > PAGES_LEFT);
    expect_level(&start);
    EXPECT(terrane_space_destroy(hog) == 0);
    EXPECT(refused_in_life() == 0);
    close_spaces();
}

static void faults_on_huge_pages(void *nothing)
{
    const struct terrane_space_options options = on_large_pages();
    (void)nothing;
    faults(&options);
}

static void with_huge_pages(size_t pages, void (*function)(void *nothing))
{
    if (!huge_pages_take(2 * MIB, pages)) {
        printf("  left out: %zu huge pages cannot be set aside\n", pages);
        return;
    }
    const int status = child_run(function, NULL);
    huge_pages_give_back();
    EXPECT_THAT(status == 0, "wait status 0x%x", (unsigned)status);
}

/* ---- all of it ---- */

static void on_backing(const char *name, enum terrane_backing backing)
{
    const struct terrane_space_options options = options_of(backing);
    printf("%s: faults\n", name);
    faults(&options);
    printf("%s: few mappings\n", name);
    no_mappings(options);
    printf("%s: few bytes\n", name);
    limits(&options);
}

int main(void)
{
    static unsigned char copies[SLOTS][BYTES_MAX];
    setvbuf(stdout, NULL, _IOLBF, 4096);
    for (unsigned i = 0; i < SLOTS; i++)
        slots[i] = (struct version){.copy = copies[i], .room = BYTES_MAX};
    noise_make(1);
    on_backing("private", TERRANE_BACKING_PRIVATE);
    strict_overcommit = true;
    on_backing("private, strict overcommit", TERRANE_BACKING_PRIVATE);
    strict_overcommit = false;
    if (tn_os_features()->memfd)
        on_backing("memfd", TERRANE_BACKING_MEMFD);
    on_backing("scratch file", TERRANE_BACKING_SCRATCH);
    printf("full disks\n");
    on_full_disks();
    printf("huge pages: faults\n");
    with_huge_pages(HUGE_PAGES, faults_on_huge_pages);
    printf("few huge pages\n");
    with_huge_pages(HUGE_PAGES, few_huge_pages);
    return 0;
}
