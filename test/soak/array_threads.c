/* A soak of arrays: threads are born and die, by two, four and eight, and share a table of arrays
 * that have references in several of them. Each takes one out, compares it with its plain copy,
 * changes it in one of all the ways there are, and puts it back, or a second reference elsewhere:
 * so versions of one array are built on, sliced, written and released at the same time. Some
 * threads fork in the middle; a child checks the arrays in private spaces that it got a copy of,
 * works on with them, and ends. When all threads are gone each array has the references that the
 * table knows. SOAK_SECONDS (600), SEED. */
#include "array_copies.h"
#include "process.h"
#include "test_threads.h"

#include <stdatomic.h>
#include <terrane/terrane.h>

#define SPACES    4 /* private, memfd, scratch, and private again */
#define SLOTS     96
#define ROOM      ((size_t)1 << 20)
#define ORDER_MAX 18                /* sizes that arrays grow by: up to 2^18 */
#define HOLD_MAX  ((size_t)8 << 20) /* handed out in one space */
#define RESIDENT  ((size_t)1000 << 20)

static struct terrane_space *spaces[SPACES];
static _Atomic(struct version *) slots[SLOTS];
static uint64_t soak_seed;
static _Atomic uint64_t births, steps, joins, forks, refused;
static _Atomic bool alone; /* a child of fork, in which shared spaces are the parent's */
static time_t end;

static bool space_is_private(unsigned space)
{
    return space == 0 || space == 3;
}

static unsigned draw_space(struct seeds *seeds)
{
    const unsigned space = (unsigned)seeds_below(seeds, SPACES);
    return alone && !space_is_private(space) ? 0 : space;
}

static size_t draw_growth(const struct version *version, struct seeds *seeds)
{
    const size_t left = version->room - version->bytes;
    const size_t bytes = seeds_size(seeds, ORDER_MAX);
    return bytes < left / 4 ? bytes : left / 4;
}

/* ---- steps ---- */

static struct version *version_make(const struct version *like)
{
    struct version *version = malloc(sizeof(*version));
    EXPECT(version != NULL);
    *version = *like;
    version->copy = malloc(ROOM);
    version->room = ROOM;
    EXPECT(version->copy != NULL);
    return version;
}

static void version_forget(struct version *version)
{
    free(version->copy);
    free(version);
}

static void version_release(struct version *version)
{
    version_check(version);
    terrane_array_release(version->array);
    version_forget(version);
}

/* A new array, or NULL. */
static struct version *version_create(struct seeds *seeds)
{
    static const size_t units[] = {1, 8, 8, 24, 4096};
    struct version new = {.space = draw_space(seeds), .unit = units[seeds_below(seeds, 5)]};
    const int error =
        terrane_array_create(spaces[new.space], new.unit, TERRANE_ARRAY_ATOMIC, &new.array);
    if (!version_took(&new, NULL, error))
        return NULL;
    struct version *version = version_make(&new);
    version_append(version, seeds, draw_growth(version, seeds));
    return version;
}

/* A second reference, or what is behind a split. */
static struct version *version_divide(struct version *version, struct seeds *seeds)
{
    const bool splits = seeds_chance(seeds, 30);
    const size_t index = splits ? version_draw(version, seeds, version->bytes) : 0;
    const struct terrane_array *before = version->array;
    struct version other = *version;
    if (!splits)
        other.array = terrane_array_reference(version->array);
    else if (!version_took(version, before,
                           terrane_array_split(&version->array, index, &other.array)))
        return NULL;
    const size_t first = index * version->unit;
    struct version *second = version_make(&other);
    second->bytes = version->bytes - first;
    memcpy(second->copy, version->copy + first, second->bytes);
    if (splits)
        version->bytes = first;
    return second;
}

static void put_back(struct seeds *seeds, struct version *version)
{
    struct version *other = atomic_exchange(&slots[seeds_below(seeds, SLOTS)], version);
    if (other != NULL)
        version_release(other);
}

/* What another slot has is put behind it. */
static void version_join(struct version *version, struct seeds *seeds)
{
    struct version *other = atomic_exchange(&slots[seeds_below(seeds, SLOTS)], NULL);
    if (other == NULL)
        return;
    const struct terrane_array *before = version->array;
    if (other->unit != version->unit || other->space != version->space ||
        version->bytes + other->bytes > ROOM / 2 ||
        !version_took(version, before, terrane_array_concatenate(&version->array, other->array))) {
        put_back(seeds, other);
        return;
    }
    memcpy(version->copy + version->bytes, other->copy, other->bytes);
    version->bytes += other->bytes;
    version_forget(other);
    atomic_fetch_add(&joins, 1);
}

