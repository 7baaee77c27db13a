/* For every verb of the os floor and every n: the n-th call in a fixed workload fails, with the
 * likeliest error that the verb may return, and a sample of calls with each of the others. The call
 * that needed it says so or finds another way, all structures pass their audit, contents and
 * addresses are as before, nothing is leaked (addresses, descriptors), and the workload passes once
 * the faults stop. */
#ifndef TEST_FAULT_CALLS_H
#define TEST_FAULT_CALLS_H

#include "fault_errors.h"
#include "fault_workload.h"
#include "os/os_fault.h"
#include "process.h"

static const char *scratch_dir;

struct fault {
    enum terrane_backing backing;
    int verb;
    long nth; /* 0: every call */
    int error;
};

static struct workload work;

/* One life of the workload with a fault in it. */
static void live_through(const struct fault *fault)
{
    workload_start(&work, fault->backing, scratch_dir);
    tn_fault_arm(fault->verb, fault->nth, fault->error);
    (void)workload_pass(&work);
    tn_fault_disarm();
    const unsigned refusals = workload_pass(&work);
    EXPECT_THAT(refusals == 0, "%u refusals after the fault of %s", refusals,
                tn_fault_verb_names[fault->verb]);
    workload_end(&work);
}

/* In a process that has lived through the workload before: what is left behind would show. */
static void without_leaks(void *context)
{
    const struct fault *fault = context;
    const size_t addresses = status_bytes("VmSize:");
    const size_t descriptors = descriptors_count();
    live_through(fault);
    /* A refused release leaves its addresses behind: there is no other way to obey. */
    EXPECT_THAT(status_bytes("VmSize:") == addresses ||
                    strcmp(tn_fault_verb_names[fault->verb], "release") == 0,
                "from %zu to %zu bytes", addresses, status_bytes("VmSize:"));
    EXPECT_THAT(descriptors_count() == descriptors, "from %zu to %zu", descriptors,
                descriptors_count());
}

/* In a process where nothing of the library has run yet. */
static void from_the_start(void *context)
{
    live_through(context);
}

static unsigned failures;

static void judge(const struct fault *fault, const char *how, int status)
{
    if (status == 0)
        return;
    fprintf(stderr, "%s %s, call %ld, error %d: wait status 0x%x\n", how,
            tn_fault_verb_names[fault->verb], fault->nth, fault->error, (unsigned)status);
    failures++;
}

static bool warm; /* this process has lived through the workload */

static void try_fault(const struct fault *fault)
{
    struct fault copy = *fault;
    if (warm)
        judge(fault, "later", child_run(without_leaks, &copy));
    else
        judge(fault, "at the start", child_run(from_the_start, &copy));
}

/* How often the workload calls a verb, counted in a child. */
static long calls_of(enum terrane_backing backing, int verb)
{
    int ends[2];
    long calls = -1;
    EXPECT(pipe(ends) == 0);
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        workload_start(&work, backing, scratch_dir);
        tn_fault_arm(verb, -1, 0);
        EXPECT(workload_pass(&work) == 0);
        workload_end(&work);
        calls = tn_fault_calls(verb);
        _Exit(write(ends[1], &calls, sizeof(calls)) == (ssize_t)sizeof(calls) ? 0 : 1);
    }
    EXPECT_CHILD_PASSED(pid);
    EXPECT(read(ends[0], &calls, sizeof(calls)) == (ssize_t)sizeof(calls));
    close(ends[0]);
    close(ends[1]);
    return calls;
}

static void try_verb(enum terrane_backing backing, int verb)
{
    const long calls = calls_of(backing, verb);
    if (calls == 0)
        return;
    printf("%ld calls of %s\n", calls, tn_fault_verb_names[verb]);
    const int *const errors = errors_of(verb);
    for (const int *error = errors; *error != 0; error++) {
        try_fault(&(const struct fault){backing, verb, 0, *error});
        for (long nth = 1; nth <= calls; nth += error == errors || nth < 8 ? 1 : 8)
            try_fault(&(const struct fault){backing, verb, nth, *error});
    }
}

static void try_all(enum terrane_backing backing)
{
    for (int verb = 0; verb < tn_fault_verb_count; verb++)
        try_verb(backing, verb);
}

/* The test program's exit status. */
static inline int fault_calls_run(enum terrane_backing backing)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    scratch_dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* disks make it slow */
    try_all(backing);
    workload_start(&work, backing, scratch_dir);
    EXPECT(workload_pass(&work) == 0);
    workload_end(&work);
    warm = true;
    try_all(backing);
    EXPECT_THAT(failures == 0, "%u faults", failures);
    return 0;
}

#endif
