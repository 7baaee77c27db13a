/* Threads that move one at a time, in an order that a seed gives: what happens among them can be
 * replayed, and is still done by threads of their own. */
#ifndef TEST_TURNS_H
#define TEST_TURNS_H

#include "seeds.h"

#include <pthread.h>

struct turns {
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    struct seeds seeds;
    unsigned players;
    unsigned player; /* whose turn it is */
    uint64_t left;
};

static inline void turns_init(struct turns *turns, unsigned players, struct seeds seeds)
{
    *turns = (struct turns){.mutex = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER,
                            .seeds = seeds,
                            .players = players};
}

/* So many turns follow. No thread waits for one yet. */
static inline void turns_deal(struct turns *turns, uint64_t count)
{
    turns->left = count;
}

/* Waits for this player's turn. False: there are no more. */
static inline bool turns_wait(struct turns *turns, unsigned player)
{
    pthread_mutex_lock(&turns->mutex);
    while (turns->player != player && turns->left > 0)
        pthread_cond_wait(&turns->changed, &turns->mutex);
    const bool go = turns->left > 0;
    pthread_mutex_unlock(&turns->mutex);
    return go;
}

/* The player has moved. */
static inline void turns_pass(struct turns *turns)
{
    pthread_mutex_lock(&turns->mutex);
    turns->left--;
    turns->player = (unsigned)seeds_below(&turns->seeds, turns->players);
    pthread_cond_broadcast(&turns->changed);
    pthread_mutex_unlock(&turns->mutex);
}

#endif
