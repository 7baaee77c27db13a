/* A simulated memory of a few small cells that is as weak as some machine or language allows:
 *
 * TSO   what x86 does: stores of a thread wait in a buffer, oldest first, before others see them;
 * PSO   the same, but stores to different cells leave in any order unless a release is behind them;
 * C11   every store to a cell is kept. A thread has a view, the oldest store of each cell that it
 *       may still read; a release sends the view along with the store, an acquire takes it over.
 *       Sequentially consistent accesses to a cell never see less than those before them did.
 *
 * In C11, accesses of a thread take place in the order of the program: that a load is done after a
 * later store, which compilers and some machines may do, is not among what it shows.
 *
 * All is plain data, so a search can copy a memory and go on from it in two ways. */
#ifndef TEST_WEAK_MEMORY_H
#define TEST_WEAK_MEMORY_H

#include "expect.h"

#include <stdatomic.h>

#define WEAK_CELLS    4
#define WEAK_STORES   8  /* in a buffer */
#define WEAK_VERSIONS 16 /* of a cell */

enum weak_model { WEAK_TSO, WEAK_PSO, WEAK_C11 };

enum weak_kind {
    WEAK_LOAD,
    WEAK_STORE,
    WEAK_EXCHANGE,
    WEAK_CAS,       /* compare and swap; its result is 1 or 0 */
    WEAK_OVERWRITE, /* a store that takes itself for a successful WEAK_CAS */
    WEAK_DRAIN,     /* a store leaves its buffer */
};

#define WEAK_ACQUIRE 1u
#define WEAK_RELEASE 2u
#define WEAK_SEQ_CST 4u

struct weak_access {
    uint8_t kind, cell, value, expected;
    uint8_t order; /* WEAK_ACQUIRE and so on */
};

struct weak_version {
    uint8_t value;
    uint8_t view[WEAK_CELLS]; /* what an acquire learns from it */
};

struct weak_memory {
    uint8_t cells[WEAK_CELLS];  /* the latest values */
    uint8_t latest[WEAK_CELLS]; /* C11, from here on: the latest version of each */
    uint8_t agreed[WEAK_CELLS]; /* the version that the last seq_cst access to it saw or made */
    struct weak_version versions[WEAK_CELLS][WEAK_VERSIONS];
};

struct weak_store {
    uint8_t cell, value;
    uint8_t operation; /* the caller's mark */
    bool release;
};

struct weak_thread {
    uint8_t count; /* of stores in its buffer, oldest first; unused ones are zero */
    struct weak_store stores[WEAK_STORES];
    uint8_t view[WEAK_CELLS]; /* C11 */
};

static inline uint8_t weak_order(memory_order order)
{
    switch (order) {
    case memory_order_relaxed:
        return 0;
    case memory_order_release:
        return WEAK_RELEASE;
    case memory_order_acq_rel:
        return WEAK_ACQUIRE | WEAK_RELEASE;
    case memory_order_seq_cst:
        return WEAK_ACQUIRE | WEAK_RELEASE | WEAK_SEQ_CST;
    default:
        return WEAK_ACQUIRE;
    }
}

/* Before the first access: what is in a cell. */
static inline void weak_init(struct weak_memory *memory, unsigned cell, uint8_t value)
{
    memory->cells[cell] = memory->versions[cell][0].value = value;
}

/* ---- C11 ---- */

static inline void weak_learn(uint8_t *view, const uint8_t *other)
{
    for (unsigned cell = 0; cell < WEAK_CELLS; cell++)
        view[cell] = view[cell] > other[cell] ? view[cell] : other[cell];
}

static inline unsigned weak_oldest(const struct weak_memory *memory,
                                   const struct weak_thread *thread, struct weak_access access)
{
    const uint8_t seen = thread->view[access.cell], agreed = memory->agreed[access.cell];
    return (access.order & WEAK_SEQ_CST) != 0 && agreed > seen ? agreed : seen;
}

static inline void weak_agree(struct weak_memory *memory, struct weak_access access,
                              uint8_t version)
{
    if ((access.order & WEAK_SEQ_CST) != 0 && version > memory->agreed[access.cell])
        memory->agreed[access.cell] = version;
}

static inline uint8_t weak_see(struct weak_memory *memory, struct weak_thread *thread,
                               struct weak_access access, uint8_t version)
{
    const struct weak_version *seen = &memory->versions[access.cell][version];
    thread->view[access.cell] = version;
    if ((access.order & WEAK_ACQUIRE) != 0)
        weak_learn(thread->view, seen->view);
    weak_agree(memory, access, version);
    return seen->value;
}

