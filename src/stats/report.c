/* Counting for `terrane run`; see report.h for the promises and report_page.h for the layout.
 *
 * The page is shared with a reader that may look at any time, and with nobody else, so every access
 * is relaxed: each word stands for itself, and the reader takes its final look after the process
 * is gone, when the kernel has ordered everything.
 *
 * Live bytes are one number for the process, but a shared counter touched by every call would make
 * threads fight for its cache line. So a thread collects its changes and passes them on when they
 * exceed LIVE_SLACK; the peak is short of the truth by at most that much a thread. */
#include "stats/report.h"

#include "os/os.h"
#include "stats/figures.h"
#include "stats/publish.h"
#include "stats/report_series.h"

#include <errno.h>
#include <string.h>

#define LIVE_SLACK        4096
#define CLOCK_EVERY       64 /* hooks between looks at the clock when live bytes hardly change */
#define TIME_EVERY        64
#define TIME_ALWAYS_BYTES ((size_t)16384)
#define TIMER_ROWS        8
#define TIMER_READINGS    32
#define DIRECTORY_MAX     400
#define SHARED_SHARD      0u
#define NO_SHARD          UINT32_MAX

/* A sampled call stands for 64: one that the kernel interrupted for milliseconds would outweigh all
 * others. On the machines that we know this is about a tenth of a millisecond or more. */
#define TIME_SAMPLE_MAX ((uint64_t)1 << 18)

/* What a thread needs to count. The random state is its own so that drawing needs no atomics. */
static __thread struct {
    uint32_t shard_plus_one; /* 0: none chosen yet */
    uint32_t hooks;
    uint32_t time_gap; /* calls until one is measured */
    uint32_t random;
} self;

/* Written before threads exist and in a fork's child: relaxed reads suffice. */
static _Atomic(struct tn_report_page *) page_now;
static char directory[DIRECTORY_MAX];
static _Atomic uint32_t shards_taken; /* bit k: shard k belongs to a thread; bit 0 is unused */
static tn_report_source *stats_source;
static uint64_t timer_ticks; /* what measuring nothing takes; subtracted from each measured call */
static struct terrane_stats stats_at_fork; /* zero in a process that did not begin as a fork */

static struct tn_report_page *page_get(void)
{
    return atomic_load_explicit(&page_now, memory_order_relaxed);
}

/* ---- shards ---- */

static uint32_t shard_choose(void)
{
    uint32_t taken = atomic_load_explicit(&shards_taken, memory_order_relaxed);
    for (;;) {
        const uint32_t room = ~taken & tn_mask32(TN_REPORT_SHARDS) & ~(1u << SHARED_SHARD);
        if (room == 0)
            return SHARED_SHARD;
        const uint32_t index = tn_lowest_bit(room);
        /* acquire; pairs with the release in tn_report_thread_end: its last counts are seen */
        if (atomic_compare_exchange_weak_explicit(&shards_taken, &taken, taken | 1u << index,
                                                  memory_order_acquire, memory_order_relaxed))
            return index;
    }
}

static struct tn_report_shard *shard_get(struct tn_report_page *page)
{
    if (TN_UNLIKELY(self.shard_plus_one == 0))
        self.shard_plus_one = shard_choose() + 1;
    return &page->shards[self.shard_plus_one - 1];
}

/* Only the shared shard has several writers. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
    if (self.shard_plus_one == SHARED_SHARD + 1) {
        atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
        return;
    }
    const uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

static uint64_t take_all(_Atomic uint64_t *counter)
{
    if (self.shard_plus_one == SHARED_SHARD + 1)
        return atomic_exchange_explicit(counter, 0, memory_order_relaxed);
    const uint64_t all = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, 0, memory_order_relaxed);
    return all;
}

void tn_report_thread_end(void)
{
    const uint32_t index = self.shard_plus_one - 1;
    self.shard_plus_one = 0;
    if (index == NO_SHARD || index == SHARED_SHARD)
        return;
    /* release; pairs with the acquire in shard_choose */
    atomic_fetch_and_explicit(&shards_taken, ~(1u << index), memory_order_release);
}

/* ---- samples ---- */

/* A process that a raw system call forked still counts into its parent's page, as nothing told it;
 * what concerns the whole process must not be mixed. */
static bool is_own(const struct tn_report_page *page)
{
    return page->pid == (uint32_t)tn_os_process_id();
}

static void sample(struct tn_report_page *page, const struct terrane_stats *stats)
{
    if (!is_own(page))
        return;
    /* acquire; pairs with the release below: one thread at a time writes the slots */
    if (atomic_exchange_explicit(&page->sampling, 1, memory_order_acquire) != 0)
        return;
    tn_series_sample(page, stats);
    atomic_store_explicit(&page->sampling, 0, memory_order_release);
}

