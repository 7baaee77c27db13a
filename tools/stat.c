/* `terrane stat`: what a running process holds, read from the page that it publishes
 * (stats/stat_page.h). Nothing is asked of the process itself, so it costs it nothing to be looked
 * at, and one that hangs can be looked at too. */
#include "stat.h"

#include "command.h"
#include "os/os.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL_MIN 0.1
#define INTERVAL_MAX 86400.0

static const char stat_help[] =
    "usage: terrane stat [options] PID | PAGE\n\n"
    "Shows what a process on terrane holds and does: memory by kind, runs by size, rates. PID is\n"
    "the process, which must publish: under `terrane run`, with TERRANE_OPTIONS=publish=1 in its\n"
    "environment, or by terrane_stats_publish. PAGE is the path of a page file.\n"
    "On a terminal the table is refreshed until q or Ctrl-C.\n\n"
    "  --interval S    seconds between refreshes, from 0.1 on (1)\n"
    "  --count N       ends after N tables (1 when the output is no terminal)\n"
    "  --json          print one JSON object\n"
    "  --openmetrics   print OpenMetrics text\n";

enum form { FORM_TABLE, FORM_JSON, FORM_OPENMETRICS };

struct options {
    const char *target;
    enum form form;
    double interval;
    unsigned long count; /* 0: until the user wants the end */
    bool repeat;         /* --interval or --count was given */
    bool help;
};

int stat_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("terrane stat: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return EXIT_FAILURE;
}

/* ---- the command line ---- */

static bool read_interval(const char *text, double *interval)
{
    char *end;
    *interval = strtod(text, &end);
    return isdigit((unsigned char)*text) && *end == '\0' && *interval >= INTERVAL_MIN &&
           *interval <= INTERVAL_MAX;
}

static bool read_count(const char *text, unsigned long *count)
{
    char *end;
    errno = 0;
    *count = strtoul(text, &end, 10);
    return isdigit((unsigned char)*text) && *end == '\0' && errno == 0 && *count > 0;
}

/* The value of an option, behind "=" or in the next argument; NULL: this is another option, or
 * *missing. */
static const char *value_of(const char *name, char **argv, int *at, bool *missing)
{
    const size_t length = strlen(name);
    if (strncmp(argv[*at], name, length) != 0)
        return NULL;
    if (argv[*at][length] == '=')
        return argv[*at] + length + 1;
    if (argv[*at][length] != '\0')
        return NULL;
    *missing = argv[*at + 1] == NULL;
    return *missing ? NULL : argv[++*at];
}

static int read_valued(struct options *options, char **argv, int *at)
{
    const char *word = argv[*at];
    bool missing = false;
    const char *value = value_of("--interval", argv, at, &missing);
    if (value != NULL) {
        options->repeat = true;
        return read_interval(value, &options->interval)
                   ? 0
                   : usage_error("stat", "--interval takes seconds from 0.1 to 86400, not '%s'",
                                 value);
    }
    value = value_of("--count", argv, at, &missing);
    if (value != NULL) {
        options->repeat = true;
        return read_count(value, &options->count)
                   ? 0
                   : usage_error("stat", "--count takes a number from 1 on, not '%s'", value);
    }
    return missing ? usage_error("stat", "%s needs a value", word)
                   : usage_error("stat", "unknown option '%s'", word);
}

static int read_word(struct options *options, char **argv, int *at)
{
    const char *word = argv[*at];
    if (strcmp(word, "--help") == 0)
        options->help = true;
    else if (strcmp(word, "--json") == 0)
        options->form = FORM_JSON;
    else if (strcmp(word, "--openmetrics") == 0)
        options->form = FORM_OPENMETRICS;
    else if (word[0] == '-')
        return read_valued(options, argv, at);
    else if (options->target != NULL)
        return usage_error("stat", "one process at a time: '%s' is one too many", word);
    else
        options->target = word;
    return 0;
}

static int options_read(struct options *options, char **argv)
{
    *options = (struct options){.interval = 1};
    for (int at = 1; argv[at] != NULL; at++) {
        const int status = read_word(options, argv, &at);
        if (status != 0 || options->help)
            return status;
    }
    if (options->target == NULL)
        return usage_error("stat", "name a process by its number");
    return 0;
}

/* ---- once ---- */

static int view_read(const struct stat_target *target, struct tn_stat_snapshot *out,
                     struct stat_view *view)
{
    view->target = target;
    view->now = out;
    /* Looked at first: what is read afterwards is the last that it wrote. */
    view->ended = stat_has_ended(target);
    const int status = stat_read(target, view->ended, out, &view->torn);
    const uint64_t now_ns = tn_os_clock_ns();
    view->age_ns = now_ns > out->time_ns ? now_ns - out->time_ns : 0;
    return status;
}

