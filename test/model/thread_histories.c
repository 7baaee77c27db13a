/* Random histories of several threads with a heap each, in one space: every thread has its own
 * model, sends objects to others, who take them into theirs, resize and free them; heaps change
 * owners between rounds; at the end of each round all is quiet, audited and counted. SEED=...
 * STEPS=... */
#include "model.h"
#include "test_threads.h"

#include <stdatomic.h>
#include <terrane/terrane.h>

#define THREADS 4
#define SLOTS   400
#define ROUNDS  6
#define MAIL    256 /* objects under way to one thread */

struct player {
    struct terrane_heap *heap;
    struct model model;
    struct model_block blocks[SLOTS];
    _Atomic(struct model_block *) mail[MAIL];
};

static struct player players[THREADS];
static pthread_barrier_t round_over;

static size_t draw(struct player *player, size_t limit)
{
    return (size_t)seeds_below(&player->model.seeds, limit);
}

static size_t draw_size(struct player *player)
{
    return seeds_size(&player->model.seeds, seeds_chance(&player->model.seeds, 4) ? 21 : 12);
}

static void step_allocate(struct player *player, size_t slot)
{
    const size_t size = draw_size(player);
    void *object = terrane_heap_alloc(player->heap, size);
    EXPECT_THAT(object != NULL, "%zu bytes", size);
    model_add(&player->model, slot, object, size);
}

/* Puts an object, described by a small one of the same heap, into another's mail. */
static void step_send(struct player *player, size_t slot)
{
    struct player *other = &players[draw(player, THREADS)];
    struct model_block *letter = terrane_heap_alloc(player->heap, sizeof(*letter));
    EXPECT(letter != NULL);
    *letter = player->blocks[slot];
    struct model_block *none = NULL;
    if (atomic_compare_exchange_strong(&other->mail[draw(player, MAIL)], &none, letter))
        player->blocks[slot].address = NULL;
    else
        terrane_free(letter);
}

static void step_receive(struct player *player, size_t slot, size_t box)
{
    struct model_block *letter = atomic_exchange(&player->mail[box], NULL);
    if (letter == NULL)
        return;
    player->blocks[slot] = *letter;
    terrane_free(letter);
    struct model_block *block = &player->blocks[slot];
    EXPECT_INTACT(block->address, block->size, block->seed);
}

static void step_resize(struct player *player, size_t slot)
{
    const size_t size = draw_size(player);
    void *object = terrane_heap_resize(player->heap, player->blocks[slot].address, size);
    EXPECT(object != NULL);
    model_resized(&player->model, slot, object, size);
}

static void step_take(struct player *player, size_t slot)
{
    struct model_block *block = &player->blocks[slot];
    EXPECT(terrane_heap_move(player->heap, &block->address) == 0);
    EXPECT(terrane_heap_of(block->address) == player->heap);
    EXPECT_INTACT(block->address, block->size, block->seed);
}

static void step(struct player *player)
{
    const size_t slot = draw(player, SLOTS);
    const size_t what = draw(player, 100);
    if (player->blocks[slot].address == NULL) {
        if (what < 50)
            step_allocate(player, slot);
        else
            step_receive(player, slot, draw(player, MAIL));
    } else if (what < 20) {
        step_send(player, slot);
    } else if (what < 45) {
        step_resize(player, slot);
    } else if (what < 55) {
        step_take(player, slot);
    } else {
        terrane_free(model_remove(&player->model, slot).address);
    }
}

/* Between rounds the heaps change hands in a ring; their objects do not move. */
static void *play(void *context)
{
    struct player *player = context;
    for (unsigned round = 0; round < ROUNDS; round++) {
        /* Whoever frees into an abandoned heap may hold it for a moment. */
        while (terrane_heap_adopt(player->heap) != 0)
            sched_yield();
        for (uint64_t i = 0; i < player->model.steps / ROUNDS; i++)
            step(player);
        model_check(&player->model);
        terrane_heap_abandon(player->heap);
        pthread_barrier_wait(&round_over); /* the main thread audits, and turns the ring */
        pthread_barrier_wait(&round_over);
    }
    return NULL;
}

static int count_object(void *object, size_t usable, void *context)
{
    size_t *count = context;
    (void)object, (void)usable;
    ++*count;
    return 0;
}

/* All threads wait: what the heaps hold is what the players and the mail know. */
static void quiet_check(void)
{
    size_t known = 0, walked = 0;
    for (size_t i = 0; i < THREADS; i++) {
        for (size_t slot = 0; slot < SLOTS; slot++)
            known += players[i].blocks[slot].address != NULL;
        for (size_t box = 0; box < MAIL; box++)
            known += atomic_load(&players[i].mail[box]) != NULL ? 2 : 0; /* and its letter */
        EXPECT(terrane_heap_adopt(players[i].heap) == 0);
        terrane_heap_trim(players[i].heap);
        terrane_heap_audit(players[i].heap);
        EXPECT(terrane_heap_walk(players[i].heap, count_object, &walked) == 0);
        terrane_heap_abandon(players[i].heap);
    }
    EXPECT_THAT(known == walked, "%zu known, %zu walked", known, walked);
}

static void turn_ring(void)
{
    struct terrane_heap *first = players[0].heap;
    for (size_t i = 0; i + 1 < THREADS; i++)
        players[i].heap = players[i + 1].heap;
    players[THREADS - 1].heap = first;
}

static void game(enum terrane_backing backing, uint64_t seed, uint64_t steps)
{
    struct terrane_space *space = NULL;
    pthread_t threads[THREADS];
    const struct terrane_space_options options = {
        .backing = backing,
        .window_bytes = (size_t)16 << 30,
        .scratch_dir = backing == TERRANE_BACKING_SCRATCH ? "/tmp" : NULL,
        .move_min_bytes = (size_t)64 << 10};
    EXPECT(terrane_space_create(&options, &space) == 0);
    EXPECT(pthread_barrier_init(&round_over, NULL, THREADS + 1) == 0);
    memset(players, 0, sizeof(players));
    for (size_t i = 0; i < THREADS; i++) {
        struct player *player = &players[i];
        player->model = model_make(player->blocks, SLOTS, seeds_stream(seed, i), steps);
        EXPECT(terrane_heap_create(space, NULL, &player->heap) == 0);
        terrane_heap_abandon(player->heap);
    }
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = thread_start(play, &players[i]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&round_over);
        quiet_check();
        turn_ring();
        pthread_barrier_wait(&round_over);
    }
    for (size_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    EXPECT(pthread_barrier_destroy(&round_over) == 0);
    EXPECT(terrane_space_destroy(space) == 0);
}

int main(void)
{
    const uint64_t seed = seeds_announce("thread_histories");
    const uint64_t steps = environment_number("STEPS", 60000);
    for (int backing = TERRANE_BACKING_PRIVATE; backing <= TERRANE_BACKING_SCRATCH; backing++)
        game((enum terrane_backing)backing, seed, steps);
    return 0;
}
