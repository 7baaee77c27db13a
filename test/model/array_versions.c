/* Random histories of arrays: a table of references to arrays, of units of several sizes, that fork
 * into versions, grow at both ends, are cut, joined, written, sealed and moved between two spaces.
 * Each has a plain copy of its contents beside it. After every step all arrays are compared with
 * their copies, their references are counted, and the room that one keeps ahead must not be shown
 * by another; when all are released nothing is counted, and the spaces' memory, files and mappings
 * are as they were.
 *
 * A game is played on one backing and page size: with small arrays and many steps, around the size
 * where arrays leave the heap, and with arrays of megabytes and fewer steps. Games on huge pages
 * are played in a child, so that the pages are given back if it fails; there a call may be refused
 * when the pages are used up, and changes nothing then. */
#include "array/array.h"
#include "array_copies.h"
#include "huge_pages.h"

#include <sys/mman.h>
#include <terrane/terrane.h>

#define KIB       ((size_t)1 << 10)
#define MIB       ((size_t)1 << 20)
#define GIB       ((size_t)1 << 30)
#define SLOTS     24
#define BYTES_MAX (12 * MIB)
#define SPACES    2

/* Mappings of private memory that the kernel may keep apart when all is released. */
#define MAPPINGS_APART 8

#ifdef TN_DEBUG /* each step checks more */
#define STEPS 600
#else
#define STEPS 2000
#endif

struct game {
    const char *name;
    struct terrane_space_options options; /* of the first space */
    enum terrane_backing second;          /* private or memfd */
    bool may_refuse;
};

struct scale {
    unsigned order; /* sizes up to 2^order */
    size_t live;    /* bytes of all versions */
    uint64_t steps;
};

static const char *playing;
static struct version slots[SLOTS];
static struct terrane_space *spaces[SPACES];
static struct seeds seeds;
static struct scale scale;
static uint64_t steps, aliased, moved, copied, extensions;

static const size_t units[] = {1, 3, 8, 8, 8, 24, 4096};

/* ---- the table ---- */

static size_t live_bytes(void)
{
    size_t sum = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        sum += slots[i].array != NULL ? slots[i].bytes : 0;
    return sum;
}

/* What a version may grow by: mostly little, so that what is shared stays large beside what is
 * new; a new array is large more often. */
static size_t draw_growth(const struct version *version)
{
    const size_t live = live_bytes();
    const bool large = seeds_chance(&seeds, version->bytes == 0 ? 70 : 10);
    size_t bytes = large ? (size_t)seeds_below(&seeds, (size_t)1 << scale.order)
                         : seeds_size(&seeds, scale.order);
    if (bytes > version->room - version->bytes)
        bytes = version->room - version->bytes;
    return live >= scale.live ? 0 : bytes > scale.live - live ? scale.live - live : bytes;
}

static struct version *slot_empty(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (slots[i].array == NULL)
            return &slots[i];
    return NULL;
}

/* The slot shows the same units as `version` from `first` on. */
static void slot_fill(struct version *slot, const struct version *version, size_t first,
                      struct terrane_array *array)
{
    slot->array = array;
    slot->unit = version->unit;
    slot->space = version->space;
    slot->bytes = version->bytes - first;
    memcpy(slot->copy, version->copy + first, slot->bytes);
}

static void release(struct version *version)
{
    terrane_array_release(version->array);
    version->array = NULL;
}

/* ---- moves ---- */

static void move_create(struct version *version)
{
    version->space = (unsigned)seeds_below(&seeds, SPACES);
    version->unit = units[seeds_below(&seeds, sizeof(units) / sizeof(units[0]))];
    version->bytes = 0;
    const int error = terrane_array_create(spaces[version->space], version->unit,
                                           (unsigned)seeds_below(&seeds, 4), &version->array);
    if (!version_took(version, NULL, error))
        return;
    EXPECT(terrane_array_holders(version->array) == 1);
    version_append(version, &seeds, draw_growth(version));
}

static void move_reference(struct version *version)
{
    struct version *other = slot_empty();
    if (other == NULL || live_bytes() + version->bytes > scale.live)
        return;
    EXPECT(terrane_array_reference(version->array) == version->array);
    slot_fill(other, version, 0, version->array);
}

static void move_split(struct version *version)
{
    struct version *other = slot_empty();
    if (other == NULL)
        return;
    struct terrane_array *rest = NULL;
    const struct terrane_array *before = version->array;
    const size_t index = (size_t)seeds_below(&seeds, version_length(version) + 1);
    const int error = terrane_array_split(&version->array, index, &rest);
    if (!version_took(version, before, error))
        return;
    slot_fill(other, version, index * version->unit, rest);
    version->bytes = index * version->unit;
}

