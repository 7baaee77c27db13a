/* The terrane command: finds the subcommand and hands over.
 *
 * A subcommand is one row of the table below and one function; all of them read their own
 * options, so that this file knows nothing but names. */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <terrane/version.h>

struct command {
    const char *name;
    int (*function)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"run", command_run, "run a program on terrane's malloc and report on its memory"},
    {"stat", command_stat, "what a running process on terrane holds, refreshed like top"},
    {"bench", command_bench, "measure terrane against the mallocs installed here"},
    {"info", command_info, "what this machine's kernel offers, and what is used instead"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

int usage_error(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "terrane%s%s: ", command == NULL ? "" : " ", command == NULL ? "" : command);
    vfprintf(stderr, format, args);
    va_end(args);
    if (command == NULL)
        fprintf(stderr, "; `terrane help` lists the commands\n");
    else
        fprintf(stderr, "; `terrane %s --help` lists the options\n", command);
    return EXIT_USAGE;
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void print_usage(FILE *out)
{
    fputs("usage: terrane COMMAND [options]\n\ncommands:\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("  help     this text; `terrane help COMMAND` for one command's options\n\n"
          "  --version  the version of the command\n",
          out);
}

static int command_help(int argc, char **argv)
{
    static char help_option[] = "--help";
    if (argc < 2) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    const struct command *command = command_find(argv[1]);
    if (command == NULL)
        return usage_error(NULL, "unknown command '%s'", argv[1]);
    char *arguments[] = {argv[1], help_option, NULL};
    return command->function(2, arguments);
}

static int print_version(void)
{
    printf("terrane %d.%d.%d\n", TERRANE_VERSION_MAJOR, TERRANE_VERSION_MINOR,
           TERRANE_VERSION_PATCH);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0)
        return print_version();
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
        return command_help(argc - 1, argv + 1);
    const struct command *command = command_find(argv[1]);
    if (command == NULL)
        return usage_error(NULL, "unknown command '%s'", argv[1]);
    return command->function(argc - 1, argv + 1);
}
