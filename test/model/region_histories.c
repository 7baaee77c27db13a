/* Random histories of regions: several threads, each with a table of regions of spaces of all
 * backings, acquire, release, resize, seal, advise, turn into objects and back, move from space to
 * space and hand over to each other. Contents are checked whenever a region is touched, and between
 * rounds, when all threads have ended, that no two regions overlap and that the spaces count what
 * the tables know.
 *
 * Half of the games are played in turns: one thread moves at a time, and the seed says which. They
 * go through caches, stealing and threads' ends in an order that can be replayed. In the others all
 * move at once. SEED=... STEPS=... */
#include "region_parcels.h"
#include "seeds.h"
#include "test_threads.h"
#include "turns.h"

#include <stdatomic.h>
#include <unistd.h>

#define PLAYERS 4
#define SPACES  PARCEL_SPACES
#define SCRATCH 2
#define SLOTS   24
#define MAIL    32 /* parcels under way to one player */
#define ROUNDS  5

enum hold { HOLD_NOTHING, HOLD_REGION, HOLD_SEALED, HOLD_OBJECT };

struct slot {
    enum hold hold;
    unsigned space;
    struct parcel parcel; /* of an object, too: its address and capacity */
};

struct player {
    unsigned index;
    struct seeds seeds;
    struct terrane_heap *heaps[SPACES];
    struct slot slots[SLOTS];
    _Atomic(struct slot *) mail[MAIL];
};

static struct terrane_space *spaces[SPACES];
static struct player players[PLAYERS];
static size_t page_bytes;
static bool limited;          /* refusals are right in this round */
static size_t limits[SPACES]; /* 0: none */

static _Atomic uint64_t acquired, refused, resized, moved, sent, objects;
static uint64_t hits, steals; /* by caches, of caches */

/* A parcel of each space that is given up when a limit is about to refuse. */
static _Atomic(struct slot *) reserves[SPACES];
static _Atomic uint64_t pressed;

static void slot_release(struct slot *slot)
{
    parcel_check(&slot->parcel);
    terrane_region_release(&slot->parcel.region);
    EXPECT(slot->parcel.region.data == NULL && slot->parcel.region.capacity == 0);
    slot->hold = HOLD_NOTHING;
}

/* Called before a limit refuses. */
static bool give_reserve(struct terrane_space *space, size_t bytes, void *context)
{
    _Atomic(struct slot *) *reserve = context;
    EXPECT(bytes > 0 && space == spaces[reserve - reserves]);
    struct slot *slot = atomic_exchange(reserve, NULL);
    atomic_fetch_add(&pressed, 1);
    if (slot == NULL)
        return false;
    slot_release(slot);
    free(slot);
    return true;
}

/* ---- moves ---- */

static size_t draw(struct player *player, size_t limit)
{
    return (size_t)seeds_below(&player->seeds, limit);
}

static size_t draw_size(struct player *player)
{
    return seeds_size(&player->seeds, draw(player, 100) < 2 ? 25 : 22);
}

/* True: done. Else a limit refused, which it may only when there is one. */
static bool succeeded(int error)
{
    EXPECT_THAT(error == 0 || (error == -ENOMEM && limited), "%d", error);
    if (error != 0)
        atomic_fetch_add(&refused, 1);
    return error == 0;
}

static void move_acquire(struct player *player, struct slot *slot)
{
    struct terrane_region region = {NULL, 0};
    const size_t bytes = draw_size(player);
    const unsigned space = (unsigned)draw(player, SPACES);
    if (!succeeded(terrane_region_acquire(spaces[space], bytes, &region))) {
        EXPECT(region.data == NULL);
        return;
    }
    EXPECT((uintptr_t)region.data % page_bytes == 0);
    EXPECT_THAT(parcel_capacity_fits(region.capacity, bytes, page_bytes), "%zu for %zu",
                region.capacity, bytes);
    *slot = (struct slot){HOLD_REGION, space, parcel_make(region, seeds_next(&player->seeds))};
    atomic_fetch_add(&acquired, 1);
}