/* With any other slot, be it the same array, or with a second reference to itself. */
static void move_concatenate(struct version *version)
{
    struct version *other = &slots[seeds_below(&seeds, SLOTS)];
    struct terrane_array *const before = version->array;
    if (other->array == NULL || live_bytes() + other->bytes > scale.live ||
        version->bytes + other->bytes > version->room)
        return;
    const bool itself = other == version;
    if (itself)
        (void)terrane_array_reference(before);
    const int error = terrane_array_concatenate(&version->array, other->array);
    if (version->unit != other->unit || version->space != other->space) {
        EXPECT_THAT(version->unit != other->unit ? error == -EINVAL : error == -EXDEV, "%d", error);
        EXPECT(version->array == before);
    } else if (version_took(version, before, error)) {
        const size_t added = other->bytes;
        memcpy(version->copy + version->bytes, other->copy, added);
        version->bytes += added;
        if (!itself)
            other->array = NULL;
    } else if (itself) {
        terrane_array_release(before);
    }
}

static void move_to_space(struct version *version)
{
    const struct terrane_array *before = version->array;
    const unsigned space = (unsigned)seeds_below(&seeds, SPACES);
    if (version_took(version, before, terrane_array_move(&version->array, spaces[space])))
        version->space = space;
}

static void grow(struct version *version, size_t what)
{
    const size_t bytes = seeds_chance(&seeds, 20) ? version->unit : draw_growth(version);
    if (live_bytes() + bytes > scale.live + BYTES_MAX / 2 || version->bytes + bytes > BYTES_MAX)
        return;
    if (what < 30)
        version_append(version, &seeds, bytes);
    else if (what < 50)
        version_prepend(version, &seeds, bytes);
    else if (what < 60)
        version_repeat(version, &seeds, bytes);
    else if (what < 70)
        version_extend(version, &seeds, bytes);
    else if (what < 80)
        version_insert(version, &seeds, bytes);
    else if (what < 87)
        version_enlarge(version, bytes);
    else
        version_reserve(version, &seeds, bytes);
}

static void change(struct version *version, size_t what)
{
    if (what < 30)
        move_reference(version);
    else if (what < 50)
        version_write(version, &seeds);
    else if (what < 55)
        version_scrawl(version, &seeds);
    else if (what < 60)
        version_fill_room(version, &seeds);
    else if (what < 65)
        version_seal(version);
    else if (what < 75)
        move_to_space(version);
    else if (what < 85)
        move_split(version);
    else
        move_concatenate(version);
}

static void cut(struct version *version, size_t what)
{
    if (what < 50)
        release(version);
    else if (what < 70)
        version_slice(version, &seeds);
    else if (what < 85)
        version_remove(version, &seeds);
    else
        version_shorten(version, &seeds);
}

static void step(void)
{
    struct version *version = &slots[seeds_below(&seeds, SLOTS)];
    const bool full = live_bytes() > scale.live / 8 * 7;
    const size_t what = (size_t)seeds_below(&seeds, 100), how = (size_t)seeds_below(&seeds, 100);
    if (seeds_below(&seeds, 100) == 0)
        (void)terrane_pool_purge(spaces[seeds_below(&seeds, SPACES)]);
    if (version->array == NULL)
        move_create(version);
    else if (what < (full ? 15 : 45))
        grow(version, how);
    else if (what < (full ? 60 : 80))
        change(version, how);
    else
        cut(version, how);
}

/* ---- what must hold after each step ---- */

struct range {
    const char *from, *to;
};

static bool ranges_meet(struct range a, struct range b)
{
    return a.from < a.to && b.from < b.to && a.from < b.to && b.from < a.to;
}

/* What is kept ahead, at either end, lies in nobody's units and is nobody else's to store to. */
static void check_room(const struct terrane_array *array, const struct terrane_array *other)
{
    const char *end = array->data + array->length * array->unit;
    const struct range shown = {other->data, other->data + other->length * other->unit};
    const struct range rooms[2] = {{array->data - room_in_front(array), array->data},
                                   {end, end + room_behind(array)}};
    for (unsigned i = 0; i < 2; i++)
        EXPECT_THAT(!ranges_meet(rooms[i], shown),
                    "room %u of %p, %p to %p, and units of %p from %p", i, (const void *)array,
                    (const void *)rooms[i].from, (const void *)rooms[i].to, (const void *)other,
                    (const void *)shown.from);
}

static void check_holders(const struct terrane_array *array)
{
    EXPECT(terrane_array_holders(array) == 1 || (array->limit == NULL && array->floor == NULL));
    uint32_t holders = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        holders += slots[i].array == array;
    EXPECT_THAT(terrane_array_holders(array) == holders, "%u, not %u", terrane_array_holders(array),
                holders);
}

