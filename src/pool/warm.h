/* Warm runs, kept as they were given back, for the next wish of about their size. Private to the
 * pool.
 *
 * Lists by order and, in each, by the quarter of the run that was used: reusing a run for a wish of
 * the same quarter leaves at most a quarter of it warm and unused. Runs on these lists are used
 * ones for the buddy; their nodes' links are free for us. All calls are locked. */
#ifndef TN_WARM_H
#define TN_WARM_H

#include "space/space.h"

/* Puts a used, plain, whole run on its list, as the newest. */
void tn_warm_put(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes);

/* Takes the newest run of `order` whose warm part holds `bytes`, else the one with the largest. */
bool tn_warm_take(struct terrane_space *space, unsigned order, size_t bytes, uint32_t *block);

/* Takes the oldest run of the largest order there is, of at least `least`. */
bool tn_warm_take_largest(struct terrane_space *space, unsigned least, uint32_t *block,
                          unsigned *order);

#endif