static void move_resize(struct player *player, struct slot *slot)
{
    struct parcel *parcel = &slot->parcel;
    const struct terrane_region before = parcel->region;
    const size_t bytes = draw_size(player);
    if (!succeeded(terrane_region_resize(&parcel->region, bytes))) {
        EXPECT(parcel->region.data == before.data && parcel->region.capacity == before.capacity);
        parcel_check(parcel);
        return;
    }
    EXPECT_THAT(parcel_capacity_fits(parcel->region.capacity, bytes, page_bytes), "%zu for %zu",
                parcel->region.capacity, bytes);
    parcel_resized(parcel, before.capacity);
    atomic_fetch_add(&resized, 1);
}

static void move_to_space(struct player *player, struct slot *slot)
{
    const unsigned space = (unsigned)draw(player, SPACES);
    const size_t capacity = slot->parcel.region.capacity;
    if (succeeded(terrane_region_move(&slot->parcel.region, spaces[space]))) {
        slot->space = space;
        atomic_fetch_add(&moved, 1);
    }
    EXPECT(slot->parcel.region.capacity == capacity);
    parcel_check(&slot->parcel);
}

/* Mapping budgets and the memory of the kernel are ample: sealing succeeds. */
static void move_seal(struct slot *slot)
{
    struct terrane_region region = slot->parcel.region;
    EXPECT(terrane_region_seal(&region) == 0);
    slot->hold = HOLD_SEALED;
    EXPECT(terrane_region_resize(&region, 2 * region.capacity) == -EPERM);
    EXPECT(terrane_region_move(&region, spaces[0]) == -EPERM);
    EXPECT(terrane_region_advise(&region, 0, region.capacity, TERRANE_ADVICE_DEAD) == -EPERM);
    parcel_check(&slot->parcel);
}

static void move_unseal(struct slot *slot)
{
    EXPECT(terrane_region_unseal(&slot->parcel.region) == 0);
    slot->hold = HOLD_REGION;
    parcel_check(&slot->parcel);
    parcel_write_range(&slot->parcel, 0, slot->parcel.region.capacity);
}

/* What is declared dead reads as zero, and gets contents again; other advice changes nothing. */
static void move_advise(struct player *player, struct slot *slot)
{
    const struct terrane_region *region = &slot->parcel.region;
    const size_t offset = draw(player, region->capacity);
    const size_t bytes = draw(player, region->capacity - offset + 1);
    const enum terrane_advice advice = (enum terrane_advice)draw(player, 3);
    const int error = terrane_region_advise(region, offset, bytes, advice);
    EXPECT_THAT(error == 0, "%d", error);
    if (advice == TERRANE_ADVICE_DEAD) {
        const size_t from = (offset + page_bytes - 1) / page_bytes * page_bytes;
        const size_t to = (offset + bytes) / page_bytes * page_bytes;
        if (from < to) {
            EXPECT_ZERO((char *)region->data + from, to - from);
            parcel_write_range(&slot->parcel, from, to);
        }
    }
    parcel_check(&slot->parcel);
}

static void move_to_object(struct player *player, struct slot *slot)
{
    void *const data = slot->parcel.region.data;
    const size_t capacity = slot->parcel.region.capacity;
    void *object = NULL;
    const int error =
        terrane_region_to_object(&slot->parcel.region, player->heaps[slot->space], &object);
    EXPECT_THAT(error == 0, "%d", error);
    EXPECT(object == data && slot->parcel.region.data == NULL);
    EXPECT(terrane_heap_of(object) == player->heaps[slot->space]);
    EXPECT_THAT(terrane_usable_size(object) == capacity, "%zu for %zu", terrane_usable_size(object),
                capacity);
    slot->parcel.region = (struct terrane_region){object, capacity};
    slot->hold = HOLD_OBJECT;
    atomic_fetch_add(&objects, 1);
    parcel_check(&slot->parcel);
}

static void move_from_object(struct slot *slot)
{
    struct terrane_region region;
    const int error = terrane_region_from_object(slot->parcel.region.data, &region);
    EXPECT_THAT(error == 0, "%d", error);
    EXPECT(region.data == slot->parcel.region.data);
    EXPECT_THAT(region.capacity == slot->parcel.region.capacity, "%zu, not %zu", region.capacity,
                slot->parcel.region.capacity);
    slot->hold = HOLD_REGION;
    parcel_check(&slot->parcel);
}

