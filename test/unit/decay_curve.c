/* What may stay of idle memory, on a clock of our own: the curve, what is used again and again,
 * odd clocks, and random histories against a model that keeps the birth of everything. */
#include "base/base.h"
#include "pool/decay.h"
#include "seeds.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIME_NS  ((uint64_t)1000000000)
#define EPOCH_NS (TIME_NS / TN_DECAY_STEPS)
#define START_NS ((uint64_t)77777777777)
#define BYTES    ((uint64_t)512 * TN_MIB)

/* Rounding of each epoch and cohort, in bytes. */
#define ROUNDING (2 * TN_DECAY_STEPS)

/* The curve at a share of the decay time. */
static double ideal(double x)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 1 : 0;
    return 1 - x * x * x * (10 - 15 * x + 6 * x * x);
}

/* A decay and the idle memory that it judges. */
struct memory {
    struct tn_decay decay;
    uint64_t idle_bytes;
    uint64_t now_ns;
};

static struct memory memory_make(uint64_t time_ns, uint64_t now_ns)
{
    struct memory memory = {.now_ns = now_ns};
    tn_decay_init(&memory.decay, time_ns, now_ns);
    return memory;
}

static uint64_t look(struct memory *memory)
{
    const uint64_t allowed = tn_decay_allowed(&memory->decay, memory->now_ns, memory->idle_bytes);
    assert_true(allowed <= memory->idle_bytes);
    return allowed;
}

static void change(struct memory *memory, uint64_t idle_bytes)
{
    memory->idle_bytes = idle_bytes;
    tn_decay_note(&memory->decay, idle_bytes);
}

static void purge(struct memory *memory, uint64_t bytes)
{
    tn_decay_purged(&memory->decay, bytes);
    change(memory, memory->idle_bytes - bytes);
}

/* Looks, and gives back what may not stay. */
static uint64_t look_and_purge(struct memory *memory)
{
    purge(memory, memory->idle_bytes - look(memory));
    return memory->idle_bytes;
}

static double age_of(const struct memory *memory, uint64_t since_ns)
{
    return (double)(memory->now_ns - since_ns) / (double)TIME_NS;
}

/* ---- the curve ---- */

/* What came at once fades along the curve, a step early or late at most. */
static void follow_curve(uint64_t come_ns, bool purges)
{
    struct memory memory = memory_make(TIME_NS, START_NS);
    memory.now_ns = come_ns;
    change(&memory, BYTES);
    uint64_t before = look(&memory);
    assert_int_equal(before, BYTES);
    const double step = 1.0 / TN_DECAY_STEPS;
    for (unsigned steps = 0; before != 0; steps++) {
        assert_true(steps <= TN_DECAY_STEPS);
        memory.now_ns = tn_decay_next(&memory.decay, memory.idle_bytes);
        const uint64_t after = purges ? look_and_purge(&memory) : look(&memory);
        const double age = age_of(&memory, come_ns);
        assert_true(after <= before);
        assert_true((double)after <= ideal(age - step) * (double)BYTES + ROUNDING);
        assert_true((double)after >= ideal(age + step) * (double)BYTES - ROUNDING);
        before = after;
    }
    assert_true(memory.now_ns <= come_ns + TIME_NS);
    assert_int_equal(tn_decay_next(&memory.decay, purges ? 0 : BYTES) == 0, purges);
}

static void test_curve(void **state)
{
    (void)state;
    for (uint64_t part = 0; part < 8; part++) {
        follow_curve(START_NS + part * EPOCH_NS / 8, false);
        follow_curve(START_NS + part * EPOCH_NS / 8, true);
    }
}

/* Half is gone after half the time and all after all of it, to the byte where epochs end then. */
static void test_halves(void **state)
{
    (void)state;
    struct memory memory = memory_make(TIME_NS, START_NS);
    change(&memory, BYTES);
    (void)look(&memory);
    memory.now_ns = START_NS + TIME_NS / 2;
    assert_int_equal(look_and_purge(&memory), BYTES / 2);
    memory.now_ns = START_NS + TIME_NS - 1;
    assert_in_range(look_and_purge(&memory), 1, BYTES / 1000);
    memory.now_ns = START_NS + TIME_NS;
    assert_int_equal(look_and_purge(&memory), 0);
}