void tn_report_sample(const struct terrane_stats *stats)
{
    struct tn_report_page *page = page_get();
    if (page == NULL)
        return;
    const int saved_errno = errno;
    sample(page, stats);
    errno = saved_errno;
}

/* Of what only ever rises a fork's child counts its own part. False: nobody said where to ask. */
static bool stats_read(struct terrane_stats *out)
{
    if (stats_source == NULL)
        return false;
    stats_source(out);
    const struct tn_figure_rows *table = tn_figure_rows(TN_GROUP_SPACE);
    uint64_t *words = (uint64_t *)(void *)out;
    const uint64_t *at_fork = (const uint64_t *)(const void *)&stats_at_fork;
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].kind == TN_FIGURE_RISING)
            words[i] -= at_fork[i];
    }
    return true;
}

/* In a fork's child: what its parent did does not count here. */
static void stats_start_over(void)
{
    if (stats_source != NULL)
        stats_source(&stats_at_fork);
}

static void sample_from_source(struct tn_report_page *page)
{
    struct terrane_stats stats;
    const int saved_errno = errno;
    sample(page, stats_read(&stats) ? &stats : NULL);
    errno = saved_errno;
}

static void sample_if_due(struct tn_report_page *page)
{
    const uint64_t now_ns = tn_os_clock_ns();
    if (now_ns >= atomic_load_explicit(&page->next_ns, memory_order_relaxed))
        sample_from_source(page);
    tn_publish_refresh(now_ns);
}

/* Adds to the live bytes and lets the samples have their turn. Last step of each hook. */
static void live_change(struct tn_report_page *page, struct tn_report_shard *shard, uint64_t change)
{
    add(&shard->live_pending, change);
    const int64_t pending =
        (int64_t)atomic_load_explicit(&shard->live_pending, memory_order_relaxed);
    const bool pass_on = pending > LIVE_SLACK || pending < -LIVE_SLACK;
    if (pass_on)
        tn_series_live_add(page, take_all(&shard->live_pending));
    if (pass_on || ++self.hooks % CLOCK_EVERY == 0)
        sample_if_due(page);
}

/* ---- hooks ---- */

static void count_request(struct tn_report_shard *shard, size_t requested)
{
    add(&shard->alloc_bytes, requested);
    add(&shard->classes[tn_report_class(requested)], 1);
}

void tn_report_alloc(size_t requested, size_t usable)
{
    struct tn_report_page *page = page_get();
    if (page == NULL)
        return;
    struct tn_report_shard *shard = shard_get(page);
    add(&shard->allocs, 1);
    count_request(shard, requested);
    live_change(page, shard, usable);
}

void tn_report_free(size_t usable)
{
    struct tn_report_page *page = page_get();
    if (page == NULL)
        return;
    struct tn_report_shard *shard = shard_get(page);
    add(&shard->frees, 1);
    add(&shard->freed_bytes, usable);
    live_change(page, shard, 0 - (uint64_t)usable);
}

void tn_report_resize(size_t old_usable, size_t requested, size_t usable, enum tn_resize how)
{
    struct tn_report_page *page = page_get();
    if (page == NULL)
        return;
    tn_assert(how < TN_RESIZE_WAYS);
    struct tn_report_shard *shard = shard_get(page);
    add(&shard->resizes[how], 1);
    add(&shard->resize_bytes[how], tn_min(old_usable, requested));
    count_request(shard, requested);
    live_change(page, shard, (uint64_t)usable - (uint64_t)old_usable);
}

/* Distance to the next measured call: uniform in 1 .. 2 * TIME_EVERY - 1 by a xorshift generator.
 */
static uint32_t time_gap_draw(void)
{
    uint32_t x = self.random != 0 ? self.random : (uint32_t)tn_os_ticks() | 1u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    self.random = x;
    return 1 + x % (2 * TIME_EVERY - 1);
}

uint32_t tn_report_time_weight(size_t size)
{
    if (size >= TIME_ALWAYS_BYTES)
        return 1;
    if (TN_UNLIKELY(self.time_gap == 0))
        self.time_gap = time_gap_draw();
    return --self.time_gap == 0 ? TIME_EVERY : 0;
}

void tn_report_time(uint64_t ticks, uint32_t weight)
{
    struct tn_report_page *page = page_get();
    if (page == NULL)
        return;
    struct tn_report_shard *shard = shard_get(page);
    add(&shard->timed_calls, 1);
    const uint64_t own = ticks > timer_ticks ? ticks - timer_ticks : 0;
    const uint64_t counted = weight > 1 && own > TIME_SAMPLE_MAX ? TIME_SAMPLE_MAX : own;
    add(&shard->ticks, counted * weight);
}

/* ---- birth, fork, end ---- */

