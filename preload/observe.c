/* The switch for report, profiler and stat page; see observe.h.
 *
 * The end of the process is learnt from on_exit, which unlike atexit tells the exit status. It is
 * registered before main, so it runs after all handlers of the program, and their allocations
 * count. _exit and signals run no handlers: the report does not need them (its page is always up to
 * date), the profile is then not written. */
#include "observe.h"

#include "base/base.h"
#include "profile.h"
#include "stats/stats.h"
#include "thread_heap.h"

#include <errno.h>
#include <stdlib.h>
#include <terrane/space.h>

static void process_ends(int status, void *context)
{
    (void)context;
    tn_profile_dump();
    tn_report_end(status);
    terrane_stats_unpublish();
}

static void default_space_stats(struct terrane_stats *out)
{
    terrane_space_stats(terrane_space_default(), out);
}

static void report_start(const char *dir, int argc, char *const argv[])
{
    /* In silence when it fails: a line on standard error would change what the program says. The
     * directory is gone when a daemon outlives the run, and closed to a process of another user. */
    if (tn_report_open(dir) != 0)
        return;
    tn_report_stats_from(default_space_stats);
    tn_report_command(argc, argv);
}

/* What the user asks for by an option comes first, and is worth a warning where it cannot be had.
 * Under `terrane run` every process has its page beside its report. */
static void publish_start(const char *report_dir)
{
    const struct tn_preload_options *options = &tn_preload_options;
    if (options->publish) {
        const int error =
            terrane_stats_publish(options->publish_dir[0] == '\0' ? NULL : options->publish_dir);
        if (error != 0)
            tn_warn("TERRANE_OPTIONS: publish=%s: error %d; nothing is published",
                    options->publish_dir[0] == '\0' ? "1" : options->publish_dir, -error);
    } else if (report_dir != NULL && *report_dir != '\0') {
        (void)terrane_stats_publish(report_dir);
    }
}

static size_t interval_from(const char *text)
{
    if (text == NULL || *text == '\0')
        return TN_PROFILE_INTERVAL_BYTES;
    char *end;
    errno = 0;
    const unsigned long long bytes = strtoull(text, &end, 10);
    if (errno == 0 && *end == '\0' && *text != '-' && bytes >= 1 && bytes <= UINT32_MAX)
        return (size_t)bytes;
    tn_warn("TERRANE_PROFILE_INTERVAL must be a number of bytes from 1 to 4294967295, not '%s'",
            text);
    return TN_PROFILE_INTERVAL_BYTES;
}

void tn_observe_start(int argc, char *const argv[])
{
    const int saved_errno = errno;
    const char *dir = secure_getenv("TERRANE_REPORT_DIR");
    if (dir != NULL && *dir != '\0')
        report_start(dir, argc, argv);
    publish_start(dir);
    const char *file = secure_getenv("TERRANE_PROFILE");
    if (file != NULL && *file != '\0')
        tn_profile_init(file, interval_from(secure_getenv("TERRANE_PROFILE_INTERVAL")));
    if ((tn_report_active() || tn_profile_active() || tn_publish_active()) &&
        on_exit(process_ends, NULL) != 0)
        tn_warn("no room for an exit handler: the report will lack exit statuses");
    errno = saved_errno;
}

void tn_observe_fork_prepare(void)
{
    tn_profile_fork_prepare();
}

void tn_observe_fork_parent(void)
{
    tn_profile_fork_parent();
}

void tn_observe_fork_child(void)
{
    tn_profile_fork_child();
    tn_report_fork_child();
    tn_publish_fork_child();
}
