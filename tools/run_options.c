/* The command line of `terrane run`; see run_options.h. Options end at the first word that is none:
 * what follows belongs to the program. */
#include "run_options.h"

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help_text[] =
    "usage: terrane run [options] [--] PROGRAM [ARGUMENTS]\n\n"
    "Runs PROGRAM with terrane's malloc in place of the system's. Input, output, signals and the\n"
    "exit status are the program's; a report follows on standard error.\n\n"
    "  --report=FORMAT    text (default), json or html\n"
    "  --output FILE      writes the report to FILE\n"
    "  --no-report        no report and no counting: full speed\n"
    "  --profile FILE     samples allocations into FILE, a heap profile for pprof\n"
    "  --env NAME=VALUE   sets a variable for the program; may be repeated\n\n"
    "exit status: the program's (128 + N if signal N ended it and cannot end us); 2: these "
    "options\n"
    "cannot be obeyed; 125: terrane run failed; 126: the program cannot be run, or preloading "
    "does\n"
    "not reach it (static, set-uid); 127: there is no such program\n";

void run_options_print_help(void)
{
    fputs(help_text, stdout);
}

static int set_format(struct run_options *options, const char *value)
{
    static const struct {
        const char *name;
        run_renderer *render;
    } formats[] = {{"text", report_text}, {"json", report_json}, {"html", report_html}};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(value, formats[i].name) == 0) {
            options->render = formats[i].render;
            options->format_given = true;
            return 0;
        }
    }
    return usage_error("run", "--report is text, json or html, not '%s'", value);
}

static int set_output(struct run_options *options, const char *value)
{
    options->output = value;
    return *value == '\0' ? usage_error("run", "--output needs the name of a file") : 0;
}

static int set_profile(struct run_options *options, const char *value)
{
    options->profile = value;
    return *value == '\0' ? usage_error("run", "--profile needs the name of a file") : 0;
}

static int add_setting(struct run_options *options, const char *value)
{
    const char *equals = strchr(value, '=');
    if (equals == NULL || equals == value)
        return usage_error("run", "--env is NAME=VALUE, not '%s'", value);
    options->settings =
        memory_resize(options->settings, options->settings_count + 1, sizeof(options->settings[0]));
    options->settings[options->settings_count++] = value;
    return 0;
}

static const struct {
    const char *name;
    int (*set)(struct run_options *options, const char *value);
} valued_options[] = {
    {"--report", set_format},
    {"--output", set_output},
    {"--profile", set_profile},
    {"--env", add_setting},
};

#define VALUED_COUNT (sizeof(valued_options) / sizeof(valued_options[0]))

/* An option with a value, written "--name value" or "--name=value". */
static int read_valued(struct run_options *options, int argc, char **argv, int *next)
{
    const char *argument = argv[*next];
    const size_t length = strcspn(argument, "=");
    for (size_t i = 0; i < VALUED_COUNT; i++) {
        const char *name = valued_options[i].name;
        if (strlen(name) != length || strncmp(argument, name, length) != 0)
            continue;
        *next += 1;
        if (argument[length] == '=')
            return valued_options[i].set(options, argument + length + 1);
        if (*next >= argc)
            return usage_error("run", "%s needs a value", argument);
        *next += 1;
        return valued_options[i].set(options, argv[*next - 1]);
    }
    return usage_error("run", "unknown option '%s' (the program's own options go behind its name)",
                       argument);
}

static int read_option(struct run_options *options, int argc, char **argv, int *next)
{
    const char *argument = argv[*next];
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
        options->help = true;
    else if (strcmp(argument, "--no-report") == 0)
        options->no_report = true;
    else
        return read_valued(options, argc, argv, next);
    *next += 1;
    return 0;
}

int run_options_read(struct run_options *options, int argc, char **argv)
{
    *options = (struct run_options){.render = report_text};
    int next = 1;
    while (next < argc && argv[next][0] == '-' && strcmp(argv[next], "--") != 0) {
        const int status = read_option(options, argc, argv, &next);
        if (status != 0)
            return status;
    }
    if (options->help)
        return 0;
    if (next < argc && strcmp(argv[next], "--") == 0)
        next++;
    options->program = argv + next;
    if (next >= argc || argv[next][0] == '\0')
        return usage_error("run", "no program given");
    if (options->no_report && (options->output != NULL || options->format_given))
        return usage_error("run", "--no-report contradicts --report and --output");
    return 0;
}

void run_options_free(struct run_options *options)
{
    free(options->settings);
}