static void move_send(struct player *player, struct slot *slot)
{
    struct player *other = &players[draw(player, PLAYERS)];
    struct slot *letter = malloc(sizeof(*letter));
    struct slot *none = NULL;
    EXPECT(letter != NULL);
    *letter = *slot;
    if (!atomic_compare_exchange_strong(&other->mail[draw(player, MAIL)], &none, letter)) {
        free(letter);
        return;
    }
    slot->hold = HOLD_NOTHING;
    atomic_fetch_add(&sent, 1);
}

static void move_receive(struct player *player, struct slot *slot)
{
    struct slot *letter = atomic_exchange(&player->mail[draw(player, MAIL)], NULL);
    if (letter == NULL)
        return;
    *slot = *letter;
    free(letter);
    parcel_check(&slot->parcel);
}

static void move_region(struct player *player, struct slot *slot, size_t what)
{
    if (what < 30)
        slot_release(slot);
    else if (what < 55)
        move_resize(player, slot);
    else if (what < 70)
        move_send(player, slot);
    else if (what < 80)
        move_to_space(player, slot);
    else if (what < 85)
        move_seal(slot);
    else if (what < 93)
        move_advise(player, slot);
    else
        move_to_object(player, slot);
}

static void move_object(struct player *player, struct slot *slot, size_t what)
{
    if (what < 50) {
        move_from_object(slot);
    } else if (what < 75) {
        move_send(player, slot);
    } else {
        parcel_check(&slot->parcel);
        terrane_free(slot->parcel.region.data);
        slot->hold = HOLD_NOTHING;
    }
}

/* Keeps the scratch file's space to a few bytes of memory, or no longer. */
static void set_budget(struct player *player)
{
    static const size_t budgets[] = {0, (size_t)1 << 20, (size_t)8 << 20};
    const unsigned space = (unsigned)draw(player, SPACES);
    const int error = terrane_pool_set_resident_budget(spaces[space], budgets[draw(player, 3)]);
    EXPECT_THAT(error == (space == SCRATCH ? 0 : -EINVAL), "%d", error);
}

/* Once in a while somebody changes what holds for all. */
static void move_setting(struct player *player)
{
    static const uint64_t decays[] = {0, 20, 1000, UINT64_MAX};
    static const size_t caches[] = {0, (size_t)1 << 20, (size_t)64 << 20};
    struct terrane_space *space = spaces[draw(player, SPACES)];
    const size_t what = draw(player, 12);
    if (what < 4)
        (void)terrane_pool_purge(space);
    else if (what < 7)
        terrane_pool_set_decay(space, decays[draw(player, 4)]);
    else if (what < 10)
        terrane_pool_set_cache(space, caches[draw(player, 3)]);
    else
        set_budget(player);
}

static void move(struct player *player)
{
    struct slot *slot = &player->slots[draw(player, SLOTS)];
    const size_t what = draw(player, 100);
    if (draw(player, 200) == 0)
        move_setting(player);
    else if (slot->hold == HOLD_NOTHING && what < 70)
        move_acquire(player, slot);
    else if (slot->hold == HOLD_NOTHING)
        move_receive(player, slot);
    else if (slot->hold == HOLD_OBJECT)
        move_object(player, slot, what);
    else if (slot->hold == HOLD_REGION)
        move_region(player, slot, what);
    else if (what < 40)
        move_unseal(slot);
    else if (what < 70)
        move_send(player, slot);
    else
        slot_release(slot);
}

/* ---- rounds ---- */

static uint64_t steps_each;
static struct turns turns;
static bool in_turns;

/* Whether there is another move in the round; then it is this player's turn. */
static bool may_move(const struct player *player, uint64_t *left)
{
    return in_turns ? turns_wait(&turns, player->index) : (*left)-- > 0;
}

