/* The frame of `terrane bench`.
 *
 * A bench is a list of cases and a list of contenders. Each pair of them is a row. A row is run as
 * a process of its own, several times: the rounds of one case go over all contenders in turn,
 * starting with another one each round, so that a busy neighbour or a warming machine meets all
 * alike. The first round is a warm-up and not counted; in it the system calls are counted instead,
 * because counting slows them down.
 *
 *     plan      cases x contenders, made by one function of the bench (bench_malloc.c ...)
 *     rounds    runs the processes and collects one line of JSON from each (bench_rounds.c)
 *     figures   medians, ratios to the best other, geometric means (bench_figures.c)
 *     report    table, JSON, plots (bench_table.c, bench_report.c, bench_plot.c)
 *
 * A worker measures itself and writes its line to the descriptor named by fd=N in its arguments;
 * what it prints otherwise is not looked at. Unmodified programs are run by the worker `measure`.
 */
#ifndef TERRANE_BENCH_H
#define TERRANE_BENCH_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_FIGURES_MAX    32
#define BENCH_NAME_MAX       32
#define BENCH_LIBRARIES_MAX  7
#define BENCH_CONTENDERS_MAX 24

/* The descriptor on which a worker writes its line. */
#define BENCH_RESULT_FD 3

/* One named figure of a row, one value for each counted round. */
struct bench_figure {
    char name[BENCH_NAME_MAX];
    double *values;
    unsigned count;
    double median;              /* set when the rounds are done */
    double ratio_to_best_other; /* NaN: there is no other */
};

/* One case under one contender. */
struct bench_row {
    struct bench_figure figures[BENCH_FIGURES_MAX];
    unsigned figure_count;
    char *output; /* what was computed, as a hash; NULL: the worker does not say */
    char *note;   /* the worker's remark: it did not finish its work; NULL: none */
    char *error;  /* why there are no figures; NULL: there are */
};

/* What a case is run under: a malloc to preload, or a way of doing it, named by an argument. */
struct bench_contender {
    char *name;
    char *preload;           /* library, NULL: none */
    const char *argument;    /* appended to the worker's arguments, NULL: none */
    const char *environment; /* NAME=VALUE that the worker gets, NULL: none */
    char *worker;       /* path of the program that runs the cases its way; NULL: the case's own */
    const char *remedy; /* how to get it when it is absent */
    bool is_present;
};

struct bench_case {
    char *name;
    char **argv;           /* NULL-terminated; argv[0] is the path of the worker */
    const char *directory; /* to run in; NULL: the current one */
    unsigned threads;      /* 0: no grouping by threads in the summary */
    unsigned limit_s;      /* the process is killed after this time */
    size_t warm_bytes;     /* touched before each process at least; 0: what others have used */
    bool is_measured;      /* argv[0] is the worker `measure`, which runs a program */
    char *absent;          /* why it cannot run here; NULL: it can */
    const char *only;      /* the contenders that can do it, comma-separated; NULL: all */
};

enum bench_style {
    BENCH_STYLE_RATIOS, /* best value of a row, then each contender's ratio to it */
    BENCH_STYLE_VALUES, /* each contender's value */
    BENCH_STYLE_LIST,   /* one contender: a list of cases and values */
};

struct bench_options {
    const char *contenders; /* comma-separated names; NULL: all */
    const char *cases;      /* comma-separated patterns; NULL: all */
    const char *figures; /* comma-separated names of the figures to tabulate; NULL: the bench's */
    const char *plot_dir;
    const char *by;          /* the figure to compare by; NULL: the bench's */
    const char *scratch_dir; /* for files that must be on a disk; NULL: a temporary one */
    char *libraries[BENCH_LIBRARIES_MAX]; /* NAME=PATH, further mallocs */
    unsigned library_count;
    unsigned rounds;  /* 0: the bench's */
    unsigned limit_s; /* 0: the bench's */
    uint64_t seed;
    bool quick;
    bool json;
    bool list;
};

struct bench_plan;