static void version_move(struct version *version, struct seeds *seeds)
{
    const unsigned space = draw_space(seeds);
    const struct terrane_array *before = version->array;
    if (version_took(version, before, terrane_array_move(&version->array, spaces[space])))
        version->space = space;
}

static void version_grow(struct version *version, struct seeds *seeds, uint64_t how)
{
    const size_t bytes = draw_growth(version, seeds);
    if (how < 40)
        version_append(version, seeds, bytes);
    else if (how < 60)
        version_prepend(version, seeds, bytes);
    else if (how < 70)
        version_extend(version, seeds, bytes);
    else if (how < 80)
        version_insert(version, seeds, bytes);
    else if (how < 85)
        version_repeat(version, seeds, bytes);
    else if (how < 92)
        version_enlarge(version, bytes);
    else
        version_reserve(version, seeds, bytes);
}

static void version_change(struct version *version, struct seeds *seeds, uint64_t how)
{
    if (how < 50)
        version_write(version, seeds);
    else if (how < 60)
        version_scrawl(version, seeds);
    else if (how < 70)
        version_fill_room(version, seeds);
    else if (how < 75)
        version_seal(version);
    else if (how < 85)
        version_move(version, seeds);
    else
        version_join(version, seeds);
}

static void version_cut(struct version *version, struct seeds *seeds, uint64_t how)
{
    if (how < 50)
        version_slice(version, seeds);
    else if (how < 75)
        version_remove(version, seeds);
    else
        version_shorten(version, seeds);
}

/* The version, or NULL if it is gone. */
static struct version *version_play(struct version *version, struct seeds *seeds)
{
    const uint64_t what = seeds_below(seeds, 100), how = seeds_below(seeds, 100);
    if (what < 20) {
        version_release(version);
        return NULL;
    }
    if (what < 40) {
        struct version *second = version_divide(version, seeds);
        if (second != NULL)
            put_back(seeds, second);
    } else if (what < 65) {
        version_grow(version, seeds, how);
    } else if (what < 85) {
        version_change(version, seeds, how);
    } else {
        version_cut(version, seeds, how);
    }
    version_check(version);
    return version;
}

static void step(struct seeds *seeds)
{
    _Atomic(struct version *) *slot = &slots[seeds_below(seeds, SLOTS)];
    struct version *version = atomic_exchange(slot, NULL);
    if (alone && version != NULL && !space_is_private(version->space)) {
        version_forget(version); /* the parent's */
        version = NULL;
    }
    if (version != NULL)
        version_check(version);
    version = version == NULL ? version_create(seeds) : version_play(version, seeds);
    version = atomic_exchange(slot, version);
    if (version != NULL)
        version_release(version);
    if (seeds_below(seeds, 500) == 0)
        (void)terrane_pool_purge(spaces[draw_space(seeds)]);
    atomic_fetch_add(&steps, 1);
}

/* ---- fork ---- */

/* What other threads had taken out is in nobody's hands here. */
static void child_live(struct seeds *seeds)
{
    alarm(CHILD_SECONDS);
    alone = true;
#ifdef __SANITIZE_THREAD__
    terrane_worker_stop(); /* the sanitizer has no threads in a child that had some */
#endif
    for (size_t i = 0; i < SLOTS; i++) {
        struct version *version = atomic_exchange(&slots[i], NULL);
        if (version != NULL && space_is_private(version->space)) {
            version_check(version);
            atomic_store(&slots[i], version);
        }
    }
    struct terrane_array *array;
    EXPECT(terrane_array_create(spaces[1], 1, TERRANE_ARRAY_ATOMIC, &array) == -EPERM);
    EXPECT(terrane_array_create(spaces[2], 1, TERRANE_ARRAY_ATOMIC, &array) == -EPERM);
    for (unsigned i = 0; i < 200; i++)
        step(seeds);
    _exit(0);
}

static void fork_now(struct seeds *seeds)
{
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0)
        child_live(seeds);
    EXPECT_CHILD_PASSED(pid);
    atomic_fetch_add(&forks, 1);
}