/* A thread plays one round. */
static void *play(void *context)
{
    struct player *player = context;
    uint64_t left = steps_each;
    for (unsigned i = 0; i < SPACES; i++)
        while (terrane_heap_adopt(player->heaps[i]) != 0)
            sched_yield();
    while (may_move(player, &left)) {
        move(player);
        if (in_turns)
            turns_pass(&turns);
    }
    for (unsigned i = 0; i < SPACES; i++)
        terrane_heap_abandon(player->heaps[i]);
    return NULL;
}

static void play_round(void)
{
    pthread_t threads[PLAYERS];
    turns_deal(&turns, steps_each * PLAYERS);
    for (unsigned i = 0; i < PLAYERS; i++)
        threads[i] = thread_start(play, &players[i]);
    for (unsigned i = 0; i < PLAYERS; i++)
        thread_join(threads[i]);
}

/* ---- what must hold between rounds ---- */

/* What the tables and the mail know of one space. */
struct known {
    uint64_t regions, bytes;
    unsigned count;
    struct terrane_region all[PLAYERS * (SLOTS + MAIL)];
};

static int by_address(const void *a, const void *b)
{
    const struct terrane_region *left = a, *right = b;
    const uintptr_t x = (uintptr_t)left->data, y = (uintptr_t)right->data;
    return (x > y) - (x < y);
}

static void know(struct known *known, const struct slot *slot, unsigned space)
{
    if (slot == NULL || slot->hold == HOLD_NOTHING || slot->space != space)
        return;
    parcel_check(&slot->parcel);
    known->regions += slot->hold != HOLD_OBJECT;
    known->bytes += slot->parcel.region.capacity;
    known->all[known->count++] = slot->parcel.region;
}

static void know_all(struct known *known, unsigned space)
{
    memset(known, 0, sizeof(*known));
    know(known, atomic_load(&reserves[space]), space);
    for (unsigned i = 0; i < PLAYERS; i++) {
        for (unsigned k = 0; k < SLOTS; k++)
            know(known, &players[i].slots[k], space);
        for (unsigned k = 0; k < MAIL; k++)
            know(known, atomic_load(&players[i].mail[k]), space);
    }
    qsort(known->all, known->count, sizeof(known->all[0]), by_address);
    for (unsigned i = 1; i < known->count; i++) {
        const char *end = (const char *)known->all[i - 1].data + known->all[i - 1].capacity;
        EXPECT_THAT((uintptr_t)end <= (uintptr_t)known->all[i].data, "%p + %zu and %p overlap",
                    known->all[i - 1].data, known->all[i - 1].capacity, known->all[i].data);
    }
}

static void check_space(unsigned space)
{
    static struct known known;
    know_all(&known, space);
    expect_counts(spaces[space], known.regions, known.bytes);
    EXPECT_THAT(limits[space] == 0 || known.bytes <= limits[space], "%llu of %zu",
                (unsigned long long)known.bytes, limits[space]);
    for (unsigned i = 0; i < PLAYERS; i++) {
        EXPECT(terrane_heap_adopt(players[i].heaps[space]) == 0);
        terrane_heap_audit(players[i].heaps[space]);
        terrane_heap_abandon(players[i].heaps[space]);
    }
}

static void reserve_fill(unsigned space, struct seeds *seeds)
{
    struct terrane_region region;
    struct slot *slot = malloc(sizeof(*slot));
    EXPECT(slot != NULL && atomic_load(&reserves[space]) == NULL);
    EXPECT(terrane_region_acquire(spaces[space], (size_t)1 << 20, &region) == 0);
    *slot = (struct slot){HOLD_REGION, space, parcel_make(region, seeds_next(seeds))};
    atomic_store(&reserves[space], slot);
}

/* What is out, and a little more, is the limit of every second round. */
static void set_limits(bool low, struct seeds *seeds)
{
    static struct terrane_pool_stats stats;
    limited = low;
    for (unsigned i = 0; i < SPACES; i++) {
        if (low && atomic_load(&reserves[i]) == NULL)
            reserve_fill(i, seeds);
        const size_t room = (size_t)seeds_below(seeds, (size_t)16 << 20);
        terrane_pool_stats(spaces[i], &stats);
        limits[i] = low ? (size_t)stats.total.live_bytes + room + 1 : 0;
        terrane_pool_set_limit(spaces[i], limits[i]);
    }
    terrane_pool_set_process_limit(low && seeds_chance(seeds, 50) ? (size_t)256 << 20 : 0);
}

