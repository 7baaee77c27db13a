/* The parts of `terrane stat`: which process, where its page is, what the page says, how it is
 * shown.
 *
 *   stat.c           the command line and the order of events
 *   stat_find.c      from the number of a process to its open page
 *   stat_read.c      from the page to a snapshot
 *   stat_table.c     a snapshot as a table
 *   stat_screen.c    the terminal while the table is refreshed */
#ifndef TERRANE_STAT_H
#define TERRANE_STAT_H

#include "stats/stats.h"
#include "text.h"

#include <stdbool.h>

/* A page that is open, and the process behind it. */
struct stat_target {
    int pid;       /* 0: unknown, as a page file was named that does not say */
    int own_pid;   /* as the process sees itself, in its own pid namespace */
    int process;   /* descriptor of the process, -1 where there is none */
    int page;      /* descriptor of the page */
    char *place;   /* the page's file, for messages */
    char *command; /* what runs there */
};

/* Prints "terrane stat: message" to standard error and returns EXIT_FAILURE. */
__attribute__((format(printf, 1, 2))) int stat_error(const char *format, ...);

/* Finds the page that `word` means: the number of a process, or the path of a page file. 0; or an
 * exit status, with the reason and a remedy printed. stat_close in either case. */
int stat_find(const char *word, struct stat_target *target);
void stat_close(struct stat_target *target);

/* Reads the page. `ended`: the process is gone, so that what is torn stays torn and is taken as it
 * is. 0, or EXIT_FAILURE with the reason and a remedy printed. *torn tells whether the figures may
 * not fit together. */
int stat_read(const struct stat_target *target, bool ended, struct tn_stat_snapshot *out,
              bool *torn);

/* Whether the page says that it is of this process; *whose: of which (own_pid if nothing). */
bool stat_page_is_of(int page, int own_pid, int *whose);

/* Whether the process has ended. */
bool stat_has_ended(const struct stat_target *target);

/* What is shown at one time. */
struct stat_view {
    const struct stat_target *target;
    const struct tn_stat_snapshot *now;
    const struct tn_stat_snapshot *before; /* for rates; NULL: none yet */
    bool ended;
    bool torn;
    uint64_t age_ns;
};

/* Appends the table. */
void stat_table(const struct stat_view *view, struct text *out);

/* Takes the terminal: a screen of its own, keys without echo. False: standard input and output are
 * not a terminal both. stat_screen_leave gives it back. */
bool stat_screen_enter(void);
void stat_screen_leave(void);

/* Shows a text from the top, cut to the terminal's size. */
void stat_screen_show(const char *text);

/* Waits; true if the user or a signal wants the end. Works without a screen too. */
bool stat_wait(double seconds);

/* Makes signals that would end us end stat_wait instead, so that the terminal is given back. */
void stat_signals_take(void);

#endif
