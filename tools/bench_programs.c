/* bench programs: real programs on real input under each malloc.
 *
 * Nothing is modified: the malloc is preloaded. Each program is found as a program, not as the shim
 * of a version manager, because a preloaded malloc would serve the shim's shell. What a program
 * prints and writes is hashed and compared: a malloc under which a program computes something else
 * has failed. */
#define _GNU_SOURCE
#include "bench.h"
#include "bench_inputs.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
/* As many of terrane's sources, in the order of their names, as make a few seconds of work. */
#define SOURCES_MAX       30u
#define SOURCES_MAX_QUICK 10u

/* %D is the folder of the inputs, in which the programs run; %P that of the scripts; %S stands for
 * the sources of terrane, %O for their objects, %R for the folder above them, %Q for a small
 * number. */
struct program {
    const char *name;
    const char *programs; /* names to look for, comma-separated */
    const char *settings; /* arguments of `measure` */
    const char *arguments;
    const char *package;
    unsigned threads;
};

#define GIT_ENV "env=GIT_CONFIG_NOSYSTEM=1 env=GIT_CONFIG_GLOBAL=/dev/null env=GIT_PAGER=cat"

static const struct program programs[] = {
    {"python-malloc", "python3", "env=PYTHONMALLOC=malloc env=PYTHONHASHSEED=0",
     "%P/objects.py text.txt", "python3", 1},
    {"python", "python3", "env=PYTHONHASHSEED=0", "%P/objects.py text.txt", "python3", 1},
    {"sqlite", "sqlite3", "stdin=%P/tables.sql", ":memory:", "sqlite3", 1},
    {"perl", "perl", "env=PERL_HASH_SEED=0 env=PERL_PERTURB_KEYS=0", "%P/words.pl text.txt", "perl",
     1},
    {"lua", "lua5.4,lua5.3,lua", "", "%P/words.lua text.txt", "lua5.4", 1},
    {"gcc-terrane", "gcc", "%O", "-std=gnu11 -O2 -D_GNU_SOURCE= -I%R/include -I%R/src -c %S", "gcc",
     1},
    {"gcc-large", "gcc", "hash=large.o", "-O1 -c large.c -o large.o", "gcc", 1},
    {"g++-templates", "g++", "hash=templates.o",
     "-std=c++17 -O1 -DDEPTH=%Q -c %P/templates.cpp -o templates.o", "g++", 1},
    {"clang-large", "clang", "hash=large.o", "-O1 -c large.c -o large.o", "clang", 1},
    {"git-log", "git", GIT_ENV, "-C repository log -p --stat --no-color", "git", 1},
    {"git-pack", "git", GIT_ENV,
     "-C repository pack-objects --revs --all --stdout --no-reuse-delta --threads=1 -q", "git", 1},
    {"git-grep", "git", GIT_ENV,
     "-C repository grep --threads=2 -n -i -E (struct|static)[a-z_\\ ]*(init|size)|#define.*max "
     "HEAD HEAD~10 HEAD~20 HEAD~30 HEAD~40 HEAD~50",
     "git", 2},
    {"sort", "sort", "", "-S 1G --parallel=1 lines.txt", "coreutils", 1},
    {"sort-2", "sort", "", "-S 1G --parallel=2 lines.txt", "coreutils", 2},
    {"small-processes", "dash,sh,bash", "", "%P/starts.sh", "dash", 1},
};

struct setting {
    const char *dir;
    char *scripts;
    char *root; /* terrane's sources; NULL: not beside the command */
    glob_t sources;
    bool quick;
};

/* The interpreter that `python3` stands for. */
static char *find_python(void)
{
    char line[4096] = "";
    FILE *pipe = popen("python3 -c 'import os, sys; print(os.path.realpath(sys.executable))'", "r");
    if (pipe == NULL)
        return NULL;
    const bool has_line = fgets(line, sizeof(line), pipe) != NULL;
    pclose(pipe);
    line[strcspn(line, "\n")] = '\0';
    return has_line && access(line, X_OK) == 0 ? string_copy(line) : NULL;
}

static char *find_program(const char *names)
{
    if (strcmp(names, "python3") == 0)
        return find_python();
    char *copy = string_copy(names);
    char *rest = copy;
    char *path = NULL;
    for (char *name = strsep(&rest, ","); name != NULL && path == NULL; name = strsep(&rest, ","))
        path = bench_program_path(name);
    free(copy);
    return path;
}

static const char *value_of_place(const struct setting *setting, char place)
{
    switch (place) {
    case 'D':
        return setting->dir;
    case 'P':
        return setting->scripts;
    case 'Q':
        return setting->quick ? "0" : "1";
    default:
        return setting->root;
    }
}

/* Adds one word of a template with its places filled in. */
static void add_word(struct bench_case *added, const struct setting *setting, const char *word)
{
    struct text filled = {NULL, 0, 0};
    for (const char *at = word; *at != '\0'; at++) {
        if (*at != '%') {
            text_append(&filled, at, 1);
            continue;
        }
        at++;
        text_print(&filled, "%s", value_of_place(setting, *at));
    }
    bench_case_argument(added, text_string(&filled));
    text_free(&filled);
}