/* A bench: how it is called and how its plan is made. */
struct bench {
    const char *name;
    const char *summary;
    const char *figure;  /* compared by default */
    const char *figures; /* tabulated by default */
    const char *beside;  /* summarized beside `figure`; NULL: the other one of wall_s and cpu_s */
    const char *values;  /* figures that are tabulated as values whatever the style; NULL: none */
    enum bench_style style;
    unsigned rounds;
    unsigned rounds_quick;
    bool has_warm_up;
    bool has_system_calls; /* counted in the warm-up */
    bool has_summary;
    int (*plan)(struct bench_plan *plan); /* 0, or an exit status after a message */
    void (*conclude)(const struct bench_plan *plan, struct text *out); /* NULL: nothing to add */
};

struct bench_plan {
    const struct bench *bench;
    const struct bench_options *options;
    const char *figure; /* compared by */
    struct bench_contender contenders[BENCH_CONTENDERS_MAX];
    unsigned contender_count;
    struct bench_case *cases;
    unsigned case_count;
    struct bench_row *rows; /* case_count x contender_count */
    unsigned rounds;
};

extern const struct bench bench_kernel;
extern const struct bench bench_grow;
extern const struct bench bench_move;
extern const struct bench bench_malloc;
extern const struct bench bench_regions;
extern const struct bench bench_arrays;
extern const struct bench bench_programs;

/* ---- bench_options.c ---- */

/* 0, or an exit status after a message; *names_at is the index of the first name of a bench. */
int bench_options_parse(struct bench_options *options, int argc, char **argv, int *names_at);
extern const char bench_help[];

/* True if `name` is in the comma-separated `list`; elements may hold * and ?. NULL list: true. */
bool bench_list_has(const char *list, const char *name);

/* ---- bench_plan.c ---- */

struct bench_contender *bench_plan_contender(struct bench_plan *plan, const char *name);

/* Adds glibc, terrane and the peers; an absent one stays listed as absent. */
void bench_plan_mallocs(struct bench_plan *plan);

/* Lets the contender run all cases by a worker of its own; absent if that is not built. */
void bench_contender_worker(struct bench_contender *contender, const char *worker);

/* Adds a case that runs a worker with `arguments` (blank-separated key=value pairs). */
struct bench_case *bench_plan_worker(struct bench_plan *plan, const char *name, const char *worker,
                                     const char *arguments);

/* Adds an argument at the end of a case's command. */
void bench_case_argument(struct bench_case *added, const char *argument);

/* Drops what --contenders and --cases leave out, after checking their names. 0 or an exit status.
 */
int bench_plan_select(struct bench_plan *plan);

void bench_plan_free(struct bench_plan *plan);

static inline struct bench_row *bench_plan_row(const struct bench_plan *plan, unsigned case_index,
                                               unsigned contender_index)
{
    return &plan->rows[case_index * plan->contender_count + contender_index];
}

/* ---- bench_places.c ---- */

/* Folder of the running program; never NULL. */
const char *bench_program_dir(void);

/* The path of a worker program, or NULL. The caller frees. */
char *bench_worker_path(const char *worker);

/* The path of terrane's malloc library, or NULL. The caller frees. */
char *bench_terrane_library(void);

/* The path of a library by file name in the standard directories, or NULL. The caller frees. */
char *bench_system_library(const char *file);

/* The path of a program on PATH that is a program, not a script; NULL if there is none. A script
 * would be a shim: it is the shim's shell that a preloaded malloc would serve. The caller frees. */
char *bench_program_path(const char *name);

/* Folder of the scripts that the real programs run, or NULL. The caller frees. */
char *bench_scripts_dir(void);

/* Folder of terrane's sources beside the build tree, or NULL. The caller frees. */
char *bench_source_dir(void);

/* A folder for this process's files, removed when the process ends; NULL after a message. */
const char *bench_scratch_dir(void);

/* ---- bench_rounds.c ---- */

/* True if the case is run under the contender at all. */
bool bench_case_has(const struct bench_case *asked, const struct bench_contender *contender);

/* The figure that summaries show beside the one that is compared. */
const char *bench_plan_beside(const struct bench_plan *plan);

/* Runs all rounds of all cases. 0, or an exit status when it was interrupted. */
int bench_rounds_run(struct bench_plan *plan);

