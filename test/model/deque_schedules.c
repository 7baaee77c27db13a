/* All schedules of small programs on the deque of src/pool/deque.h, the very source.
 *
 * An owner and up to two thieves run short sequences of operations on a simulated memory: that of
 * x86, a weaker one, and that of the C11 standard (weak_memory.h). A step is one access to the
 * memory by one thread, in one of the ways the model allows, or one store leaving a buffer. The
 * search goes through all sequences of steps; two that lead to the same state are counted as two,
 * and followed once. An operation is not suspended between its accesses but run anew from its start
 * with the results that its accesses had so far, up to the next one: so a state is plain data.
 *
 * Checked in every schedule: results and what is left in the end are explained by some order of the
 * operations (deque_orders.h); a steal that was lost has seen top move; and at every state, that of
 * a child of fork in which nobody else exists any more: no element is taken twice, at most one is
 * missing for each thread that was in the middle of an operation, and the deque serves a new owner.
 *
 * Mutants of the deque, each short of something that the argument in deque.h leans on, must be
 * found out. */
#include "deque_orders.h"
#include "seeds.h"
#include "weak_memory.h"

#include <setjmp.h>
#include <stdatomic.h>

#define TN_DEQUE_SLOTS 2
#define TN_DEQUE_LOAD(word, order)                                                                 \
    ((__typeof__((void)0, *(word)))access_run(WEAK_LOAD, word, 0, 0, order))
#define TN_DEQUE_STORE(word, value, order)                                                         \
    ((void)access_run(WEAK_STORE, word, (uint8_t)(value), 0, order))
#define TN_DEQUE_EXCHANGE(word, value, order)                                                      \
    ((void)access_run(WEAK_EXCHANGE, word, (uint8_t)(value), 0, order))
#define TN_DEQUE_CAS(word, old, value, order)                                                      \
    (access_run(WEAK_CAS, word, (uint8_t)(value), (uint8_t) * (old), order) != 0)

static uint8_t access_run(enum weak_kind kind, const volatile void *word, uint8_t value,
                          uint8_t expected, memory_order order);

#include "pool/deque.h"

#define THREADS     ORDER_THREADS
#define CELL_TOP    0
#define CELL_BOTTOM 1
#define CELL_SLOTS  2
#define GARBAGE     15 /* in a slot before an element is */
#define LOG_MAX     8
#define DEPTH_MAX   128

/* The schedules are those of the source, so one build goes through all; the search itself is
 * made of accesses that the address sanitizer looks at one by one. */
#if defined(__SANITIZE_ADDRESS__) || defined(TN_DEBUG)
#define SHORTER 1
#else
#define SHORTER 0
#endif

_Static_assert(CELL_SLOTS + TN_DEQUE_SLOTS <= WEAK_CELLS, "a cell for every word");

struct thread {
    uint8_t logged; /* accesses of the current operation that are done */
    uint8_t log[LOG_MAX];
    struct weak_access next; /* follows from the log; kept to save a run */
    struct weak_thread weak;
};

struct state {
    struct weak_memory memory;
    struct thread threads[THREADS];
    struct order_seen seen;
    struct order_guesses guesses; /* the last: only as many as there are count for equality */
};

/* How the deque is broken on purpose. */
enum mutant {
    MUTANT_NONE,
    MUTANT_POP_UNFENCED,    /* the exchange in pop is a plain store */
    MUTANT_POP_UNCONTESTED, /* the owner takes the last element without comparing */
    MUTANT_STEAL_UNCONTESTED,
    MUTANT_PUSH_RELAXED, /* the store to bottom in push is no release */
    MUTANT_PUSH_OVER,    /* push does not see that the deque is full */
    MUTANT_ADOPT_NOTHING,
    MUTANTS_C11,                      /* what only that model can show begins here */
    MUTANT_POP_ACQ_REL = MUTANTS_C11, /* the exchange in pop is not seq_cst */
    MUTANT_POP_TOP_RELAXED,           /* nor is the load of top behind it */
    MUTANT_STEAL_BOTTOM_ACQUIRE,      /* nor the load of bottom in steal */
    MUTANT_STEAL_BOTTOM_UNACQUIRED,   /* it is seq_cst, but acquires nothing */
    MUTANTS,
};