/* One look after a sleep says what many in time say. */
static void test_sleeps(void **state)
{
    (void)state;
    for (uint64_t epochs = 1; epochs <= TN_DECAY_STEPS; epochs++) {
        struct memory often = memory_make(TIME_NS, START_NS);
        change(&often, BYTES);
        (void)look(&often);
        struct memory once = often;
        for (uint64_t epoch = 0; epoch < epochs; epoch++) {
            often.now_ns += EPOCH_NS;
            (void)look_and_purge(&often);
        }
        once.now_ns = often.now_ns;
        assert_in_range(look(&once), often.idle_bytes, often.idle_bytes + ROUNDING);
    }
}

/* What comes after a long sleep without anything idle is young. */
static void test_late_comers(void **state)
{
    (void)state;
    struct memory memory = memory_make(TIME_NS, START_NS);
    memory.now_ns += 1000 * TIME_NS + EPOCH_NS / 3;
    change(&memory, BYTES);
    assert_true(look(&memory) >= BYTES - BYTES / 1000);
    memory.now_ns += TIME_NS;
    assert_int_equal(look_and_purge(&memory), 0);
}

/* ---- use ---- */

/* What is acquired and released in every epoch never fades; what nobody wants beside it does. */
static void test_hot_pair(void **state)
{
    (void)state;
    struct memory memory = memory_make(TIME_NS, START_NS);
    change(&memory, BYTES + 2 * TN_MIB);
    for (unsigned epoch = 0; epoch < 10 * TN_DECAY_STEPS; epoch++) {
        for (unsigned pair = 0; pair < 3; pair++) {
            change(&memory, memory.idle_bytes - 2 * TN_MIB);
            change(&memory, memory.idle_bytes + 2 * TN_MIB);
            memory.now_ns += EPOCH_NS / 3 + 1;
            /* the share of the first epoch, 10 / steps^3, is less than a page */
            assert_true(look_and_purge(&memory) >= 2 * TN_MIB - TN_MIB / 1024);
            change(&memory, tn_max(memory.idle_bytes, 2 * TN_MIB));
        }
    }
    assert_true(memory.idle_bytes <= 2 * TN_MIB);
}

/* Taking halves what may stay of a cohort and leaves its age alone. */
static void test_partly_taken(void **state)
{
    (void)state;
    struct memory memory = memory_make(TIME_NS, START_NS);
    change(&memory, BYTES);
    (void)look(&memory);
    memory.now_ns += TIME_NS / 4;
    (void)look_and_purge(&memory);
    change(&memory, memory.idle_bytes / 2);
    memory.now_ns += TIME_NS / 4;
    assert_in_range(look(&memory), BYTES / 4 - ROUNDING, BYTES / 4 + ROUNDING);
}

/* What goes to the kernel between two looks is the oldest, whatever was wanted before. */
static void test_purged_between_looks(void **state)
{
    (void)state;
    struct memory memory = memory_make(TIME_NS, START_NS);
    change(&memory, 100 * TN_MIB);
    (void)look(&memory);
    memory.now_ns += EPOCH_NS;
    const uint64_t old = look(&memory);
    purge(&memory, memory.idle_bytes - old);
    change(&memory, old - 50 * TN_MIB);
    change(&memory, old);
    purge(&memory, 30 * TN_MIB);
    (void)look(&memory);
    memory.now_ns = START_NS + TIME_NS / 2;
    const double now = ideal(0.5), then = ideal(1.0 / TN_DECAY_STEPS);
    const double left = (double)(old - 80 * TN_MIB) * now / then +
                        (double)(50 * TN_MIB) * ideal(0.5 - 1.0 / TN_DECAY_STEPS);
    assert_true(fabs((double)look(&memory) - left) <= ROUNDING);
}

/* ---- odd times ---- */

static void test_at_once_and_never(void **state)
{
    (void)state;
    struct memory memory = memory_make(TN_DECAY_AT_ONCE, START_NS);
    change(&memory, BYTES);
    assert_int_equal(look(&memory), 0);
    assert_int_equal(tn_decay_next(&memory.decay, BYTES), 0);
    memory = memory_make(TN_DECAY_NEVER, START_NS);
    change(&memory, BYTES);
    memory.now_ns = UINT64_MAX;
    assert_int_equal(look(&memory), BYTES);
    assert_int_equal(tn_decay_next(&memory.decay, BYTES), 0);
}

/* Times and counts at the ends of their range. */
static void test_extremes(void **state)
{
    (void)state;
    struct memory memory = memory_make(UINT64_MAX - 1, 0);
    change(&memory, UINT64_MAX);
    assert_int_equal(look(&memory), UINT64_MAX);
    memory.now_ns = UINT64_MAX / 2;
    assert_in_range(look(&memory), UINT64_MAX / 2 - UINT64_MAX / 16,
                    UINT64_MAX / 2 + UINT64_MAX / 16);
    memory.now_ns = UINT64_MAX;
    assert_int_equal(look(&memory), 0);
    assert_int_equal(tn_decay_next(&memory.decay, 1), UINT64_MAX);
    memory = memory_make(1, UINT64_MAX - 2);
    change(&memory, BYTES);
    assert_int_equal(look(&memory), BYTES);
    memory.now_ns = UINT64_MAX;
    assert_true(look(&memory) < BYTES);
}

