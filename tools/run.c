/* terrane run: any dynamically linked program on terrane's malloc, and a report of its memory.
 *
 * The program is started with libterrane-malloc.so in LD_PRELOAD and with the name of a private
 * directory, in which it and all its descendants each keep a page of counters (report_page.h). The
 * pages are files, so they are there however a process ends. When the program has ended they are
 * read and summed up, the report is written, the directory removed, and we end as the program
 * ended.
 *
 * Without a report and a profile there is nothing to do afterwards: then we simply become the
 * program. */
#include "run.h"

#include "command.h"
#include "os/os.h"
#include "run_options.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICKS_PAUSE_NS UINT64_C(2000000)

/* What a run needs and must give back, whatever happens. */
struct run {
    struct run_options options;
    char *path;
    char *library;
    char *profile;   /* NULL: none */
    char *directory; /* NULL: no report */
    int output;
    char *main_pid_text; /* in `environment` */
    struct run_environment environment;
    struct text command;
    struct run_report report;
};

int run_error(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("terrane run: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

/* ---- before ---- */

static void prepare_environment(struct run *run)
{
    struct run_environment *environment = &run->environment;
    run_environment_init(environment);
    for (size_t i = 0; i < run->options.settings_count; i++)
        run_environment_set(environment, string_copy(run->options.settings[i]));
    run_environment_preload(environment, run->library);
    if (run->directory != NULL)
        run_environment_set(environment, string_print("TERRANE_REPORT_DIR=%s", run->directory));
    if (run->profile != NULL)
        run->main_pid_text = run_environment_profile(environment, run->profile);
}

static void prepare_command(struct run *run)
{
    for (char **argument = run->options.program; *argument != NULL; argument++)
        text_print(&run->command, "%s%s", run->command.length > 0 ? " " : "", *argument);
    run_clean_text(run->command.bytes);
    run->report.command = text_string(&run->command);
}

static int prepare(struct run *run)
{
    int status = run_target_find(run->options.program[0], &run->path);
    if (status == 0)
        status = run_library_find(&run->library);
    if (status == 0)
        status = run_profile_check(run->options.profile, &run->profile);
    if (status == 0)
        status = run_output_open(run->options.output, &run->output);
    if (status == 0 && !run->options.no_report && (run->directory = run_directory_make()) == NULL)
        status = RUN_FAILED;
    if (status == 0) {
        prepare_environment(run);
        prepare_command(run);
    }
    return status;
}

/* ---- after ---- */

/* Nanoseconds a tick of the counter by which calls are timed. A short run is stretched a little, or
 * its ends would be too close together to tell. */
static double measure_ticks(uint64_t start_ns, uint64_t start_ticks)
{
    while (tn_os_clock_ns() - start_ns < TICKS_PAUSE_NS)
        tn_os_yield();
    const uint64_t ticks = tn_os_ticks() - start_ticks;
    return ticks == 0 ? 0 : (double)(tn_os_clock_ns() - start_ns) / (double)ticks;
}

/* An old file is cut to nothing first. What has no length (a terminal, a pipe) says EINVAL. */
static int write_output(const struct run *run, const struct text *text)
{
    if (run->options.output != NULL && ftruncate(run->output, 0) != 0 && errno != EINVAL)
        return -errno;
    return text_write_all(run->output, text_string(text), text->length);
}

static void write_report(struct run *run)
{
    struct text text = {.bytes = NULL};
    run_collect(&run->report, run->directory, true);
    run_sum(&run->report);
    run->options.render(&run->report, &text);
    const int error = write_output(run, &text);
    if (error != 0)
        run_error(0, "the report is lost: cannot write it to %s: %s",
                  run->options.output == NULL ? "standard error" : run->options.output,
                  strerror(-error));
    text_free(&text);
}

static void run_free(struct run *run)
{
    if (run->directory != NULL)
        run_directory_remove(run->directory);
    run_environment_free(&run->environment);
    run_report_free(&run->report);
    run_options_free(&run->options);
    text_free(&run->command);
    free(run->directory);
    free(run->profile);
    free(run->library);
    free(run->path);
}

/* ---- the run ---- */

static void collect_ended(void *context)
{
    struct run *run = context;
    if (run->directory != NULL)
        run_collect(&run->report, run->directory, false);
}

static int start_failed(const struct run *run, int error)
{
    return run_error(error == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE, "cannot run %s: %s",
                     run->path, strerror(error));
}

/* Nothing to do afterwards: become the program. Returns only on failure. */
static int become(struct run *run)
{
    execve(run->path, run->options.program, run->environment.entries);
    return start_failed(run, errno);
}

/* 0 when the program ran to its end, whatever that was; else an exit status. */
static int run_and_report(struct run *run)
{
    const struct run_command command = {
        .path = run->path,
        .arguments = run->options.program,
        .environment = run->environment.entries,
        .pid_text = run->main_pid_text,
        .every_second = collect_ended,
        .context = run,
    };
    const uint64_t start_ns = tn_os_clock_ns();
    const uint64_t start_ticks = tn_os_ticks();
    const int error = run_child(&command, &run->report.end);
    if (error != 0)
        return start_failed(run, -error);
    run->report.ns_per_tick = measure_ticks(start_ns, start_ticks);
    if (run->directory != NULL)
        write_report(run);
    if (run->profile != NULL && access(run->profile, F_OK) != 0)
        run_error(0, "no profile in %s: the program ended without its exit handlers", run->profile);
    return 0;
}

int command_run(int argc, char **argv)
{
    struct run run = {.path = NULL};
    int status = run_options_read(&run.options, argc, argv);
    if (status == 0 && run.options.help) {
        run_options_print_help();
        return EXIT_SUCCESS;
    }
    if (status == 0)
        status = prepare(&run);
    if (status == 0 && run.directory == NULL && run.profile == NULL)
        status = become(&run);
    else if (status == 0)
        status = run_and_report(&run);
    const struct run_end end = run.report.end;
    run_free(&run);
    return status != 0 ? status : run_end_alike(end.status);
}
