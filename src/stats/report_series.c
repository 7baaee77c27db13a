/* Memory over time, in bounded room and at any length of run.
 *
 * Time is cut into slots of equal length. Samples refine the open slot; when time has passed its
 * end a new one is opened. When all slots are used, neighbours are merged two by two, and from then
 * on a slot is twice as long: a run of a second keeps milliseconds, a run of an hour seconds, and
 * the page never grows. A slot keeps the mean weighted by time and the maximum; both merge exactly,
 * so mean and peak of the whole run do not suffer.
 *
 *   slot_ns = 1 ms   |.|.|.|.|.|.|.|.|   full: merge
 *   slot_ns = 2 ms   | . | . | . | . | then go on behind
 *
 * Samples are due every millisecond at first and at least every SAMPLE_GAP_MAX_NS later on, however
 * long the slots: what a process leaves when it is killed is at most that old. */
#include "stats/report_series.h"

#include "os/os.h"

#include <string.h>

#define FIRST_SLOT_NS     UINT64_C(1000000)
#define SAMPLE_GAP_MAX_NS UINT64_C(10000000)
#define STATM_MAX_BYTES   128
#define STATUS_MAX_BYTES  2048

/* Single words that only the sampler writes, read by a reader at any time. */
static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static void raise_to(_Atomic uint64_t *maximum, uint64_t value)
{
    uint64_t old = atomic_load_explicit(maximum, memory_order_relaxed);
    while (old < value && !atomic_compare_exchange_weak_explicit(
                              maximum, &old, value, memory_order_relaxed, memory_order_relaxed))
        continue;
}

/* Objects from before the counting began may be freed while it runs: a sum below 0 means none. */
static uint64_t at_least_zero(uint64_t wrapped)
{
    return (int64_t)wrapped < 0 ? 0 : wrapped;
}

void tn_series_live_add(struct tn_report_page *page, uint64_t change)
{
    const uint64_t old = atomic_fetch_add_explicit(&page->live_bytes, change, memory_order_relaxed);
    raise_to(&page->window_peak, at_least_zero(old + change));
}

uint64_t tn_series_live(struct tn_report_page *page)
{
    uint64_t live = get(&page->live_bytes);
    for (unsigned i = 0; i < TN_REPORT_SHARDS; i++)
        live += get(&page->shards[i].live_pending);
    return at_least_zero(live);
}

/* ---- slots ---- */

static uint32_t slots_used(struct tn_report_page *page)
{
    return atomic_load_explicit(&page->slots_count, memory_order_relaxed);
}

static uint64_t slot_start(struct tn_report_page *page, uint32_t index)
{
    return index == 0 ? 0 : get(&page->slots[index - 1].end_ns);
}

/* Mean of `a` over `a_ns` followed by `b` over `b_ns`. In floating point: bytes times nanoseconds
 * pass 64 bits, and the rounding is far below what is shown. */
static uint64_t weighted_mean(uint64_t a, uint64_t a_ns, uint64_t b, uint64_t b_ns)
{
    if (a_ns + b_ns == 0)
        return b;
    const double sum = (double)a * (double)a_ns + (double)b * (double)b_ns;
    return (uint64_t)(sum / (double)(a_ns + b_ns) + 0.5);
}

/* Merges slots 2i and 2i + 1 into slot i. */
static void slot_merge(struct tn_report_page *page, uint32_t i)
{
    const struct tn_report_slot *a = &page->slots[2 * (size_t)i];
    const struct tn_report_slot *b = a + 1;
    const uint64_t start = slot_start(page, i); /* slot i - 1 is merged already and ends there */
    const uint64_t a_ns = get(&a->end_ns) - start;
    const uint64_t b_ns = get(&b->end_ns) - get(&a->end_ns);
    const uint64_t mean = weighted_mean(get(&a->live_mean), a_ns, get(&b->live_mean), b_ns);
    const uint64_t peak = tn_max(get(&a->live_peak), get(&b->live_peak));
    const uint64_t resident = get(&b->resident_bytes);
    const uint64_t end = get(&b->end_ns);
    struct tn_report_slot *out = &page->slots[i];
    set(&out->live_mean, mean);
    set(&out->live_peak, peak);
    set(&out->resident_bytes, resident);
    set(&out->end_ns, end);
}

/* The count shrinks last: when we are killed half-way, a reader goes on from the merged slots to
 * the first old one with a later end, and nothing is missing. */
static void slots_halve(struct tn_report_page *page)
{
    for (uint32_t i = 0; i < TN_REPORT_SLOTS / 2; i++)
        slot_merge(page, i);
    atomic_store_explicit(&page->slots_count, TN_REPORT_SLOTS / 2, memory_order_relaxed);
    set(&page->slot_ns, 2 * get(&page->slot_ns));
}

