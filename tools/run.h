/* The parts of `terrane run`: what is run, how it is started and waited for, and what is learnt.
 *
 *   run.c              order of events
 *   run_options.c      the command line
 *   run_target.c       finds the program and refuses what a preloaded malloc cannot reach
 *   run_files.c        the library, and where report and profile go
 *   run_environment.c  the program's environment
 *   run_child.c        starts it, passes signals on, waits
 *   run_collect.c      reads the report pages that its processes left
 *   run_sum.c          adds them up
 *   report_*.c         print the result */
#ifndef TERRANE_RUN_H
#define TERRANE_RUN_H

#include "stats/stats.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <terrane/stats.h>

/* Exit statuses of `terrane run` itself, the same as those of env, nohup and timeout. */
#define RUN_FAILED         125
#define RUN_NOT_EXECUTABLE 126
#define RUN_NOT_FOUND      127

#define RUN_PID_TEXT_BYTES 12

/* Prints "terrane run: message" to standard error and returns `status`. */
__attribute__((format(printf, 2, 3))) int run_error(int status, const char *format, ...);

/* ---- run_target.c ---- */

/* Finds `name` as the shell would and makes sure that preloading works for it. 0 and its path,
 * which the caller frees; or RUN_NOT_FOUND or RUN_NOT_EXECUTABLE, and the reason and a remedy
 * printed. */
int run_target_find(const char *name, char **path);

/* ---- run_files.c ---- */

/* Each returns 0, or RUN_FAILED with the reason and a remedy printed. */

/* Opens where the report goes; NULL is standard error. The file is not emptied yet. */
int run_output_open(const char *path, int *fd);

/* The absolute path of the profile (NULL if `path` is), which can be written and does not exist.
 * The caller frees. */
int run_profile_check(const char *path, char **absolute);

/* The drop-in malloc: beside this program in the build tree, in ../lib once installed. The caller
 * frees. */
int run_library_find(char **path);

/* A new private directory for report pages, which the caller frees. NULL, and the reason printed.
 */
char *run_directory_make(void);

/* Removes it with all that is in it. */
void run_directory_remove(const char *path);

/* ---- run_environment.c ---- */

struct run_environment {
    char **entries; /* "NAME=VALUE", ended by NULL; all owned */
    size_t count;
};

/* Starts with a copy of our own. */
void run_environment_init(struct run_environment *environment);

/* Takes over `entry`, in place of an older one of that name. */
void run_environment_set(struct run_environment *environment, char *entry);

/* Puts the library in front of whatever LD_PRELOAD names. */
void run_environment_preload(struct run_environment *environment, const char *library);

/* Asks for a profile. Returns where the program's process id is to be written, RUN_PID_TEXT_BYTES,
 * so that it knows itself as the one that the file is meant for. */
char *run_environment_profile(struct run_environment *environment, const char *path);

void run_environment_free(struct run_environment *environment);

/* ---- run_child.c ---- */

struct run_command {
    const char *path;
    char *const *arguments;
    char *const *environment;
    char *pid_text; /* when not NULL: the child writes its process id here before exec */
    size_t pid_text_bytes;
    void (*every_second)(void *context); /* called while the program runs */
    void *context;
};

struct run_end {
    int pid;
    int status; /* as waitpid tells it */
    uint64_t start_ns;
    uint64_t end_ns;     /* monotonic clock */
    struct rusage usage; /* of the program and those descendants that it waited for */
};

/* Runs the command to its end. Meanwhile all signals are blocked here; those that another process
 * sent are passed on. 0, or a negative errno when the program could not be started. */
int run_child(const struct run_command *command, struct run_end *end);

/* Ends this process as `status` says the program ended: the exit status to return from main, or the
 * same signal; 128 + n where that signal does not end us. */
int run_end_alike(int status);

/* ---- run_collect.c, run_sum.c ---- */

/* How a process came to its end, as far as is known. */
enum run_end_kind {
    RUN_EXITED,   /* with `exit_status` */
    RUN_SIGNALED, /* by `exit_status` */
    RUN_REPLACED, /* by another program, with exec */
    RUN_RUNNING,  /* it outlives the program that was run */
    RUN_UNKNOWN,  /* no exit handlers ran: a signal, or _exit */
};

struct run_counts {
    uint64_t allocs, alloc_bytes, frees, freed_bytes;
    uint64_t resizes[TN_RESIZE_WAYS], resize_bytes[TN_RESIZE_WAYS];
    uint64_t timed_calls, ticks;
    uint64_t classes[TN_REPORT_CLASSES];
};

/* Memory at a time; `end_ns` counts from the start of the process, or of the run. */
struct run_point {
    uint64_t end_ns;
    uint64_t live_mean, live_peak;
    uint64_t resident; /* 0: unknown */
};

/* One report page: one program image in one process. */
struct run_process {
    uint32_t pid, parent_pid;
    bool forked;
    enum run_end_kind end;
    int exit_status; /* or signal number */
    uint64_t start_ns, wall_ns;
    char *command;
    uint64_t user_us, system_us, minor_faults, major_faults, resident_peak;
    uint64_t live_mean, live_peak, live_end;
    struct run_counts counts;
    struct terrane_stats stats;
    struct run_point *points; /* rising end_ns */
    size_t points_count;
};

struct run_report {
    const char *command; /* what was run, arguments joined by spaces */
    struct run_end end;
    uint64_t wall_ns, user_us, system_us;
    uint64_t minor_faults, major_faults;
    uint64_t resident_peak; /* of the largest process */
    double ns_per_tick;
    uint64_t allocator_ns; /* estimate of the time inside the malloc family */
    size_t unreadable;     /* report pages that were not usable */

    struct run_process *processes; /* in order of start */
    size_t processes_count, processes_capacity;

    struct run_counts counts;   /* sums over the processes */
    struct terrane_stats stats; /* sums, peaks included */
    struct run_point *points;   /* sum of live and resident bytes over all processes */
    size_t points_count;
    uint64_t live_mean, live_peak; /* of that sum */
};

/* Reads the pages in `dir` into report->processes and removes their files: all of them, or only
 * those of processes that do not exist any more. */
void run_collect(struct run_report *report, const char *dir, bool all);

/* Fills everything of the report that follows from `end`, `ns_per_tick` and the processes. */
void run_sum(struct run_report *report);

void run_report_free(struct run_report *report);

/* Makes a string fit for all forms of the report: control characters become spaces, bytes that are
 * not UTF-8 question marks. */
void run_clean_text(char *string);

#endif
