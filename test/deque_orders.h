/* Whether what several threads got from a deque can be explained: by doing their operations one
 * after the other, each at some moment between its start and its end, on a plain deque.
 *
 * A guess is one such order so far. All guesses that fit are carried along; when an operation
 * starts they branch, when one ends those that foretold another result fall away. None left: the
 * deque took an element twice, lost one, or called itself empty or full when it was not. */
#ifndef TEST_DEQUE_ORDERS_H
#define TEST_DEQUE_ORDERS_H

#include "expect.h"

#define ORDER_THREADS    3
#define ORDER_OPERATIONS 8
#define ORDER_GUESSES    96

enum order_kind { ORDER_PUSH, ORDER_POP, ORDER_STEAL };

/* Results: of a push 1, of the others the element, 1 to 13, or 0: empty. Or that the operation
 * changed nothing: a push into a full deque, a steal that another one beat. These fit anywhere
 * here, and the caller asks why. (An owner rightly counts elements that its buffer still hides from
 * all others.) */
#define ORDER_REFUSED 14

struct order_operation {
    enum order_kind kind;
    uint8_t element; /* to push */
};

/* What each thread does, and the size of the deque. */
struct order_program {
    unsigned room;
    unsigned filled; /* elements 1, 2 and so on are in it at the start */
    unsigned counts[ORDER_THREADS];
    struct order_operation operations[ORDER_THREADS][ORDER_OPERATIONS];
};

/* What is known from outside. Of a thread's operations the first `ended` have results, and those
 * before `started` may have taken place. */
struct order_seen {
    uint8_t started[ORDER_THREADS], ended[ORDER_THREADS];
    uint8_t results[ORDER_THREADS][ORDER_OPERATIONS];
};

struct order_guess {
    uint8_t count;
    uint8_t elements[4]; /* oldest first; unused ones are zero */
    uint8_t done[ORDER_THREADS];
    uint8_t foretold[ORDER_THREADS]; /* of an operation that is done and has not ended; else 0 */
};

struct order_guesses {
    uint8_t count;
    struct order_guess all[ORDER_GUESSES];
};

static inline uint8_t order_take(struct order_guess *guess, unsigned index)
{
    const uint8_t element = guess->elements[index];
    guess->count--;
    memmove(&guess->elements[index], &guess->elements[index + 1], guess->count - index);
    guess->elements[guess->count] = 0;
    return element;
}

/* Does the operation on the guess's deque; its result. */
static inline uint8_t order_do(struct order_guess *guess, struct order_operation operation,
                               unsigned room)
{
    if (operation.kind == ORDER_PUSH) {
        if (guess->count == room)
            return ORDER_REFUSED;
        guess->elements[guess->count++] = operation.element;
        return 1;
    }
    if (guess->count == 0)
        return 0;
    return order_take(guess, operation.kind == ORDER_POP ? guess->count - 1u : 0);
}

static inline void order_add(struct order_guesses *guesses, const struct order_guess *guess)
{
    for (unsigned i = 0; i < guesses->count; i++) {
        if (memcmp(&guesses->all[i], guess, sizeof(*guess)) == 0)
            return;
    }
    EXPECT(guesses->count < ORDER_GUESSES);
    guesses->all[guesses->count++] = *guess;
}

/* Passes by the thread's refused operations: they need no moment. */
static inline void order_skip(struct order_guess *guess, const struct order_seen *seen,
                              unsigned thread)
{
    while (guess->done[thread] < seen->ended[thread] &&
           seen->results[thread][guess->done[thread]] == ORDER_REFUSED)
        guess->done[thread]++;
}

/* Adds the guess, in which the thread's next operation took place, if its result is or may become
 * this one. */
static inline void order_try(struct order_guesses *guesses, struct order_guess *guess,
                             const struct order_seen *seen, unsigned thread, uint8_t result)
{
    const unsigned index = guess->done[thread]++;
    const bool ended = index < seen->ended[thread];
    if (result == ORDER_REFUSED || (ended && seen->results[thread][index] != result))
        return;
    guess->foretold[thread] = ended ? 0 : result;
    order_skip(guess, seen, thread);
    order_add(guesses, guess);
}

static inline int order_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct order_guess));
}

/* An operation has started: it and all that were waiting may take place now, in any order. The
 * guesses are sorted, so that equal sets are equal bytes. */
static inline void order_branch(struct order_guesses *guesses, const struct order_program *program,
                                const struct order_seen *seen)
{
    for (unsigned i = 0; i < guesses->count; i++) {
        for (unsigned thread = 0; thread < ORDER_THREADS; thread++) {
            struct order_guess next = guesses->all[i];
            const unsigned index = next.done[thread];
            if (index >= seen->started[thread])
                continue;
            const struct order_operation operation = program->operations[thread][index];
            const uint8_t result = order_do(&next, operation, program->room);
            order_try(guesses, &next, seen, thread, result);
        }
    }
    qsort(guesses->all, guesses->count, sizeof(guesses->all[0]), order_compare);
}

/* Cuts the guesses to the first `count`; unused ones are zero. */
static inline void order_cut(struct order_guesses *guesses, unsigned count)
{
    memset(&guesses->all[count], 0, (guesses->count - count) * sizeof(guesses->all[0]));
    guesses->count = (uint8_t)count;
    qsort(guesses->all, count, sizeof(guesses->all[0]), order_compare);
}

/* The thread's last started operation has ended. */
static inline void order_end(struct order_guesses *guesses, const struct order_seen *seen,
                             unsigned thread)
{
    const unsigned index = seen->ended[thread] - 1u;
    unsigned kept = 0;
    for (unsigned i = 0; i < guesses->count; i++) {
        struct order_guess guess = guesses->all[i];
        if (guess.done[thread] > index && guess.foretold[thread] != seen->results[thread][index])
            continue;
        guess.foretold[thread] = 0;
        order_skip(&guess, seen, thread);
        guesses->all[kept++] = guess;
    }
    order_cut(guesses, kept);
}

/* The thread's first `count` operations must have taken place by now. */
static inline void order_settle(struct order_guesses *guesses, unsigned thread, unsigned count)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < guesses->count; i++) {
        if (guesses->all[i].done[thread] >= count)
            guesses->all[kept++] = guesses->all[i];
    }
    order_cut(guesses, kept);
}

/* Whether a guess leaves just these elements. */
static inline bool order_leaves(const struct order_guesses *guesses, const uint8_t *elements,
                                unsigned count)
{
    for (unsigned i = 0; i < guesses->count; i++) {
        const struct order_guess *guess = &guesses->all[i];
        if (guess->count == count && memcmp(guess->elements, elements, count) == 0)
            return true;
    }
    return false;
}

#endif