/* ---- games ---- */

static void spaces_create(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        spaces[i] = parcel_space(i);
        terrane_pool_on_pressure(spaces[i], give_reserve, &reserves[i]);
        for (unsigned k = 0; k < PLAYERS; k++) {
            EXPECT(terrane_heap_create(spaces[i], NULL, &players[k].heaps[i]) == 0);
            terrane_heap_abandon(players[k].heaps[i]);
        }
    }
}

static void slot_empty(struct slot *slot)
{
    if (slot->hold == HOLD_OBJECT)
        terrane_free(slot->parcel.region.data);
    else if (slot->hold != HOLD_NOTHING)
        terrane_region_release(&slot->parcel.region);
    slot->hold = HOLD_NOTHING;
}

static void letter_empty(_Atomic(struct slot *) *box)
{
    struct slot *letter = atomic_exchange(box, NULL);
    if (letter == NULL)
        return;
    slot_empty(letter);
    free(letter);
}

/* Everything is given back, and then nothing is counted any more. */
static void empty_all(void)
{
    for (unsigned i = 0; i < PLAYERS; i++) {
        for (unsigned k = 0; k < SLOTS; k++)
            slot_empty(&players[i].slots[k]);
        for (unsigned k = 0; k < MAIL; k++)
            letter_empty(&players[i].mail[k]);
    }
    for (unsigned i = 0; i < SPACES; i++) {
        letter_empty(&reserves[i]);
        check_space(i);
        (void)terrane_pool_purge(spaces[i]);
        static struct terrane_pool_stats stats;
        terrane_pool_stats(spaces[i], &stats);
        EXPECT_THAT(stats.resident_bytes == 0, "space %u: %llu", i,
                    (unsigned long long)stats.resident_bytes);
    }
}

static void count_caches(void)
{
    static struct terrane_pool_stats stats;
    for (unsigned i = 0; i < SPACES; i++) {
        terrane_pool_stats(spaces[i], &stats);
        hits += stats.total.cache_hits;
        steals += stats.total.steals;
    }
}

/* At its end a game's spaces are destroyed empty or as they are. */
static void game(uint64_t seed, bool empty)
{
    struct seeds seeds = seeds_stream(seed, PLAYERS);
    memset(players, 0, sizeof(players));
    turns_init(&turns, PLAYERS, seeds_stream(seed, PLAYERS + 1));
    for (unsigned i = 0; i < PLAYERS; i++) {
        players[i].index = i;
        players[i].seeds = seeds_stream(seed, i);
    }
    spaces_create();
    for (unsigned round = 0; round < ROUNDS; round++) {
        set_limits(round % 2 == 1, &seeds);
        play_round();
        for (unsigned i = 0; i < SPACES; i++)
            check_space(i);
    }
    set_limits(false, &seeds);
    count_caches();
    if (empty)
        empty_all();
    for (unsigned i = 0; i < PLAYERS; i++)
        for (unsigned k = 0; k < MAIL; k++)
            free(atomic_exchange(&players[i].mail[k], NULL));
    for (unsigned i = 0; i < SPACES; i++) {
        free(atomic_exchange(&reserves[i], NULL));
        EXPECT(terrane_space_destroy(spaces[i]) == 0);
    }
}

int main(void)
{
    const uint64_t seed = seeds_announce("region_histories");
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    steps_each = environment_number("STEPS", 3000) / ROUNDS;
    for (unsigned i = 0; i < 4; i++) {
        in_turns = i < 2;
        game(seed + i, i % 2 == 0);
    }
    printf("%llu acquired (%llu from the own cache, %llu stolen), %llu refused, ",
           (unsigned long long)acquired, (unsigned long long)hits, (unsigned long long)steals,
           (unsigned long long)refused);
    printf("%llu calls under pressure, %llu resized, %llu moved, %llu sent, %llu objects\n",
           (unsigned long long)pressed, (unsigned long long)resized, (unsigned long long)moved,
           (unsigned long long)sent, (unsigned long long)objects);
    return 0;
}