/* Opens a slot behind the last one; its end moves with each sample. */
static void slot_open(struct tn_report_page *page)
{
    if (slots_used(page) == TN_REPORT_SLOTS)
        slots_halve(page);
    const uint32_t index = slots_used(page);
    struct tn_report_slot *slot = &page->slots[index];
    set(&slot->end_ns, slot_start(page, index));
    set(&slot->live_mean, 0);
    set(&slot->live_peak, 0);
    set(&slot->resident_bytes, 0);
    atomic_store_explicit(&page->slots_count, index + 1, memory_order_relaxed);
}

static bool slot_is_full(struct tn_report_page *page)
{
    const uint32_t last = slots_used(page) - 1;
    return get(&page->slots[last].end_ns) - slot_start(page, last) >= get(&page->slot_ns);
}

void tn_series_advance(struct tn_report_page *page, uint64_t now_ns, uint64_t resident_bytes)
{
    const uint64_t now = now_ns - page->start_ns;
    const uint64_t live = tn_series_live(page);
    if (slot_is_full(page))
        slot_open(page);
    const uint32_t last = slots_used(page) - 1;
    struct tn_report_slot *slot = &page->slots[last];
    const uint64_t start = slot_start(page, last);
    const uint64_t end = get(&slot->end_ns);
    if (now <= end)
        return;
    /* Between two samples the live bytes are taken to change evenly. */
    const uint64_t since = (get(&page->live_last) + live) / 2;
    const uint64_t mean = weighted_mean(get(&slot->live_mean), end - start, since, now - end);
    const uint64_t peak = atomic_exchange_explicit(&page->window_peak, live, memory_order_relaxed);
    set(&slot->live_mean, mean);
    raise_to(&slot->live_peak, tn_max(peak, live));
    raise_to(&page->live_peak, tn_max(peak, live));
    if (resident_bytes != 0)
        set(&slot->resident_bytes, resident_bytes);
    set(&slot->end_ns, now);
    set(&page->live_last, live);
    set(&page->last_ns, now_ns);
    set(&page->next_ns, now_ns + tn_min(get(&page->slot_ns), SAMPLE_GAP_MAX_NS));
}

void tn_series_init(struct tn_report_page *page)
{
    set(&page->slot_ns, FIRST_SLOT_NS);
    set(&page->last_ns, page->start_ns);
    set(&page->next_ns, page->start_ns + FIRST_SLOT_NS);
    slot_open(page);
}

/* ---- what the kernel and the space say ---- */

/* Reads the start of a file of /proc; the length, 0 where there is none. */
static size_t proc_read(const char *path, char *text, size_t size)
{
    int fd;
    if (tn_os_file_open(path, false, &fd) != 0)
        return 0;
    size_t got;
    const int error = tn_os_file_read(fd, text, size, &got);
    tn_os_file_close(fd);
    return error == 0 ? got : 0;
}

/* The first number in text[from, length); 0 if there is none. */
static uint64_t number_in(const char *text, size_t from, size_t length)
{
    while (from < length && (text[from] < '0' || text[from] > '9'))
        from++;
    uint64_t number = 0;
    for (; from < length && text[from] >= '0' && text[from] <= '9'; from++)
        number = number * 10 + (uint64_t)(text[from] - '0');
    return number;
}

/* Second field of statm, in pages; 0 where there is no /proc. */
static uint64_t resident_read(void)
{
    char text[STATM_MAX_BYTES];
    const size_t length = proc_read("/proc/self/statm", text, sizeof(text));
    const char *space = memchr(text, ' ', length);
    if (space == NULL)
        return 0;
    return number_in(text, (size_t)(space - text), length) * tn_os_page_bytes();
}

/* The kernel's own maximum. getrusage has one too, but that is inherited over fork and exec. */
static uint64_t resident_peak_read(void)
{
    static const char field[] = "VmHWM:";
    char text[STATUS_MAX_BYTES];
    const size_t length = proc_read("/proc/self/status", text, sizeof(text));
    const char *found = memmem(text, length, field, sizeof(field) - 1);
    if (found == NULL)
        return 0;
    return number_in(text, (size_t)(found - text), length) * 1024;
}

static void usage_read(struct tn_report_usage *usage)
{
    struct tn_os_usage now;
    tn_os_usage(&now);
    set(&usage->user_us, now.user_us);
    set(&usage->system_us, now.system_us);
    set(&usage->minor_faults, now.minor_faults);
    set(&usage->major_faults, now.major_faults);
}

void tn_series_sample(struct tn_report_page *page, const struct terrane_stats *stats)
{
    const uint64_t *words = (const uint64_t *)stats;
    for (uint32_t i = 0; stats != NULL && i < page->stats_words; i++)
        set(&page->stats[i], words[i]);
    const uint64_t resident = resident_read();
    raise_to(&page->usage.resident_peak, resident);
    usage_read(&page->usage);
    tn_series_advance(page, tn_os_clock_ns(), resident);
}

void tn_series_note_resident_peak(struct tn_report_page *page)
{
    raise_to(&page->usage.resident_peak, resident_peak_read());
}