static const char *const mutant_names[MUTANTS] = {
    "as it is",
    "pop without fence",
    "pop of the last one without comparing",
    "steal without comparing",
    "push with a relaxed store",
    "push into a full deque",
    "adopt without repair",
    "pop with an exchange that is not seq_cst",
    "pop with a relaxed load of top",
    "steal with an acquiring load of bottom",
    "steal with a load of bottom that acquires nothing",
};

static const char *const model_names[] = {"TSO", "PSO", "C11"};

static enum weak_model model;
static enum mutant mutant;
static struct order_program program; /* the one that is searched */
static const char *failure;          /* what is wrong, once something is */

static struct {
    uint64_t programs, states;
    double schedules;
} totals;

/* ---- operations, run up to their next access ---- */

static struct tn_deque deque; /* only its addresses are used */

static struct {
    jmp_buf leave;
    const struct thread *thread; /* NULL: accesses take place at once, in `memory` */
    unsigned at;
    struct weak_access next;
    struct weak_memory *memory;
} run;

static uint8_t cell_of(const volatile void *word)
{
    const size_t offset = (size_t)((const volatile char *)word - (const volatile char *)&deque);
    if (offset < offsetof(struct tn_deque, slots))
        return (uint8_t)(offset / sizeof(deque.top));
    return (uint8_t)(CELL_SLOTS +
                     (offset - offsetof(struct tn_deque, slots)) / sizeof(deque.slots[0]));
}

/* What the deque's source calls. */
static uint8_t access_run(enum weak_kind kind, const volatile void *word, uint8_t value,
                          uint8_t expected, memory_order order)
{
    const struct weak_access access = {(uint8_t)kind, cell_of(word), value, expected,
                                       weak_order(order)};
    if (run.thread == NULL) {
        struct weak_thread alone = {0};
        const uint8_t result = weak_do(WEAK_TSO, run.memory, &alone, access, 0, 0);
        if (alone.count > 0)
            weak_drain(run.memory, &alone, 0);
        return result;
    }
    if (run.at < run.thread->logged)
        return run.thread->log[run.at++];
    run.next = access;
    longjmp(run.leave, 1);
}

static uint8_t operation_run(struct order_operation operation)
{
    uint32_t element = 0;
    if (operation.kind == ORDER_PUSH)
        return tn_deque_push(&deque, operation.element) ? 1 : ORDER_REFUSED;
    if (operation.kind == ORDER_POP)
        return tn_deque_pop(&deque, &element) ? (uint8_t)element : 0;
    const enum tn_steal got = tn_deque_steal(&deque, &element);
    if (got == TN_STEAL_LOST)
        return ORDER_REFUSED;
    return got == TN_STEAL_TAKEN ? (uint8_t)element : 0;
}

/* Breaks the next access of an operation as the mutant says. */
static void access_mutate(struct weak_access *access, enum order_kind operation)
{
    const bool is_cas = access->kind == WEAK_CAS;
    if (mutant == MUTANT_POP_UNFENCED && access->kind == WEAK_EXCHANGE)
        *access = (struct weak_access){WEAK_STORE, access->cell, access->value, 0, 0};
    if (mutant == MUTANT_POP_UNCONTESTED && is_cas && operation == ORDER_POP)
        access->kind = WEAK_OVERWRITE;
    if (mutant == MUTANT_STEAL_UNCONTESTED && is_cas && operation == ORDER_STEAL)
        access->kind = WEAK_OVERWRITE;
    if (mutant == MUTANT_POP_ACQ_REL && access->kind == WEAK_EXCHANGE)
        access->order = WEAK_ACQUIRE | WEAK_RELEASE;
    if (mutant == MUTANT_POP_TOP_RELAXED && operation == ORDER_POP && access->kind == WEAK_LOAD)
        access->order = 0;
    if (mutant == MUTANT_STEAL_BOTTOM_ACQUIRE && operation == ORDER_STEAL &&
        access->cell == CELL_BOTTOM)
        access->order = WEAK_ACQUIRE;
    if (mutant == MUTANT_STEAL_BOTTOM_UNACQUIRED && operation == ORDER_STEAL &&
        access->cell == CELL_BOTTOM)
        access->order = WEAK_SEQ_CST;
    if (mutant == MUTANT_PUSH_RELAXED && operation == ORDER_PUSH)
        access->order = 0;
    if (mutant == MUTANT_PUSH_OVER && operation == ORDER_PUSH && access->cell == CELL_TOP)
        access->cell = CELL_BOTTOM;
}

