/* The subcommands of `terrane`. Each gets its own arguments, argv[0] being its name, and returns
 * the exit status of the process. */
#ifndef TERRANE_COMMAND_H
#define TERRANE_COMMAND_H

/* Exit status for a command line that cannot be obeyed. */
#define EXIT_USAGE 2

int command_run(int argc, char **argv);
int command_stat(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_info(int argc, char **argv);

/* Prints "terrane COMMAND: message" and where to find help to standard error. `command` may be
 * NULL. Returns EXIT_USAGE, so that a caller can return what this returns. */
__attribute__((format(printf, 2, 3))) int usage_error(const char *command, const char *format, ...);

#endif