/* A new version. One that replaces what it has read, `from`, passes on what that sent along. */
static inline void weak_append(struct weak_memory *memory, struct weak_thread *thread,
                               struct weak_access access, const struct weak_version *from)
{
    const uint8_t version = ++memory->latest[access.cell];
    EXPECT(version < WEAK_VERSIONS);
    struct weak_version *made = &memory->versions[access.cell][version];
    memory->cells[access.cell] = made->value = access.value;
    thread->view[access.cell] = made->view[access.cell] = version;
    if ((access.order & WEAK_RELEASE) != 0)
        weak_learn(made->view, thread->view);
    if (from != NULL)
        weak_learn(made->view, from->view);
    weak_agree(memory, access, version);
}

static inline uint8_t weak_do_c11(struct weak_memory *memory, struct weak_thread *thread,
                                  struct weak_access access, unsigned choice)
{
    const uint8_t latest = memory->latest[access.cell];
    const struct weak_version *from = &memory->versions[access.cell][latest];
    if (access.kind == WEAK_LOAD)
        return weak_see(memory, thread, access,
                        (uint8_t)(weak_oldest(memory, thread, access) + choice));
    if (access.kind == WEAK_STORE || access.kind == WEAK_OVERWRITE) {
        weak_append(memory, thread, access, NULL);
        return 1;
    }
    if (access.kind == WEAK_CAS && memory->cells[access.cell] != access.expected)
        return 0;
    (void)weak_see(memory, thread, access, latest);
    weak_append(memory, thread, access, from);
    return 1;
}

/* ---- buffers ---- */

/* A thread sees its own stores at once. */
static inline uint8_t weak_newest(const struct weak_memory *memory,
                                  const struct weak_thread *thread, unsigned cell)
{
    for (unsigned i = thread->count; i-- > 0;) {
        if (thread->stores[i].cell == cell)
            return thread->stores[i].value;
    }
    return memory->cells[cell];
}

static inline uint8_t weak_do_buffered(struct weak_memory *memory, struct weak_thread *thread,
                                       struct weak_access access, uint8_t operation)
{
    if (access.kind == WEAK_LOAD)
        return weak_newest(memory, thread, access.cell);
    if (access.kind == WEAK_STORE || access.kind == WEAK_OVERWRITE) {
        thread->stores[thread->count++] = (struct weak_store){access.cell, access.value, operation,
                                                              (access.order & WEAK_RELEASE) != 0};
        return 1;
    }
    if (access.kind == WEAK_CAS && memory->cells[access.cell] != access.expected)
        return 0;
    memory->cells[access.cell] = access.value;
    return 1;
}

/* Whether the store may reach memory before the older ones of its buffer. */
static inline bool weak_may_drain(enum weak_model model, const struct weak_thread *thread,
                                  unsigned index)
{
    if (index > 0 && (model == WEAK_TSO || thread->stores[index].release))
        return false;
    for (unsigned i = 0; i < index; i++) {
        if (thread->stores[i].cell == thread->stores[index].cell)
            return false;
    }
    return true;
}

static inline void weak_drain(struct weak_memory *memory, struct weak_thread *thread,
                              unsigned index)
{
    memory->cells[thread->stores[index].cell] = thread->stores[index].value;
    thread->count--;
    memmove(&thread->stores[index], &thread->stores[index + 1],
            (thread->count - index) * sizeof(thread->stores[0]));
    thread->stores[thread->count] = (struct weak_store){0};
}

/* ---- any model ---- */

/* In how many ways the access can take place now: locked ones wait until the thread's own stores
 * are in memory, stores for a place in the buffer; a load may see several versions. */
static inline unsigned weak_choices(enum weak_model model, const struct weak_memory *memory,
                                    const struct weak_thread *thread, struct weak_access access)
{
    if (access.kind == WEAK_LOAD && model == WEAK_C11)
        return memory->latest[access.cell] - weak_oldest(memory, thread, access) + 1;
    if (access.kind == WEAK_EXCHANGE || access.kind == WEAK_CAS)
        return thread->count == 0;
    return access.kind == WEAK_LOAD || thread->count < WEAK_STORES;
}

/* Does the access in one of these ways. The result is what was loaded, or 1 if it was done. */
static inline uint8_t weak_do(enum weak_model model, struct weak_memory *memory,
                              struct weak_thread *thread, struct weak_access access,
                              uint8_t operation, unsigned choice)
{
    return model == WEAK_C11 ? weak_do_c11(memory, thread, access, choice)
                             : weak_do_buffered(memory, thread, access, operation);
}

/* How many of the thread's first `count` operations are over for everybody: their stores have left
 * the buffer. */
static inline unsigned weak_settled(const struct weak_thread *thread, unsigned count)
{
    for (unsigned i = 0; i < thread->count; i++) {
        if (thread->stores[i].operation < count)
            count = thread->stores[i].operation;
    }
    return count;
}

#endif