/* True: the operation has come to an access, thread->next. False: to its end, with *result. */
static bool operation_advance(struct thread *thread, struct order_operation operation,
                              uint8_t *result)
{
    run.thread = thread;
    run.at = 0;
    if (setjmp(run.leave) != 0) {
        access_mutate(&run.next, operation.kind);
        thread->next = run.next;
        return true;
    }
    *result = operation_run(operation);
    return false;
}

/* ---- steps ---- */

static void fail(const char *what)
{
    if (failure == NULL)
        failure = what;
}

static struct order_operation operation_of(const struct state *state, unsigned thread)
{
    return program.operations[thread][state->seen.ended[thread]];
}

static bool thread_is_done(const struct state *state, unsigned thread)
{
    return state->seen.ended[thread] == program.counts[thread];
}

/* Elements as bits. */
static unsigned results_elements(const struct state *state, bool pushed)
{
    unsigned elements = 0;
    for (unsigned thread = 0; thread < THREADS; thread++) {
        for (unsigned i = 0; i < state->seen.ended[thread]; i++) {
            const struct order_operation operation = program.operations[thread][i];
            const uint8_t result = state->seen.results[thread][i];
            if (pushed && operation.kind == ORDER_PUSH && result == 1)
                elements |= 1u << operation.element;
            if (!pushed && operation.kind != ORDER_PUSH && result != ORDER_REFUSED)
                elements |= 1u << result;
        }
    }
    return elements & ~1u;
}

/* Those that the program finds in the deque: 1, 2 and so on. */
static unsigned filled_elements(void)
{
    return (2u << program.filled) - 2;
}

/* Operations that are over for everybody have taken place. In C11 those of the owner never are:
 * nothing says when a thief sees a store. */
static void settle(struct state *state, unsigned thread)
{
    const unsigned ended = state->seen.ended[thread];
    if (thread != 0 || model != WEAK_C11)
        order_settle(&state->guesses, thread, weak_settled(&state->threads[thread].weak, ended));
    if (state->guesses.count == 0)
        fail("no order of the operations explains what has been seen");
}

/* Why an operation changed nothing. Only steals that had an end took elements. In C11 a push may
 * see a top that has moved on. */
static void check_refusal(const struct state *state, unsigned thread)
{
    if (operation_of(state, thread).kind == ORDER_STEAL) {
        if (state->memory.cells[CELL_TOP] == state->threads[thread].log[0])
            fail("a steal was lost to nobody");
        return;
    }
    if (model == WEAK_C11)
        return;
    const unsigned in = results_elements(state, true) | filled_elements();
    const unsigned there = in & ~results_elements(state, false);
    if (__builtin_popcount(there) != TN_DEQUE_SLOTS)
        fail("a push was refused though there was room");
}

static void operation_end(struct state *state, unsigned thread, uint8_t result)
{
    struct thread *self = &state->threads[thread];
    if (result == ORDER_REFUSED)
        check_refusal(state, thread);
    const unsigned index = state->seen.ended[thread]++;
    state->seen.results[thread][index] = result;
    order_end(&state->guesses, &state->seen, thread);
    memset(self->log, 0, sizeof(self->log));
    self->logged = 0;
    settle(state, thread);
}

/* Brings the thread to the first access of its next operation. */
static void operation_begin(struct state *state, unsigned thread)
{
    struct thread *self = &state->threads[thread];
    uint8_t result;
    self->next = (struct weak_access){0};
    if (!thread_is_done(state, thread))
        EXPECT(operation_advance(self, operation_of(state, thread), &result));
}

static void step(struct state *state, unsigned thread, unsigned choice)
{
    struct thread *self = &state->threads[thread];
    if (self->logged == 0) {
        state->seen.started[thread]++;
        order_branch(&state->guesses, &program, &state->seen);
    }
    EXPECT(self->logged < LOG_MAX);
    self->log[self->logged++] =
        weak_do(model, &state->memory, &self->weak, self->next, state->seen.ended[thread], choice);
    uint8_t result;
    if (operation_advance(self, operation_of(state, thread), &result))
        return;
    operation_end(state, thread, result);
    operation_begin(state, thread);
}