static char *preamble_json(const struct stat_view *view)
{
    return string_print("\"pid\":%d,\"ended\":%s,\"torn\":%s,\"age_ns\":%llu,\"missing\":%llu,",
                        view->target->pid, view->ended || view->now->ended ? "true" : "false",
                        view->torn ? "true" : "false", (unsigned long long)view->age_ns,
                        (unsigned long long)view->now->missing);
}

static char *preamble_openmetrics(const struct stat_view *view)
{
    return string_print("# TYPE terrane_snapshot_age_seconds gauge\n"
                        "# UNIT terrane_snapshot_age_seconds seconds\n"
                        "# HELP terrane_snapshot_age_seconds time since the figures were taken\n"
                        "terrane_snapshot_age_seconds %.3f\n"
                        "# TYPE terrane_process_ended gauge\n"
                        "# HELP terrane_process_ended 1 if the figures are final\n"
                        "terrane_process_ended %d\n",
                        (double)view->age_ns / 1e9, view->ended || view->now->ended ? 1 : 0);
}

static int print_text(const char *text, size_t length)
{
    const int error = text_write_all(STDOUT_FILENO, text, length);
    return error == 0 ? EXIT_SUCCESS : stat_error("cannot write the figures: %s", strerror(-error));
}

static int print_rendered(const struct stat_view *view, struct tn_stat_snapshot *snapshot,
                          enum form form)
{
    char *preamble = form == FORM_JSON ? preamble_json(view) : preamble_openmetrics(view);
    const struct tn_rendering what = {
        .read = tn_stat_figures, .context = snapshot, .sums = true, .preamble = preamble};
    size_t (*render)(const struct tn_rendering *, char *, size_t) =
        form == FORM_JSON ? tn_render_json : tn_render_openmetrics;
    const size_t length = render(&what, NULL, 0);
    char *text = memory_get(length + 1);
    (void)render(&what, text, length + 1);
    const int status = print_text(text, length);
    free(text);
    free(preamble);
    return status;
}

static int print_once(const struct stat_target *target, enum form form)
{
    struct tn_stat_snapshot *snapshot = memory_get(sizeof(*snapshot));
    struct stat_view view = {.before = NULL};
    int status = view_read(target, snapshot, &view);
    if (status == 0)
        status = print_rendered(&view, snapshot, form);
    free(snapshot);
    return status;
}

/* ---- again and again ---- */

/* One table on the screen, or below the one before. */
static int show(const struct stat_view *view, bool on_screen, bool first, struct text *last)
{
    text_clear(last);
    stat_table(view, last);
    if (on_screen) {
        stat_screen_show(text_string(last));
        return EXIT_SUCCESS;
    }
    if (!first && print_text("\n", 1) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    return print_text(text_string(last), last->length);
}

/* A snapshot that has not changed since it was shown; rates go on over the time before it. */
static bool is_same(const struct tn_stat_snapshot *a, const struct tn_stat_snapshot *b)
{
    return b != NULL && a->time_ns == b->time_ns;
}

/* Ends with the last table, with the process, with the user's wish, or with an error. `last` holds
 * the last table. */
static int refresh(const struct stat_target *target, const struct options *options, bool on_screen,
                   struct text *last)
{
    struct tn_stat_snapshot *kept = memory_get(3 * sizeof(*kept));
    struct stat_view view = {.before = NULL};
    const struct tn_stat_snapshot *shown = NULL;
    size_t next = 0; /* the one of three that is neither shown nor before it */
    int status = EXIT_SUCCESS;
    for (unsigned long count = 1;; count++) {
        status = view_read(target, &kept[next], &view);
        if (status == EXIT_SUCCESS && !is_same(view.now, shown)) {
            view.before = shown;
            shown = view.now;
            next = (next + 1) % 3;
        }
        if (status == EXIT_SUCCESS)
            status = show(&view, on_screen, count == 1, last);
        if (status != EXIT_SUCCESS || view.ended || view.now->ended || count == options->count ||
            stat_wait(options->interval))
            break;
    }
    free(kept);
    return status;
}

static int print_tables(const struct stat_target *target, struct options *options)
{
    struct text last = {.bytes = NULL};
    stat_signals_take();
    const bool on_screen = options->count != 1 && stat_screen_enter();
    if (!on_screen && !options->repeat)
        options->count = 1;
    int status = refresh(target, options, on_screen, &last);
    stat_screen_leave();
    /* The screen is gone; what it showed last stays on the terminal. */
    if (on_screen && status == EXIT_SUCCESS)
        status = print_text(text_string(&last), last.length);
    text_free(&last);
    return status;
}

int command_stat(int argc, char **argv)
{
    (void)argc;
    struct options options;
    int status = options_read(&options, argv);
    if (status == 0 && options.help) {
        fputs(stat_help, stdout);
        return EXIT_SUCCESS;
    }
    if (status != 0)
        return status;
    struct stat_target target;
    status = stat_find(options.target, &target);
    if (status == 0 && options.form == FORM_TABLE)
        status = print_tables(&target, &options);
    else if (status == 0)
        status = print_once(&target, options.form);
    stat_close(&target);
    return status;
}