/* Two readings of the counter may overlap in the processor, so a row of them is measured; of
 * several rows the shortest counts, as the others were disturbed. */
static uint64_t timer_measure(void)
{
    uint64_t shortest = UINT64_MAX;
    for (unsigned row = 0; row < TIMER_ROWS; row++) {
        const uint64_t start = tn_os_ticks();
        uint64_t end = start;
        for (unsigned i = 0; i < TIMER_READINGS; i++)
            end = tn_os_ticks();
        const uint64_t each = (end - start) / TIMER_READINGS;
        if (each < shortest)
            shortest = each;
    }
    return shortest;
}

static int page_create(struct tn_report_page **out)
{
    char path[TN_MESSAGE_MAX];
    tn_format(path, sizeof(path), "%s/%d.%z" TN_REPORT_SUFFIX, directory, tn_os_process_id(),
              (size_t)tn_os_clock_ns());
    int fd;
    int error = tn_os_file_open(path, true, &fd);
    if (error != 0)
        return error;
    void *memory = NULL;
    error = tn_os_file_resize(fd, sizeof(struct tn_report_page));
    /* A store into a page that a full file system cannot back would end the process. */
    if (error == 0)
        error = tn_os_file_reserve(fd, 0, sizeof(struct tn_report_page));
    if (error == 0)
        error = tn_os_file_map_shared(fd, sizeof(struct tn_report_page), &memory);
    tn_os_file_close(fd);
    *out = memory;
    return error;
}

/* The magic comes last: without it a reader takes the file for unfinished. */
static void page_init(struct tn_report_page *page)
{
    page->version = TN_REPORT_VERSION;
    page->size_bytes = (uint32_t)sizeof(*page);
    page->pid = (uint32_t)tn_os_process_id();
    page->stats_words = (uint32_t)(sizeof(struct terrane_stats) / sizeof(uint64_t));
    page->start_ns = tn_os_clock_ns();
    atomic_store_explicit(&page->state, TN_REPORT_RUNNING, memory_order_relaxed);
    tn_series_init(page);
    page->magic = TN_REPORT_MAGIC;
}

int tn_report_open(const char *dir)
{
    _Static_assert(sizeof(struct terrane_stats) <= TN_REPORT_STATS_WORDS * sizeof(uint64_t),
                   "the page has room for the space's counters");
    tn_assert(page_get() == NULL);
    if (strlen(dir) >= sizeof(directory))
        return -ENAMETOOLONG;
    memcpy(directory, dir, strlen(dir) + 1);
    struct tn_report_page *page;
    const int error = page_create(&page);
    if (error != 0)
        return error;
    page_init(page);
    timer_ticks = timer_measure();
    atomic_store_explicit(&page_now, page, memory_order_relaxed);
    return 0;
}

void tn_report_command(int argc, char *const argv[])
{
    struct tn_report_page *page = page_get();
    if (page == NULL)
        return;
    size_t length = 0;
    for (int i = 0; i < argc && argv[i] != NULL; i++) {
        if (length + 2 >= sizeof(page->command))
            break;
        length += tn_format(page->command + length, sizeof(page->command) - length,
                            i == 0 ? "%s" : " %s", argv[i]);
    }
}

void tn_report_stats_from(tn_report_source *source)
{
    stats_source = source;
}

bool tn_report_active(void)
{
    return page_get() != NULL;
}

/* The child has one thread, which keeps its shard; the others' shards are free again. It starts
 * with the objects of its parent alive, so that freeing them counts down from there. */
void tn_report_fork_child(void)
{
    struct tn_report_page *old = page_get();
    if (old == NULL)
        return;
    const int saved_errno = errno;
    atomic_store_explicit(&page_now, NULL, memory_order_relaxed);
    const uint32_t own = self.shard_plus_one > 1 ? 1u << (self.shard_plus_one - 1) : 0;
    atomic_store_explicit(&shards_taken, own, memory_order_relaxed);
    struct tn_report_page *page;
    if (page_create(&page) == 0) {
        page_init(page);
        page->forked = 1;
        page->parent_pid = old->pid;
        memcpy(page->command, old->command, sizeof(page->command));
        tn_series_live_add(page, tn_series_live(old));
        stats_start_over();
        atomic_store_explicit(&page_now, page, memory_order_relaxed);
    }
    (void)tn_os_release(old, sizeof(*old));
    errno = saved_errno;
}

void tn_report_end(int status)
{
    struct tn_report_page *page = page_get();
    if (page == NULL || !is_own(page))
        return;
    tn_series_note_resident_peak(page);
    sample_from_source(page);
    atomic_store_explicit(&page->exit_status, (uint32_t)status, memory_order_relaxed);
    atomic_store_explicit(&page->state, TN_REPORT_ENDED, memory_order_relaxed);
}