/* ---- a child of fork ---- */

/* Takes everything out of the deque in run.memory; the elements as bits. */
static unsigned take_all(enum order_kind way)
{
    unsigned elements = 0;
    for (uint8_t got; (got = operation_run((struct order_operation){way, 0})) != 0;) {
        if ((elements & 1u << got) != 0)
            fail("after fork, an element is in the deque twice");
        elements |= 1u << got;
    }
    return elements;
}

static void check_child(const struct state *state, enum order_kind way)
{
    struct weak_memory memory = state->memory;
    unsigned frozen = 0;
    for (unsigned thread = 0; thread < THREADS; thread++) {
        struct weak_thread weak = state->threads[thread].weak;
        while (weak.count > 0)
            weak_drain(&memory, &weak, 0);
        frozen += state->threads[thread].logged > 0;
    }
    run.thread = NULL;
    run.memory = &memory;
    if (way == ORDER_POP && mutant != MUTANT_ADOPT_NOTHING)
        tn_deque_adopt(&deque);
    const unsigned got = take_all(way);
    const unsigned taken = results_elements(state, false);
    const unsigned there = (results_elements(state, true) | filled_elements()) & ~taken;
    if ((got & taken) != 0)
        fail("after fork, an element that was taken is still there");
    if ((unsigned)__builtin_popcount(there & ~got) > frozen)
        fail("after fork, more elements are missing than threads were frozen");
    if (way == ORDER_POP)
        for (uint8_t i = 1; i <= TN_DEQUE_SLOTS; i++)
            if (operation_run((struct order_operation){ORDER_PUSH, i}) != 1)
                fail("after fork, an empty deque refuses a new owner");
}

/* ---- the search ---- */

/* States that were gone through, by 128 bits of their contents, with the schedules from there on.
 * An open table; `low` 0 marks an empty place. */
struct known {
    uint64_t low, high;
    double schedules;
};

static struct {
    struct known *places;
    size_t room, count;
} known;

static struct known *known_place(uint64_t low, uint64_t high)
{
    size_t at = low & (known.room - 1);
    while (known.places[at].low != 0 &&
           (known.places[at].low != low || known.places[at].high != high))
        at = (at + 1) & (known.room - 1);
    return &known.places[at];
}

static void known_make(size_t room)
{
    known.places = calloc(room, sizeof(known.places[0]));
    EXPECT(known.places != NULL);
    known.room = room;
    known.count = 0;
}

static void known_put(struct known one)
{
    *known_place(one.low, one.high) = one;
    known.count++;
}

static void known_add(struct known one)
{
    if (2 * known.count >= known.room) {
        struct known *old = known.places;
        const size_t room = known.room;
        known_make(2 * room);
        for (size_t i = 0; i < room; i++)
            if (old[i].low != 0)
                known_put(old[i]);
        free(old);
    }
    known_put(one);
}

static uint64_t state_digest(const struct state *state, uint64_t digest)
{
    const unsigned char *bytes = (const unsigned char *)state;
    const size_t used =
        offsetof(struct state, guesses.all) + state->guesses.count * sizeof(state->guesses.all[0]);
    for (size_t at = 0; at < used; at += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, used - at < 8 ? used - at : 8);
        digest = contents_mix(digest ^ word);
    }
    return digest | 1;
}

static void check_end(const struct state *state)
{
    struct order_guesses guesses = state->guesses;
    for (unsigned thread = 0; thread < THREADS; thread++)
        order_settle(&guesses, thread, program.counts[thread]);
    uint8_t left[TN_DEQUE_SLOTS];
    unsigned count = 0;
    for (unsigned i = state->memory.cells[CELL_TOP]; i < state->memory.cells[CELL_BOTTOM]; i++) {
        if (count == TN_DEQUE_SLOTS) {
            fail("more elements than slots are left");
            return;
        }
        left[count++] = state->memory.cells[CELL_SLOTS + i % TN_DEQUE_SLOTS];
    }
    if (!order_leaves(&guesses, left, count))
        fail("what is left in the deque is not what was not taken");
}

/* The states on the way to the one that is looked at, each with the step that was made from it. */
static struct frame {
    struct state state;
    uint64_t low, high; /* its digests */
    double schedules;   /* from there on, as far as they were gone through */
    unsigned thread, way;
    struct weak_access made;
} frames[DEPTH_MAX];
static unsigned depth;

