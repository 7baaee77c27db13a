/* What the command line of `terrane run` asks for. */
#ifndef TERRANE_RUN_OPTIONS_H
#define TERRANE_RUN_OPTIONS_H

#include "report_render.h"

#include <stdbool.h>
#include <stddef.h>

struct run_options {
    run_renderer *render;
    const char *output;  /* NULL: standard error */
    const char *profile; /* NULL: none */
    bool no_report;
    bool format_given;
    bool help;
    const char **settings; /* NAME=VALUE of --env, in their order */
    size_t settings_count;
    char **program; /* and its arguments */
};

/* Reads the command line, argv[0] being "run". 0, or the exit status for one that cannot be obeyed,
 * with the reason printed. */
int run_options_read(struct run_options *options, int argc, char **argv);

void run_options_print_help(void);
void run_options_free(struct run_options *options);

#endif
