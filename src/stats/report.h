/* Counting for `terrane run`: the hooks that an instrumented malloc calls.
 *
 * The normal mode of the drop-in never comes here. In the instrumented mode each malloc-family call
 * ends with one hook, which counts into the process's report page (report_page.h) with a handful of
 * plain stores: each thread has counters of its own as long as there are free ones, and only
 * threads beyond that share some with atomic additions.
 *
 * Hooks are called outside all locks of the library, after the call's work is done. They never
 * allocate, keep errno, and do nothing before tn_report_open. Any thread; not from signal handlers
 * that could not call malloc either. */
#ifndef TN_REPORT_H
#define TN_REPORT_H

#include "stats/report_page.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/stats.h>

/* Gives the space's counters for a sample. Called with no lock held, must not allocate. */
typedef void tn_report_source(struct terrane_stats *out);

/* Creates this process's page in `dir` and starts counting. Once a process; not thread-safe against
 * itself. Errors: what creating a file gives (-ENOENT, -EACCES, -ENOSPC ...); nothing counts then.
 */
int tn_report_open(const char *dir);

/* Says what this process was started as. Cut at the page's limit. */
void tn_report_command(int argc, char *const argv[]);

/* Names the function that reads the space's counters at each sample. NULL: none. */
void tn_report_stats_from(tn_report_source *source);

/* Whether this process counts. */
bool tn_report_active(void);

/* An object of `requested` bytes was allocated and has room for `usable`. */
void tn_report_alloc(size_t requested, size_t usable);

/* An object with room for `usable` was freed. */
void tn_report_free(size_t usable);

/* An object was resized from `old_usable` to `requested`, has room for `usable` now. */
void tn_report_resize(size_t old_usable, size_t requested, size_t usable, enum tn_resize how);

/* How many calls the coming call of `size` bytes stands for if its duration is measured; 0: do not
 * measure it. Large calls are all measured, of the others one in 64 on average at random distances,
 * so that no rhythm of the program hides from it. */
uint32_t tn_report_time_weight(size_t size);

/* Records the measured duration of a call, in tn_os_ticks. Very long ones of small calls are cut.
 */
void tn_report_time(uint64_t ticks, uint32_t weight);

/* Takes a sample of memory and usage now, whether due or not. `stats` may be NULL. The hooks do
 * this by themselves whenever a sample is due: about every millisecond at first, never more often.
 */
void tn_report_sample(const struct terrane_stats *stats);

/* The calling thread ends: its counters stay and serve another thread. */
void tn_report_thread_end(void);

/* In the child of fork, before it allocates: goes on with a page of its own. */
void tn_report_fork_child(void);

/* The process ends with `status`: a last sample. Counting goes on until the process is gone. */
void tn_report_end(int status);

#endif
