/* Options of `terrane bench`. */
#define _GNU_SOURCE
#include "bench.h"
#include "command.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 1000
#define LIMIT_MAX  86400

const char bench_help[] =
    "usage: terrane bench [options] [BENCH... | all]\n\n"
    "Without a name: lists the benches. Each case is run in a process of its own under each\n"
    "contender, in turns; what is printed are medians and ratios. Lower is better everywhere.\n\n"
    "  --contenders A,B   only these (names may hold * and ?)\n"
    "  --cases A,B        only these (the same)\n"
    "  --library N=PATH   a further malloc to preload, called N; may be repeated\n"
    "  --rounds N         counted rounds; a warm-up round comes before them\n"
    "  --quick            less work and fewer rounds: an impression, not a result\n"
    "  --seed N           seed of all that is random (default 1)\n"
    "  --limit SECONDS    time limit of one process\n"
    "  --by FIGURE        compare by this figure: wall_s, cpu_s, peak_bytes, ...\n"
    "  --scratch-dir DIR  for cases that need files on a disk (default: a temporary folder)\n"
    "  --figures A,B      the figures to print tables of, or 'all'\n"
    "  --json             print one JSON object instead of tables\n"
    "  --plot DIR         also write plots (SVG) with gnuplot\n"
    "  --list             list cases and contenders of the named benches; run nothing\n"
    "  --help             this text\n\n"
    "Exit status: 0; 1 if a process failed or outputs differed; 2 for a wrong command line.\n";

enum { OPTION_FIRST = 256, CONTENDERS, CASES, LIBRARY, ROUNDS, QUICK, SEED, LIMIT, BY, FIGURES };
enum { JSON = FIGURES + 1, PLOT, LIST, HELP, SCRATCH_DIR };

static const struct option long_options[] = {
    {"contenders", required_argument, NULL, CONTENDERS},
    {"cases", required_argument, NULL, CASES},
    {"library", required_argument, NULL, LIBRARY},
    {"rounds", required_argument, NULL, ROUNDS},
    {"quick", no_argument, NULL, QUICK},
    {"seed", required_argument, NULL, SEED},
    {"limit", required_argument, NULL, LIMIT},
    {"by", required_argument, NULL, BY},
    {"figures", required_argument, NULL, FIGURES},
    {"scratch-dir", required_argument, NULL, SCRATCH_DIR},
    {"json", no_argument, NULL, JSON},
    {"plot", required_argument, NULL, PLOT},
    {"list", no_argument, NULL, LIST},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

/* A whole decimal number from `min` to `max`; false after a message. */
static bool parse_number(const char *option, const char *string, uint64_t min, uint64_t max,
                         uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(string, &end, 10);
    if (!isdigit((unsigned char)string[0]) || *end != '\0' || errno != 0 || value < min ||
        value > max) {
        usage_error("bench", "%s wants a whole number from %llu to %llu, not '%s'", option,
                    (unsigned long long)min, (unsigned long long)max, string);
        return false;
    }
    *out = value;
    return true;
}

static bool parse_unsigned(const char *option, const char *string, unsigned max, unsigned *out)
{
    uint64_t value = 0;
    if (!parse_number(option, string, 1, max, &value))
        return false;
    *out = (unsigned)value;
    return true;
}

static bool add_library(struct bench_options *options, char *definition)
{
    const char *path = strchr(definition, '=');
    if (path == NULL || path == definition || path[1] == '\0') {
        usage_error("bench", "--library wants NAME=PATH, not '%s'", definition);
        return false;
    }
    if (options->library_count == BENCH_LIBRARIES_MAX) {
        usage_error("bench", "--library can be given %d times", BENCH_LIBRARIES_MAX);
        return false;
    }
    options->libraries[options->library_count++] = definition;
    return true;
}

/* One option; false after a message. */
static bool apply(struct bench_options *options, int code, char *value)
{
    switch (code) {
    case CONTENDERS:
        options->contenders = value;
        return true;
    case CASES:
        options->cases = value;
        return true;
    case LIBRARY:
        return add_library(options, value);
    case ROUNDS:
        return parse_unsigned("--rounds", value, ROUNDS_MAX, &options->rounds);
    case QUICK:
        options->quick = true;
        return true;
    case SEED:
        return parse_number("--seed", value, 0, UINT64_MAX, &options->seed);
    case LIMIT:
        return parse_unsigned("--limit", value, LIMIT_MAX, &options->limit_s);
    case BY:
        options->by = value;
        return true;
    case FIGURES:
        options->figures = value;
        return true;
    case SCRATCH_DIR:
        options->scratch_dir = value;
        return true;
    case JSON:
        options->json = true;
        return true;
    case PLOT:
        options->plot_dir = value;
        return true;
    default:
        options->list = true;
        return true;
    }
}

/* An option that getopt did not accept: unknown, or with a value that it does not take. */
static int refuse(const char *argument)
{
    if (optopt > OPTION_FIRST)
        return usage_error("bench", "option '%.*s' takes no value", (int)strcspn(argument, "="),
                           argument);
    if (optopt != 0)
        return usage_error("bench", "unknown option '-%c'", optopt);
    return usage_error("bench", "unknown option '%s'", argument);
}

int bench_options_parse(struct bench_options *options, int argc, char **argv, int *names_at)
{
    *options = (struct bench_options){.seed = 1};
    optind = 0;
    opterr = 0;
    for (;;) {
        const int code = getopt_long(argc, argv, ":", long_options, NULL);
        if (code == -1)
            break;
        if (code == HELP) {
            fputs(bench_help, stdout);
            *names_at = -1;
            return EXIT_SUCCESS;
        }
        if (code == ':')
            return usage_error("bench", "option '%s' wants a value", argv[optind - 1]);
        if (code == '?')
            return refuse(argv[optind - 1]);
        if (!apply(options, code, optarg))
            return EXIT_USAGE;
    }
    *names_at = optind;
    return EXIT_SUCCESS;
}

bool bench_list_has(const char *list, const char *name)
{
    if (list == NULL)
        return true;
    char *copy = string_copy(list);
    char *rest = copy;
    bool found = false;
    for (char *item = strsep(&rest, ","); item != NULL && !found; item = strsep(&rest, ","))
        found = fnmatch(item, name, 0) == 0;
    free(copy);
    return found;
}
