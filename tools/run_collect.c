/* Reads the report pages that the processes of a run have left.
 *
 * A page was written by a program that may have been killed at any moment, or that may have gone
 * mad and written over it: nothing in it is believed without a look. Counts are numbers and cannot
 * be wrong in a way that harms us; what is used as an index, a length or a time is checked, and a
 * page whose head does not hold is counted as unreadable.
 *
 * A run may start tens of thousands of processes (a build does). So pages are read and removed
 * while the run goes on, as soon as their process is gone, and a process takes a kilobyte or two
 * here. */
#include "run.h"
#include "text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t word(const _Atomic uint64_t *shared)
{
    return atomic_load_explicit(shared, memory_order_relaxed); /* our own copy */
}

static uint64_t signed_word(uint64_t wrapped)
{
    return (int64_t)wrapped < 0 ? 0 : wrapped;
}

/* Length of the UTF-8 sequence that begins here; 0 if none does (RFC 3629, table in section 4). */
static size_t sequence_length(const unsigned char *s)
{
    const size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    const bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    const bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return overlong || outside ? 0 : length;
}

void run_clean_text(char *string)
{
    for (unsigned char *at = (unsigned char *)string; *at != '\0';) {
        const size_t length = sequence_length(at);
        if (length == 0)
            *at = '?';
        else if (iscntrl(*at))
            *at = ' ';
        at += length == 0 ? 1 : length;
    }
}

/* ---- one page ---- */

static bool page_holds(const struct tn_report_page *page)
{
    return page->magic == TN_REPORT_MAGIC && page->version == TN_REPORT_VERSION &&
           page->size_bytes == sizeof(*page) && page->pid != 0 && page->start_ns != 0 &&
           page->stats_words <= TN_REPORT_STATS_WORDS;
}

static void add_shard(struct run_counts *counts, const struct tn_report_shard *shard)
{
    counts->allocs += word(&shard->allocs);
    counts->alloc_bytes += word(&shard->alloc_bytes);
    counts->frees += word(&shard->frees);
    counts->freed_bytes += word(&shard->freed_bytes);
    for (unsigned i = 0; i < TN_RESIZE_WAYS; i++) {
        counts->resizes[i] += word(&shard->resizes[i]);
        counts->resize_bytes[i] += word(&shard->resize_bytes[i]);
    }
    counts->timed_calls += word(&shard->timed_calls);
    counts->ticks += word(&shard->ticks);
    for (unsigned i = 0; i < TN_REPORT_CLASSES; i++)
        counts->classes[i] += word(&shard->classes[i]);
}

/* Slots whose time does not rise are leftovers of a merge that was cut off: skipped. */
static void take_points(struct run_process *process, const struct tn_report_page *page)
{
    const uint32_t claimed = atomic_load_explicit(&page->slots_count, memory_order_relaxed);
    const size_t count = claimed < TN_REPORT_SLOTS ? claimed : TN_REPORT_SLOTS;
    process->points = memory_get((count + 1) * sizeof(process->points[0]));
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        const struct tn_report_slot *slot = &page->slots[i];
        const uint64_t end = word(&slot->end_ns);
        if (end <= last || end > process->wall_ns)
            continue;
        process->points[process->points_count++] = (struct run_point){
            end, word(&slot->live_mean), word(&slot->live_peak), word(&slot->resident_bytes)};
        last = end;
    }
}

static void take_memory(struct run_process *process, const struct tn_report_page *page)
{
    uint64_t live = word(&page->live_bytes);
    for (unsigned i = 0; i < TN_REPORT_SHARDS; i++)
        live += word(&page->shards[i].live_pending);
    process->live_end = signed_word(live);
    process->live_peak = word(&page->live_peak);
    if (process->live_peak < word(&page->window_peak))
        process->live_peak = word(&page->window_peak);
    if (process->live_peak < process->live_end)
        process->live_peak = process->live_end;
    take_points(process, page);
    double area = 0;
    uint64_t last = 0;
    for (size_t i = 0; i < process->points_count; i++) {
        const struct run_point *point = &process->points[i];
        area += (double)point->live_mean * (double)(point->end_ns - last);
        last = point->end_ns;
    }
    /* One that ended before its first sample has its end to go by. */
    process->live_mean = last == 0 ? process->live_end : (uint64_t)(area / (double)last);
}