/* ---- bench_process.c ---- */

struct bench_launch {
    const struct bench_case *what;
    const struct bench_contender *contender;
    bool count_system_calls;
};

struct bench_outcome {
    struct text line;  /* what the worker reported */
    struct text error; /* empty: it ended well */
    uint64_t system_calls;
    bool has_system_calls;
    bool interrupted;
};

/* An interrupt ends the running worker, and is reported with its outcome. */
void bench_process_watch_signals(void);

void bench_process_run(const struct bench_launch *launch, struct bench_outcome *outcome);
void bench_outcome_free(struct bench_outcome *outcome);

/* Touches and frees memory, so that the next process does not pay for pages that the host of a
 * virtual machine has taken back in the meantime. In huge and in ordinary pages: the kernel takes
 * them from different places, and a contender that uses huge ones would meet the cold ones. */
void bench_process_warm_memory(size_t bytes);

/* ---- bench_huge_pages.c ---- */

/* How many of `count` wanted pages of `page_bytes` are free; their number is raised if that is
 * needed and allowed, and put back when this process ends. For two sizes of pages, once each. */
uint64_t bench_huge_pages_take(size_t page_bytes, uint64_t count);

/* ---- bench_syscalls.c ---- */

/* Waits for `pid`, a stopped tracee, and all its descendants; counts the system calls of all.
 * Returns the wait status of `pid`. */
int bench_syscalls_count(int pid, uint64_t *count);

/* ---- bench_figures.c ---- */

const struct bench_figure *bench_row_figure(const struct bench_row *row, const char *name);
void bench_row_add(struct bench_row *row, const char *name, double value);

/* Median of `values`, which get sorted. */
double bench_median(double *values, unsigned count);

/* Medians of all rows, ratios to the best other. Lower is better in every figure. */
void bench_figures_finish(struct bench_plan *plan);

/* The least median of a case, of rows that finished; 0 if there is none. */
double bench_case_best(const struct bench_plan *plan, unsigned case_index, const char *figure);

/* True if the row has figures and its work was done completely. */
bool bench_row_is_complete(const struct bench_row *row);

struct bench_summary {
    double geometric_mean; /* of the ratios to the best of each case; NaN: no case */
    double worst;
    const char *worst_case;
    unsigned cases;
    unsigned failures; /* cases that failed or were not finished */
};

/* Over the cases with `threads` threads (0: all), compared by `figure`. */
struct bench_summary bench_summarize(const struct bench_plan *plan, unsigned contender_index,
                                     unsigned threads, const char *figure);

/* True if tables and plots show ratios to the best of this figure. */
bool bench_figure_is_ratio(const struct bench_plan *plan, const char *figure);

/* The unit that a figure's name ends in ("s", "bytes", "ratio"), or "" for a plain count. */
const char *bench_figure_unit(const char *figure);

/* What a figure is called in headings; its name if nothing better is known. */
const char *bench_figure_title(const char *figure);

/* ---- bench_table.c, bench_report.c, bench_plot.c ---- */

void bench_table_print(const struct bench_plan *plan, struct text *out);

/* A value for people: 0.412 s, 12.3 us, 1.5 MiB, 12.3 k. */
void bench_value_print(struct text *out, const char *figure, double value);

struct json;
struct bench_machine;

void bench_report_rows(const struct bench_plan *plan, struct json *json);
void bench_report_summary(const struct bench_plan *plan, struct json *json);

/* Writes DIR/NAME-FIGURE.svg. 0, or an exit status after a message. */
int bench_plot_write(const struct bench_plan *plan, const char *dir);

/* ---- bench_machine.c ---- */

struct bench_machine {
    char *cpu;
    unsigned cores;
    size_t memory_bytes;
    size_t page_bytes;
    char *kernel;
    char *huge_pages;
    char *libc;
    char date[32];
};

void bench_machine_read(struct bench_machine *machine);
void bench_machine_free(struct bench_machine *machine);
void bench_machine_json(const struct bench_machine *machine, struct json *json);
void bench_machine_print(const struct bench_machine *machine, struct text *out);

#endif