static void check_all(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].array == NULL)
            continue;
        version_check(&slots[i]);
        check_holders(slots[i].array);
        for (unsigned k = 0; k < SLOTS; k++)
            if (slots[k].array != NULL)
                check_room(slots[i].array, slots[k].array);
    }
}

/* ---- what must be back when all is released ---- */

struct floor_level {
    struct terrane_array_stats arrays[SPACES];
    uint64_t file_bytes[SPACES], live_bytes[SPACES], counted[SPACES]; /* mappings */
    size_t mappings;
};

/* The heaps of headers and small bodies keep some empty blocks for the next ones. */
static void trim_heaps(struct terrane_space *space)
{
    struct tn_arrays *arrays = tn_arrays_if_any(space);
    for (unsigned i = 0; i < TN_ARRAY_SHARDS * TN_ARRAY_KINDS; i++) {
        struct terrane_heap *heap = arrays->shards[i / TN_ARRAY_KINDS].heaps[i % TN_ARRAY_KINDS];
        if (heap != NULL)
            terrane_heap_trim(heap);
    }
}

static void measure(struct floor_level *level)
{
    static struct terrane_pool_stats pool;
    for (unsigned i = 0; i < SPACES; i++) {
        trim_heaps(spaces[i]);
        (void)terrane_pool_purge(spaces[i]);
        terrane_pool_stats(spaces[i], &pool);
        terrane_array_stats(spaces[i], &level->arrays[i]);
        level->file_bytes[i] = pool.file_bytes;
        level->live_bytes[i] = pool.total.live_bytes;
        level->counted[i] = tn_counted(spaces[i], TN_COUNT_MAPPINGS);
    }
    level->mappings = mappings_count();
}

static void check_level(const struct floor_level *start)
{
    struct floor_level end;
    measure(&end);
    for (unsigned i = 0; i < SPACES; i++) {
        const struct terrane_array_stats *stats = &end.arrays[i];
        EXPECT_THAT(stats->arrays == 0 && stats->bodies == 0 && stats->body_bytes == 0,
                    "%s %u: %llu arrays, %llu bodies, %llu bytes", playing, i,
                    (unsigned long long)stats->arrays, (unsigned long long)stats->bodies,
                    (unsigned long long)stats->body_bytes);
        EXPECT_THAT(end.live_bytes[i] == start->live_bytes[i], "%s %u: %llu, not %llu", playing, i,
                    (unsigned long long)end.live_bytes[i],
                    (unsigned long long)start->live_bytes[i]);
        EXPECT_THAT(end.file_bytes[i] == start->file_bytes[i], "%s %u: %llu, not %llu", playing, i,
                    (unsigned long long)end.file_bytes[i],
                    (unsigned long long)start->file_bytes[i]);
        EXPECT_THAT(end.counted[i] == start->counted[i], "%s %u: %llu mappings, not %llu", playing,
                    i, (unsigned long long)end.counted[i], (unsigned long long)start->counted[i]);
        aliased += stats->aliased_bytes;
        moved += stats->moved_bytes;
        copied += stats->copied_bytes;
        extensions += stats->shared_extensions;
    }
#ifdef __SANITIZE_ADDRESS__ /* which maps for itself */
    return;
#endif
    /* What the spaces count is back exactly. The kernel does not join mappings of huge pages again,
     * nor neighbours in private memory that were first touched apart from each other. */
    if (spaces[0]->page_bytes == tn_os_page_bytes())
        EXPECT_THAT(end.mappings <= start->mappings + MAPPINGS_APART, "%zu mappings, not %zu",
                    end.mappings, start->mappings);
}

/* The first array of a space makes what all of them share; the first region starts the worker. */
static void warm_up(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        struct terrane_array *array = NULL;
        EXPECT(terrane_array_create(spaces[i], 1, 0, &array) == 0);
        EXPECT(terrane_array_append(&array, noise, 1) == 0);
        terrane_array_release(array);
    }
}

/* ---- games ---- */

static void play_round(struct scale at, uint64_t seed)
{
    struct floor_level start;
    measure(&start);
    scale = at;
    seeds = seeds_stream(seed, at.order);
    for (uint64_t i = 0; i < at.steps; i++) {
        step();
        check_all();
        steps++;
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].array != NULL)
            release(&slots[i]);
        check_all();
    }
    check_level(&start);
}