static void drain(struct state *state, unsigned thread, unsigned index, struct weak_access *made)
{
    struct weak_thread *weak = &state->threads[thread].weak;
    *made =
        (struct weak_access){WEAK_DRAIN, weak->stores[index].cell, weak->stores[index].value, 0, 0};
    weak_drain(&state->memory, weak, index);
    settle(state, thread);
}

/* Makes the frame's next step: a thread's next access, in each of its ways, then a store that may
 * leave its buffer. False: there is none any more. */
static bool frame_step(struct frame *frame, struct state *next)
{
    const struct state *state = &frame->state;
    for (; frame->thread < THREADS; frame->thread++, frame->way = 0) {
        const struct thread *self = &state->threads[frame->thread];
        const unsigned ways = thread_is_done(state, frame->thread)
                                  ? 0
                                  : weak_choices(model, &state->memory, &self->weak, self->next);
        if (frame->way < ways) {
            *next = *state;
            frame->made = self->next;
            step(next, frame->thread, frame->way++);
            return true;
        }
        while (frame->way - ways < self->weak.count) {
            const unsigned index = frame->way++ - ways;
            if (!weak_may_drain(model, &self->weak, index))
                continue;
            *next = *state;
            drain(next, frame->thread, index, &frame->made);
            return true;
        }
    }
    return false;
}

/* The state of frames[depth], which a step has made: its schedules if they are known, else it is
 * the next to be gone through, and the result is 0. */
static double frame_enter(void)
{
    struct frame *frame = &frames[depth];
    frame->low = state_digest(&frame->state, 1);
    frame->high = state_digest(&frame->state, 2);
    const struct known *place = known_place(frame->low, frame->high);
    if (place->low != 0)
        return place->schedules;
    frame->schedules = 0;
    frame->thread = frame->way = 0;
    depth++;
    EXPECT(depth < DEPTH_MAX);
    check_child(&frame->state, ORDER_POP);
    check_child(&frame->state, ORDER_STEAL);
    return 0;
}

/* All steps from the last frame's state were made; how many schedules that was. */
static double frame_leave(void)
{
    struct frame *frame = &frames[depth - 1];
    if (frame->schedules == 0) {
        check_end(&frame->state);
        frame->schedules = 1;
    }
    if (failure != NULL)
        return 0;
    known_add((struct known){frame->low, frame->high, frame->schedules});
    depth--;
    return frame->schedules;
}

/* Goes through all schedules from the state of frames[0]; how many. After a failure the frames are
 * the way to it. */
static double search(void)
{
    double schedules = 0;
    depth = 0;
    (void)frame_enter();
    while (depth > 0 && failure == NULL) {
        struct frame *frame = &frames[depth - 1];
        if (frame_step(frame, &frames[depth].state)) {
            if (failure == NULL)
                frame->schedules += frame_enter();
            continue;
        }
        schedules = frame_leave();
        if (depth > 0)
            frames[depth - 1].schedules += schedules;
    }
    return schedules;
}

/* ---- programs ---- */

static const char *const kind_names[] = {"push", "pop", "steal"};

static void program_print(void)
{
    for (unsigned thread = 0; thread < THREADS; thread++) {
        printf("  thread %u:", thread);
        for (unsigned i = 0; i < program.counts[thread]; i++) {
            const struct order_operation operation = program.operations[thread][i];
            printf(" %s", kind_names[operation.kind]);
            if (operation.kind == ORDER_PUSH)
                printf(" %u", operation.element);
        }
        printf("%s\n", thread == 0 && program.filled > 0 ? " (on a filled deque)" : "");
    }
}

static void trail_print(void)
{
    static const char *const names[] = {
        "load", "store", "exchange", "compare-and-swap", "overwrite", "leaves the buffer:"};
    for (unsigned i = 0; i < depth; i++) {
        const struct weak_access access = frames[i].made;
        printf("  %u: %s ", frames[i].thread, names[access.kind]);
        if (access.cell >= CELL_SLOTS)
            printf("slot %d", access.cell - CELL_SLOTS);
        else
            printf("%s", access.cell == CELL_TOP ? "top" : "bottom");
        printf(access.kind == WEAK_LOAD ? "\n" : " = %u\n", access.value);
    }
}