/* The sources themselves, or hash=OBJECT for each. */
static void add_sources(struct bench_case *added, const struct setting *setting, bool as_objects)
{
    const size_t most = setting->quick ? SOURCES_MAX_QUICK : SOURCES_MAX;
    for (size_t i = 0; i < setting->sources.gl_pathc && i < most; i++) {
        const char *path = setting->sources.gl_pathv[i];
        const char *file = strrchr(path, '/') + 1;
        char *object = string_print("hash=%.*s.o", (int)(strlen(file) - 2), file);
        bench_case_argument(added, as_objects ? object : path);
        free(object);
    }
}

/* Words are parted by blanks; a blank after a backslash belongs to its word. */
static void add_words(struct bench_case *added, const struct setting *setting, const char *template)
{
    struct text word = {NULL, 0, 0};
    for (const char *at = template;; at++) {
        if (*at == '\\' && at[1] == ' ') {
            text_append(&word, ++at, 1);
            continue;
        }
        if (*at != ' ' && *at != '\0') {
            text_append(&word, at, 1);
            continue;
        }
        const char *finished = text_string(&word);
        if (strcmp(finished, "%S") == 0 || strcmp(finished, "%O") == 0)
            add_sources(added, setting, finished[1] == 'O');
        else if (finished[0] != '\0')
            add_word(added, setting, finished);
        text_clear(&word);
        if (*at == '\0')
            break;
    }
    text_free(&word);
}

static bool uses_sources(const struct program *program)
{
    return strstr(program->arguments, "%S") != NULL;
}

static bool uses_scripts(const struct program *program)
{
    return strstr(program->arguments, "%P") != NULL || strstr(program->settings, "%P") != NULL;
}

static void add_program(struct bench_plan *plan, const struct setting *setting,
                        const struct program *program)
{
    struct bench_case *added = bench_plan_worker(plan, program->name, "measure", "");
    added->is_measured = true;
    added->directory = setting->dir;
    added->threads = program->threads;
    char *path = find_program(program->programs);
    if (path == NULL && added->absent == NULL)
        added->absent =
            string_print("no %s here (apt-get install %s)", program->programs, program->package);
    if (uses_sources(program) && setting->sources.gl_pathc == 0 && added->absent == NULL)
        added->absent = string_copy("terrane's sources are not beside this command");
    if (uses_scripts(program) && setting->scripts == NULL && added->absent == NULL)
        added->absent = string_copy("its script is not beside this command (bench/programs)");
    if (added->absent == NULL) {
        add_words(added, setting, program->settings);
        bench_case_argument(added, "--");
        bench_case_argument(added, path);
        add_words(added, setting, program->arguments);
    }
    free(path);
}

static int make_repository(const struct bench_corpus *corpus, const char *dir, unsigned commits)
{
    char *git = bench_program_path("git");
    const int status = git == NULL ? 0 : bench_input_repository(corpus, dir, git, commits);
    free(git);
    return status;
}

static int make_inputs(const char *dir, bool quick)
{
    struct bench_corpus corpus;
    if (!bench_corpus_read(&corpus, quick ? 8 * MIB : 24 * MIB))
        return EXIT_FAILURE;
    int status = bench_input_text(&corpus, dir, quick ? MIB : 5 * MIB / 2);
    if (status == 0)
        status = bench_input_words(&corpus, dir, quick ? 2 * MIB : 5 * MIB);
    if (status == 0)
        status = bench_input_lines(&corpus, dir, quick ? 20 * MIB : 80 * MIB);
    if (status == 0)
        status = bench_input_large_c(dir, quick ? 30 : 120);
    if (status == 0)
        status = make_repository(&corpus, dir, quick ? 60 : 250);
    bench_corpus_free(&corpus);
    if (status != 0)
        fprintf(stderr, "terrane bench: cannot make the programs' inputs in %s: %s\n", dir,
                strerror(-status));
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void setting_find(struct setting *setting)
{
    setting->scripts = bench_scripts_dir();
    setting->root = bench_source_dir();
    if (setting->root == NULL)
        return;
    char *pattern = string_print("%s/src/*/*.c", setting->root);
    if (glob(pattern, 0, NULL, &setting->sources) != 0)
        setting->sources.gl_pathc = 0;
    free(pattern);
}

static int plan_programs(struct bench_plan *plan)
{
    struct setting setting = {.dir = bench_scratch_dir(), .quick = plan->options->quick};
    if (setting.dir == NULL)
        return EXIT_FAILURE;
    setting_find(&setting);
    bench_plan_mallocs(plan);
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        add_program(plan, &setting, &programs[i]);
    globfree(&setting.sources);
    free(setting.scripts);
    free(setting.root);
    return plan->options->list ? EXIT_SUCCESS : make_inputs(setting.dir, plan->options->quick);
}

const struct bench bench_programs = {
    .name = "programs",
    .summary = "real programs on real input, their output compared",
    .figure = "wall_s",
    .figures = "wall_s,cpu_s,peak_bytes",
    .style = BENCH_STYLE_RATIOS,
    .rounds = 5,
    .rounds_quick = 2,
    .has_warm_up = true,
    .has_system_calls = true,
    .has_summary = true,
    .plan = plan_programs,
};