/* A clock that runs backwards keeps memory, but not for ever. */
static void test_backwards(void **state)
{
    (void)state;
    struct memory memory = memory_make(TIME_NS, UINT64_MAX - TIME_NS);
    change(&memory, BYTES);
    (void)look(&memory);
    memory.now_ns = START_NS;
    assert_int_equal(look(&memory), BYTES);
    memory.now_ns += TIME_NS;
    assert_int_equal(look(&memory), 0);
}

/* ---- the model ---- */

#define EPOCHS_MAX 4000

/* Idle bytes by the epoch that they came in, and what of them may still stay. Epoch by epoch, no
 * low marks. */
struct model {
    double stay[EPOCHS_MAX];
    double overdue;
    unsigned epoch;
};

static void model_advance(struct model *model, unsigned epoch)
{
    assert_true(epoch < EPOCHS_MAX);
    for (; model->epoch < epoch; model->epoch++) {
        for (unsigned born = 0; born <= model->epoch; born++) {
            const double age = model->epoch - born;
            const double now = ideal(age / TN_DECAY_STEPS);
            const double then = ideal((age + 1) / TN_DECAY_STEPS);
            const double left = now > 0 ? model->stay[born] * then / now : 0;
            model->overdue += model->stay[born] - left;
            model->stay[born] = left;
        }
    }
}

static double model_take_from(double *from, double bytes)
{
    const double taken = bytes < *from ? bytes : *from;
    *from -= taken;
    return bytes - taken;
}

static void model_take(struct model *model, double bytes)
{
    for (unsigned born = model->epoch + 1; born-- > 0;)
        bytes = model_take_from(&model->stay[born], bytes);
    (void)model_take_from(&model->overdue, bytes);
}

static void model_purge(struct model *model, double bytes)
{
    bytes = model_take_from(&model->overdue, bytes);
    for (unsigned born = 0; born <= model->epoch; born++)
        bytes = model_take_from(&model->stay[born], bytes);
}

static void assert_agree(struct memory *memory, struct model *model)
{
    model_advance(model, (unsigned)((memory->now_ns - START_NS) / EPOCH_NS));
    const double stay = (double)memory->idle_bytes - model->overdue;
    const double allowed = (double)look(memory);
    assert_true(fabs(allowed - stay) <= 4 * ROUNDING * TN_DECAY_STEPS);
}

static void random_step(struct memory *memory, struct model *model, struct seeds *seeds)
{
    memory->now_ns += seeds_below(seeds, seeds_chance(seeds, 10) ? 40 * EPOCH_NS : EPOCH_NS);
    assert_agree(memory, model);
    const uint64_t bytes = seeds_below(seeds, BYTES / 8);
    const unsigned kind = (unsigned)seeds_below(seeds, 4);
    if (kind == 0) {
        model->stay[model->epoch] += (double)bytes;
        change(memory, memory->idle_bytes + bytes);
    } else if (kind == 1) {
        const uint64_t taken = tn_min(bytes, memory->idle_bytes);
        model_take(model, (double)taken);
        change(memory, memory->idle_bytes - taken);
    } else if (kind == 2) {
        const uint64_t purged = memory->idle_bytes - look(memory);
        model_purge(model, (double)purged);
        purge(memory, purged);
    }
    assert_agree(memory, model);
}

static void test_histories(void **state)
{
    (void)state;
    static struct model model;
    const uint64_t seed = seeds_announce("decay_curve");
    for (uint64_t history = 0; history < 40; history++) {
        struct seeds seeds = seeds_stream(seed, history);
        struct memory memory = memory_make(TIME_NS, START_NS);
        model = (struct model){0};
        for (unsigned step = 0; step < 500; step++)
            random_step(&memory, &model, &seeds);
        assert_true(model.epoch > 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_curve),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_sleeps),
        cmocka_unit_test(test_late_comers),
        cmocka_unit_test(test_hot_pair),
        cmocka_unit_test(test_partly_taken),
        cmocka_unit_test(test_purged_between_looks),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_at_once_and_never),
        cmocka_unit_test(test_backwards),
        cmocka_unit_test(test_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