static void program_search(void)
{
    struct state *state = &frames[0].state;
    memset(state, 0, sizeof(*state));
    known_make(1u << 10);
    struct order_guess *guess = &state->guesses.all[0];
    state->guesses.count = 1;
    for (unsigned i = 0; i < TN_DEQUE_SLOTS; i++)
        weak_init(&state->memory, CELL_SLOTS + i, GARBAGE);
    for (unsigned i = 0; i < program.filled; i++) {
        guess->elements[i] = (uint8_t)(i + 1);
        weak_init(&state->memory, CELL_SLOTS + i, guess->elements[i]);
    }
    guess->count = (uint8_t)program.filled;
    weak_init(&state->memory, CELL_BOTTOM, guess->count);
    for (unsigned thread = 0; thread < THREADS; thread++)
        operation_begin(state, thread);
    totals.schedules += search();
    totals.states += known.count;
    free(known.places);
    totals.programs++;
}

/* The owner's operations are the digits of `code` to the base 3, one thief's number of steals each.
 */
static void program_try(unsigned filled, unsigned length, unsigned code, const uint8_t *steals)
{
    program = (struct order_program){.room = TN_DEQUE_SLOTS, .filled = filled, .counts = {length}};
    uint8_t element = (uint8_t)filled;
    for (unsigned i = 0; i < length; i++, code /= 3) {
        program.operations[0][i].kind = code % 3;
        if (code % 3 == ORDER_PUSH)
            program.operations[0][i].element = ++element;
    }
    for (unsigned thief = 0; thief + 1 < THREADS; thief++) {
        program.counts[thief + 1] = steals[thief];
        for (unsigned i = 0; i < steals[thief]; i++)
            program.operations[thief + 1][i].kind = ORDER_STEAL;
    }
    program_search();
}

/* Every program of up to `length` operations of the owner beside these steals, from every filling.
 */
static void programs_search(unsigned length, const uint8_t *steals)
{
    unsigned codes = 1;
    for (unsigned n = 1; n <= length; n++) {
        codes *= 3;
        for (unsigned filled = 0; filled <= TN_DEQUE_SLOTS; filled++)
            for (unsigned code = 0; code < codes && failure == NULL; code++)
                program_try(filled, n, code, steals);
    }
}

/* STEPS=1, 2 makes the owner's programs longer by as much; each takes about six times as long. */
static const struct {
    unsigned length;
    uint8_t steals[THREADS - 1];
} sizes[] = {{5, {0, 0}}, {5, {1, 0}}, {4, {2, 0}}, {3, {3, 0}},
             {4, {1, 1}}, {3, {2, 1}}, {2, {2, 2}}, {2, {3, 3}}};

/* Searches programs of all sizes. True: nothing is wrong. */
static bool search_all(enum weak_model on, enum mutant with)
{
    const unsigned more = (unsigned)environment_number("STEPS", 0);
    model = on;
    mutant = with;
    failure = NULL;
    memset(&totals, 0, sizeof(totals));
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && failure == NULL; i++)
        programs_search(sizes[i].length + more - SHORTER, sizes[i].steals);
    printf("%s, %s: %llu programs, %llu states, %.3g schedules: %s\n", model_names[on],
           mutant_names[with], (unsigned long long)totals.programs,
           (unsigned long long)totals.states, totals.schedules,
           failure == NULL ? "nothing wrong" : failure);
    if (failure != NULL)
        program_print();
    if (failure != NULL && with == MUTANT_NONE)
        trail_print();
    fflush(stdout);
    return failure == NULL;
}

int main(void)
{
    for (enum weak_model on = WEAK_TSO; on <= WEAK_C11; on++)
        EXPECT(search_all(on, MUTANT_NONE));
    for (enum mutant with = MUTANT_NONE + 1; with < MUTANTS; with++)
        EXPECT(!search_all(WEAK_C11, with));
    for (enum mutant with = MUTANT_NONE + 1; with < MUTANTS_C11; with++)
        EXPECT(!search_all(WEAK_PSO, with));
    /* x86 keeps the order of stores by itself: the models do differ. */
    EXPECT(search_all(WEAK_TSO, MUTANT_PUSH_RELAXED));
    EXPECT(!search_all(WEAK_TSO, MUTANT_POP_UNFENCED));
    return 0;
}
