/* The profiler's outside: sampling, stacks, locking and the switch; see profile.h.
 *
 * The stack is taken by glibc's backtrace, which reads unwind tables and so needs no frame
 * pointers. Its first call loads libgcc_s and allocates; tn_profile_init makes that call. After it,
 * unwinding takes no lock of the malloc, and a thread that is inside the profiler is not sampled
 * again.
 *
 * A free of an object that was not sampled must cost next to nothing, because there are thousands
 * for each sample. `filter` counts, for each hash of an address, the samples with that hash; zero
 * means "no sample". An object's free comes after its allocation in program order, or in another
 * thread that learnt of it by some synchronisation, so relaxed accesses see the count. */
#include "profile.h"

#include "base/base.h"
#include "os/os.h"
#include "profile_table.h"
#include "profile_write.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define FILTER_SIZE    ((size_t)32768)
#define OWN_FRAMES_MAX 16u
#define PATH_BYTES     4096

static struct tn_lock lock = TN_LOCK_INIT(TN_RANK_PROFILE); /* guards the tables; leaf */
static bool active;                                         /* set before threads exist */
static size_t interval_mean;
static char path[PATH_BYTES];
static _Atomic uint32_t filter[FILTER_SIZE];
static uintptr_t own_start; /* where the code of the drop-in lies; empty if it is in the program */
static uintptr_t own_end;
static __thread bool inside;
static __thread uint64_t random_state;

static _Atomic uint32_t *filter_of(const void *object)
{
    return &filter[((uintptr_t)object >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 49];
}

/* xorshift64*, upper half; each thread has its own seed from the kernel. */
static uint32_t uniform32(void)
{
    if (TN_UNLIKELY(random_state == 0)) {
        tn_os_random(&random_state, sizeof(random_state));
        random_state |= 1;
    }
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* An exponential variate with mean 2^32, by von Neumann's method, which needs comparisons only and
 * is exact: of falling runs of uniform numbers, those of odd length keep their first number, and
 * each run of even length before adds one to the whole part. */
static uint64_t exponential(void)
{
    for (uint64_t whole = 0;; whole++) {
        const uint32_t first = uniform32();
        uint32_t last = first;
        unsigned length = 1;
        for (uint32_t next = uniform32(); next < last; next = uniform32()) {
            last = next;
            length++;
        }
        if (length % 2 == 1)
            return whole << 32 | first;
    }
}

size_t tn_profile_interval(void)
{
    const uint64_t x = exponential();
    const uint64_t whole = (x >> 32) * interval_mean;
    return 1 + (size_t)(whole + ((x & UINT32_MAX) * interval_mean >> 32));
}

/* ---- stacks ---- */

/* Finds the shared library that this code is in. The first entry is the program: a drop-in linked
 * into it cannot be told from it by addresses. */
static int find_own_library(struct dl_phdr_info *info, size_t size, void *is_program)
{
    (void)size;
    const bool program = *(bool *)is_program;
    *(bool *)is_program = false;
    const uintptr_t here = (uintptr_t)&find_own_library;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD || here < start || here - start >= segment->p_memsz)
            continue;
        own_start = program ? 0 : start;
        own_end = program ? 0 : start + segment->p_memsz;
        return 1;
    }
    return 0;
}

/* How many of the innermost frames are the malloc's own: nobody looks for those in a profile. */
static uint32_t own_frames(void *const *frames, uint32_t depth)
{
    uint32_t count = 0;
    while (count + 1 < depth && count < OWN_FRAMES_MAX && (uintptr_t)frames[count] >= own_start &&
           (uintptr_t)frames[count] < own_end)
        count++;
    return count;
}

/* ---- samples ---- */

static void sample_record(void *object, size_t size, void *const *frames, uint32_t depth)
{
    tn_lock_acquire(&lock);
    struct tn_profile_site *site = tn_profile_site_get(frames, depth, size);
    if (site != NULL && tn_profile_live_insert(object, size, site))
        atomic_fetch_add_explicit(filter_of(object), 1, memory_order_relaxed);
    tn_lock_release(&lock);
}

void tn_profile_alloc(void *object, size_t size)
{
    if (!active || inside || object == NULL)
        return;
    inside = true;
    const int saved_errno = errno;
    void *frames[TN_PROFILE_DEPTH];
    const int depth = backtrace(frames, TN_PROFILE_DEPTH);
    if (depth > 0) {
        const uint32_t own = own_frames(frames, (uint32_t)depth);
        sample_record(object, size, frames + own, (uint32_t)depth - own);
    }
    errno = saved_errno;
    inside = false;
}

void tn_profile_free(void *object)
{
    if (!active || atomic_load_explicit(filter_of(object), memory_order_relaxed) == 0)
        return;
    tn_lock_acquire(&lock);
    if (tn_profile_live_remove(object))
        atomic_fetch_sub_explicit(filter_of(object), 1, memory_order_relaxed);
    tn_lock_release(&lock);
}

/* ---- start, fork, end ---- */

void tn_profile_init(const char *file, size_t interval_bytes)
{
    tn_assert(!active);
    if (strlen(file) >= sizeof(path) - 16) {
        tn_warn("no heap profile: its file name is too long");
        return;
    }
    memcpy(path, file, strlen(file) + 1);
    interval_mean = tn_min(tn_max(interval_bytes, 1), UINT32_MAX);
    void *frames[TN_PROFILE_DEPTH];
    (void)backtrace(frames, TN_PROFILE_DEPTH);
    bool is_program = true;
    (void)dl_iterate_phdr(find_own_library, &is_program);
    active = tn_profile_table_init();
    if (!active)
        tn_warn("no heap profile: no memory for it");
}

bool tn_profile_active(void)
{
    return active;
}

/* Whether this process is the one that the user named the file for. */
static bool is_main_process(void)
{
    const char *main_pid = secure_getenv("TERRANE_PROFILE_MAIN");
    return main_pid != NULL && strtol(main_pid, NULL, 10) == tn_os_process_id();
}

void tn_profile_dump(void)
{
    if (!active)
        return;
    char own_path[PATH_BYTES];
    if (is_main_process())
        tn_format(own_path, sizeof(own_path), "%s", path);
    else
        tn_format(own_path, sizeof(own_path), "%s.%d", path, tn_os_process_id());
    const int saved_errno = errno;
    /* Held over writing: samples wait, all other calls go on. */
    tn_lock_acquire(&lock);
    const int error = tn_profile_write(own_path, interval_mean);
    tn_lock_release(&lock);
    if (error != 0)
        tn_warn("cannot write the heap profile %s: %s", own_path, strerrordesc_np(-error));
    errno = saved_errno;
}

void tn_profile_fork_prepare(void)
{
    if (active)
        tn_lock_fork_take(&lock);
}

void tn_profile_fork_parent(void)
{
    if (active)
        tn_lock_fork_give(&lock);
}

void tn_profile_fork_child(void)
{
    if (active)
        tn_lock_fork_give(&lock);
    random_state = 0; /* parent and child must not draw the same numbers */
}
