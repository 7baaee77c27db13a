/* Every verb of the os floor that a resident budget needs fails at its n-th call: setting the
 * budget is refused and changes nothing, or its steps do less than they should; contents stay, and
 * once the faults stop the budget is kept. Nothing is leaked. */
#include "contents.h"
#include "os/os.h"
#include "os/os_fault.h"
#include "pool/budget.h"
#include "pool/pool.h"
#include "process.h"

#include <terrane/space.h>

#define RUN_BYTES (2 * TN_HUGE_BYTES)
#define RUNS      10
#define BUDGET    (4 * RUN_BYTES)
#define STEPS     20

/* Errors that a verb may return, from os.h. Ends with 0. */
static const struct {
    const char *verb;
    int errors[5];
} verb_errors[] = {
    {"allocate", {ENOMEM}},
    {"map_file", {ENOMEM, ENOTSUP}},
    {"resident", {ENOMEM}},
    {"unmap_pages", {ENOMEM, EBUSY}},
    {"mapped_pages", {ENOTSUP}},
    {"advise_huge", {ENOMEM, ENOTSUP}},
    {"file_resize", {ENOSPC, EFBIG, EIO, ENOMEM}},
    {"file_reserve", {ENOSPC, EIO, ENOMEM, ENOTSUP}},
    {"file_punch", {ENOTSUP, ENOSPC, EIO, ENOMEM}},
    {"file_cached", {ENOTSUP}},
    {"file_backed", {ENOTSUP}},
    {"file_write_out", {EIO, ENOSPC, ENOMEM, ENOTSUP}},
    {"file_drop", {ENOTSUP}},
};
#define VERBS (sizeof(verb_errors) / sizeof(verb_errors[0]))

struct life {
    struct terrane_space *space;
    char *runs[RUNS];
};
static struct life life;

static const char *scratch_dir(void)
{
    const char *dir = getenv("TMPDIR");
    return dir != NULL ? dir : "/tmp";
}

static int verb_named(const char *name)
{
    for (int verb = 0; verb < tn_fault_verb_count; verb++) {
        if (strcmp(tn_fault_verb_names[verb], name) == 0)
            return verb;
    }
    EXPECT_THAT(false, "%s is no verb", name);
    return -1;
}

static size_t resident_of_runs(void)
{
    unsigned char present[RUN_BYTES / 4096];
    size_t pages = 0;
    for (size_t i = 0; i < RUNS; i++) {
        if (life.runs[i] == NULL)
            continue;
        EXPECT(tn_os_resident(life.runs[i], RUN_BYTES, present) == 0);
        for (size_t page = 0; page < RUN_BYTES / tn_os_page_bytes(); page++)
            pages += present[page] & 1;
    }
    return pages * tn_os_page_bytes();
}

static void check_contents(void)
{
    for (size_t i = 0; i < RUNS; i++) {
        if (life.runs[i] != NULL)
            EXPECT_INTACT(life.runs[i], RUN_BYTES, i);
    }
}

/* At a time of its own, so that no rate is learnt and the same calls are made each time. */
static void step(void)
{
    static uint64_t now_ns = 1;
    (void)tn_budget_step(life.space, now_ns++);
}

/* ---- a life ---- */

static void begin(void)
{
    const struct terrane_space_options options = {
        .backing = TERRANE_BACKING_SCRATCH, .window_bytes = TN_GIB, .scratch_dir = scratch_dir()};
    EXPECT(terrane_space_create(&options, &life.space) == 0);
    memset(life.runs, 0, sizeof(life.runs));
}

static int set_budget(void)
{
    const int error = tn_budget_prepare(life.space);
    EXPECT(error <= 0);
    EXPECT(tn_budget_bytes(life.space) == 0);
    tn_budget_set(life.space, BUDGET);
    EXPECT(tn_budget_bytes(life.space) == (error == 0 ? BUDGET : 0));
    return error;
}

static void fill(void)
{
    const struct tn_wish wish = {.bytes = RUN_BYTES, .whole = true};
    for (size_t i = 0; i < RUNS; i++) {
        struct tn_run run;
        if (life.runs[i] != NULL || tn_pool_acquire(life.space, &wish, &run) != 0)
            continue;
        life.runs[i] = tn_block_addr(life.space, run.block);
        contents_write(life.runs[i], RUN_BYTES, i);
        step();
    }
}

static void step_and_check(void)
{
    for (unsigned i = 0; i < STEPS; i++)
        step();
}

/* All of it, with faults that stop in the middle; how often the verb was called by then. */
static long live(int verb, long nth, int error)
{
    begin();
    tn_fault_arm(verb, nth, error);
    const int refused = set_budget();
    fill();
    step_and_check();
    const long calls = tn_fault_calls(verb);
    tn_fault_disarm();
    check_contents();
    if (refused != 0)
        EXPECT(set_budget() == 0);
    fill();
    step_and_check();
    EXPECT_THAT(resident_of_runs() <= BUDGET, "%zu", resident_of_runs());
    check_contents();
    tn_space_audit(life.space);
    EXPECT(terrane_space_destroy(life.space) == 0);
    return calls;
}

static void try_verb(size_t which)
{
    const char *name = verb_errors[which].verb;
    const int verb = verb_named(name);
    const long calls = live(verb, 0x7fffffff, ENOMEM);
    printf("%ld calls of %s\n", calls, name);
    EXPECT(calls > 0 || strcmp(name, "file_cached") == 0); /* kernels before 6.5 */
    const size_t addresses = status_bytes("VmSize:");
    const size_t descriptors = descriptors_count();
    for (const int *error = verb_errors[which].errors; *error != 0; error++) {
        (void)live(verb, 0, *error);
        for (long nth = 1; nth <= calls; nth += nth < 4 ? 1 : 1 + calls / 4)
            (void)live(verb, nth, *error);
    }
    EXPECT_THAT(status_bytes("VmSize:") == addresses, "from %zu to %zu bytes", addresses,
                status_bytes("VmSize:"));
    EXPECT(descriptors_count() == descriptors);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 4096);
    begin();
    const int error = tn_budget_prepare(life.space);
    EXPECT(terrane_space_destroy(life.space) == 0);
    if (error == -ENOTSUP)
        test_skip("%s is not on a disk", scratch_dir());
    EXPECT(error == 0);
    for (size_t which = 0; which < VERBS; which++)
        try_verb(which);
    return 0;
}