static void play(const struct game *game, const struct scale *scales, unsigned count, uint64_t seed)
{
    const struct terrane_space_options second = {.backing = game->second, .window_bytes = 16 * GIB};
    const uint64_t refused = refusals;
    playing = game->name;
    const int error = terrane_space_create(&game->options, &spaces[0]);
    EXPECT_THAT(error == 0, "%s: %d", game->name, error);
    EXPECT(terrane_space_create(&second, &spaces[1]) == 0);
    warm_up();
    for (unsigned i = 0; i < count; i++)
        play_round(scales[i], seed);
    EXPECT_THAT(game->may_refuse || refusals == refused, "%llu", (unsigned long long)refusals);
    for (unsigned i = 0; i < SPACES; i++)
        EXPECT(terrane_space_destroy(spaces[i]) == 0);
}

static void play_on_files(uint64_t seed, uint64_t all)
{
    const char *dir = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    const struct scale scales[] = {{12, 256 * KIB, all * 40 / 100},
                                   {19, 6 * MIB, all * 50 / 100},
                                   {22, 16 * MIB, all * 10 / 100}};
    const struct game games[] = {
        {"private",
         {.window_bytes = 16 * GIB, .move_min_bytes = 16 * KIB},
         TERRANE_BACKING_PRIVATE,
         false},
        {"memfd",
         {.backing = TERRANE_BACKING_MEMFD, .window_bytes = 16 * GIB},
         TERRANE_BACKING_MEMFD,
         false},
        {"scratch",
         {.backing = TERRANE_BACKING_SCRATCH, .window_bytes = 16 * GIB, .scratch_dir = dir},
         TERRANE_BACKING_MEMFD,
         false},
        {"short of all",
         {.backing = TERRANE_BACKING_MEMFD,
          .window_bytes = 16 * GIB,
          .mappings_budget = 12,
          .limit_bytes = 8 * MIB},
         TERRANE_BACKING_PRIVATE,
         true}};
    const char *only = getenv("GAME");
    for (unsigned i = 0; i < sizeof(games) / sizeof(games[0]); i++)
        if (only == NULL || strcmp(only, games[i].name) == 0)
            play(&games[i], scales, 3, seed + i);
}

/* ---- huge pages ---- */

struct huge_game {
    struct game game;
    struct scale scales[2];
    size_t pages;
    uint64_t seed;
};

static void print_counts(const char *game)
{
    printf("%s: %llu steps, %llu new versions in old memory, %llu MiB aliased, %llu moved, %llu "
           "copied, %llu refusals\n",
           game, (unsigned long long)steps, (unsigned long long)extensions,
           (unsigned long long)aliased >> 20, (unsigned long long)moved >> 20,
           (unsigned long long)copied >> 20, (unsigned long long)refusals);
    fflush(stdout);
}

static void play_in_child(void *context)
{
    const struct huge_game *huge = context;
    steps = aliased = moved = copied = extensions = 0;
    play(&huge->game, huge->scales, 2, huge->seed);
    print_counts(huge->game.name);
}

static void play_on_huge_pages(struct huge_game *huge)
{
    const size_t page_bytes = huge->game.options.huge_page_bytes;
    if (!huge_pages_take(page_bytes, huge->pages)) {
        printf("%s: left out, %zu pages cannot be set aside\n", huge->game.name, huge->pages);
        return;
    }
    const int status = child_run(play_in_child, huge);
    huge_pages_give_back();
    EXPECT_THAT(status == 0, "%s: wait status 0x%x", huge->game.name, (unsigned)status);
}

int main(void)
{
    const uint64_t seed = seeds_announce("array_versions");
    const uint64_t all = environment_number("STEPS", STEPS);
    unsigned char *copies = mmap(NULL, SLOTS * BYTES_MAX, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT(copies != MAP_FAILED);
    for (unsigned i = 0; i < SLOTS; i++)
        slots[i] = (struct version){.copy = copies + i * BYTES_MAX, .room = BYTES_MAX};
    noise_make(seed);
    struct huge_game games[] = {
        {{"memfd of 2 MiB pages",
          {.backing = TERRANE_BACKING_MEMFD, .window_bytes = 16 * GIB, .huge_page_bytes = 2 * MIB},
          TERRANE_BACKING_MEMFD,
          true},
         {{18, 4 * MIB, all / 10}, {23, 16 * MIB, all / 20}},
         48,
         seed + 3},
        {{"memfd of 1 GiB pages",
          {.backing = TERRANE_BACKING_MEMFD, .window_bytes = 16 * GIB, .huge_page_bytes = GIB},
          TERRANE_BACKING_PRIVATE,
          true},
         {{12, 256 * KIB, all / 50}, {23, 4 * MIB, all / 50}},
         2,
         seed + 4}};
    for (unsigned i = 0; i < 2; i++)
        play_on_huge_pages(&games[i]);
    play_on_files(seed, all);
    print_counts("ordinary pages");
    return 0;
}