/* ---- births and deaths ---- */

static void *work(void *context)
{
    struct seeds seeds = seeds_stream(soak_seed, atomic_fetch_add(&births, 1));
    const uint64_t life = 50 + seeds_below(&seeds, 3000);
    for (uint64_t i = 0; i < life && time(NULL) < end; i++) {
        step(&seeds);
        if (seeds_below(&seeds, 1000) == 0)
            fork_now(&seeds);
    }
    atomic_fetch_add(&refused, refusals);
    return context;
}

static void *be_born(void *context)
{
    while (time(NULL) < end)
        thread_run(work, NULL);
    return context;
}

static void run_for(time_t seconds, unsigned workers)
{
    pthread_t parents[8];
    end = time(NULL) + (seconds > 0 ? seconds : 1);
    for (unsigned i = 0; i < workers; i++)
        parents[i] = thread_start(be_born, NULL);
    for (unsigned i = 0; i < workers; i++)
        thread_join(parents[i]);
}

/* ---- between the generations ---- */

/* References to an array in the table before slot `until`. */
static uint32_t references(const struct terrane_array *array, size_t until)
{
    uint32_t count = 0;
    for (size_t i = 0; i < until; i++)
        count += atomic_load(&slots[i]) != NULL && atomic_load(&slots[i])->array == array;
    return count;
}

static void quiet_check(void)
{
    uint64_t arrays[SPACES] = {0};
    for (size_t i = 0; i < SLOTS; i++) {
        const struct version *version = atomic_load(&slots[i]);
        if (version == NULL)
            continue;
        version_check(version);
        EXPECT(terrane_array_holders(version->array) == references(version->array, SLOTS));
        arrays[version->space] += references(version->array, i) == 0;
    }
    for (unsigned i = 0; i < SPACES; i++) {
        struct terrane_array_stats stats;
        terrane_array_stats(spaces[i], &stats);
        EXPECT_THAT(stats.arrays == arrays[i] && stats.bodies <= arrays[i],
                    "space %u: %llu arrays, not %llu; %llu bodies", i,
                    (unsigned long long)stats.arrays, (unsigned long long)arrays[i],
                    (unsigned long long)stats.bodies);
        (void)terrane_pool_purge(spaces[i]);
    }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_THAT(resident_bytes() < RESIDENT, "%zu", resident_bytes());
#endif
}

static void spaces_create(void)
{
    static const enum terrane_backing backings[SPACES] = {
        TERRANE_BACKING_PRIVATE, TERRANE_BACKING_MEMFD, TERRANE_BACKING_SCRATCH,
        TERRANE_BACKING_PRIVATE};
    for (unsigned i = 0; i < SPACES; i++) {
        const struct terrane_space_options options = {
            .backing = backings[i],
            .window_bytes = (size_t)16 << 30,
            .scratch_dir = backings[i] == TERRANE_BACKING_SCRATCH ? "/tmp" : NULL,
            .limit_bytes = HOLD_MAX};
        EXPECT(terrane_space_create(&options, &spaces[i]) == 0);
    }
}

static void spaces_destroy(void)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct version *version = atomic_exchange(&slots[i], NULL);
        if (version != NULL)
            version_release(version);
    }
    quiet_check();
    for (unsigned i = 0; i < SPACES; i++)
        EXPECT(terrane_space_destroy(spaces[i]) == 0);
}

int main(void)
{
    const time_t seconds = (time_t)environment_number("SOAK_SECONDS", 600);
    const time_t stop = time(NULL) + seconds;
    setvbuf(stdout, NULL, _IONBF, 0);
    soak_seed = seeds_announce("array_threads");
    noise_make(soak_seed);
    spaces_create();
    for (unsigned workers = 2; time(NULL) < stop; workers = workers == 8 ? 2 : 2 * workers) {
        run_for(seconds < 30 ? seconds / 3 : 10, workers);
        quiet_check();
        printf("%u at a time, %llu threads, %llu steps, %llu joins, %llu refusals, %llu forks, "
               "%zu MiB resident\n",
               workers, (unsigned long long)births, (unsigned long long)steps,
               (unsigned long long)joins, (unsigned long long)refused, (unsigned long long)forks,
               resident_bytes() >> 20);
    }
    spaces_destroy();
    return 0;
}