static void take_stats(struct run_process *process, const struct tn_report_page *page)
{
    uint64_t words[TN_REPORT_STATS_WORDS] = {0};
    for (uint32_t i = 0; i < page->stats_words; i++)
        words[i] = word(&page->stats[i]);
    memcpy(&process->stats, words, sizeof(process->stats));
}

static void take_identity(struct run_process *process, const struct tn_report_page *page)
{
    process->pid = page->pid;
    process->parent_pid = page->parent_pid;
    process->forked = page->forked != 0;
    process->start_ns = page->start_ns;
    const uint64_t last = word(&page->last_ns);
    process->wall_ns = last > page->start_ns ? last - page->start_ns : 0;
    const bool exited = atomic_load_explicit(&page->state, memory_order_relaxed) == TN_REPORT_ENDED;
    process->end = exited ? RUN_EXITED : RUN_UNKNOWN;
    const uint32_t status = atomic_load_explicit(&page->exit_status, memory_order_relaxed);
    process->exit_status = exited ? (int)(status & 0xff) : 0;
    char command[TN_REPORT_COMMAND_MAX];
    memcpy(command, page->command, sizeof(command));
    command[sizeof(command) - 1] = '\0';
    run_clean_text(command);
    process->command = string_copy(command[0] == '\0' ? "?" : command);
}

static void page_take(struct run_report *report, const struct tn_report_page *page)
{
    if (report->processes_count == report->processes_capacity) {
        report->processes_capacity = report->processes_capacity * 2 + 16;
        report->processes = memory_resize(report->processes, report->processes_capacity,
                                          sizeof(report->processes[0]));
    }
    struct run_process *process = &report->processes[report->processes_count++];
    memset(process, 0, sizeof(*process));
    take_identity(process, page);
    take_memory(process, page);
    take_stats(process, page);
    process->user_us = word(&page->usage.user_us);
    process->system_us = word(&page->usage.system_us);
    process->minor_faults = word(&page->usage.minor_faults);
    process->major_faults = word(&page->usage.major_faults);
    process->resident_peak = word(&page->usage.resident_peak);
    for (unsigned i = 0; i < TN_REPORT_SHARDS; i++)
        add_shard(&process->counts, &page->shards[i]);
}

/* ---- the directory ---- */

static bool file_read(int dir, const char *name, struct tn_report_page *page)
{
    const int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    const ssize_t got = read(fd, page, sizeof(*page));
    char more;
    const bool whole = got == (ssize_t)sizeof(*page) && read(fd, &more, 1) == 0;
    close(fd);
    return whole;
}

/* Zero and negative numbers, which name groups, are no process's. */
static bool process_exists(long pid)
{
    return pid > 0 && pid <= INT_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

static bool is_report(const char *name)
{
    const char *suffix = strrchr(name, '.');
    return suffix != NULL && strcmp(suffix, TN_REPORT_SUFFIX) == 0;
}

/* Stat pages (stats/stat_page.h) are for those who look while the process runs. */
static bool is_stat_page(const char *name)
{
    return strncmp(name, TN_STAT_NAME ".", sizeof(TN_STAT_NAME)) == 0;
}

static void stat_page_remove(int dir, const char *name, bool all)
{
    if (all || !process_exists(strtol(name + sizeof(TN_STAT_NAME), NULL, 10)))
        (void)unlinkat(dir, name, 0);
}

static void file_take(struct run_report *report, int dir, const char *name, bool exists)
{
    struct tn_report_page page;
    if (file_read(dir, name, &page) && page_holds(&page)) {
        page_take(report, &page);
        if (exists)
            report->processes[report->processes_count - 1].end = RUN_RUNNING;
    } else {
        report->unreadable++;
    }
    (void)unlinkat(dir, name, 0);
}

void run_collect(struct run_report *report, const char *dir, bool all)
{
    DIR *list = opendir(dir);
    if (list == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (is_stat_page(entry->d_name))
            stat_page_remove(dirfd(list), entry->d_name, all);
        if (!is_report(entry->d_name))
            continue;
        const bool exists = process_exists(strtol(entry->d_name, NULL, 10));
        if (all || !exists)
            file_take(report, dirfd(list), entry->d_name, exists);
    }
    closedir(list);
}

void run_report_free(struct run_report *report)
{
    for (size_t i = 0; i < report->processes_count; i++) {
        free(report->processes[i].command);
        free(report->processes[i].points);
    }
    free(report->processes);
    free(report->points);
}
