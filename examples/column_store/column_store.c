/* A small column store: tables of CSV files that keep all their versions.
 *
 *   column_store [COMMAND...]     the commands, or those on the lines of standard input
 *
 *   load NAME FILE                a table: one column a field of the header line
 *   append NAME OLD FILE          a version of OLD with the rows of FILE behind
 *   prepend NAME OLD FILE         ... or before its own
 *   select NAME FUNCTION... [where COLUMN OP VALUE [and COLUMN OP VALUE]...] [by COLUMN]
 *                                 count, sum(C), min(C), max(C), avg(C); OP: = != < <= > >=
 *   memory                        what all versions together take, on standard error
 *   drop NAME
 *
 * A word may stand in 'quotes'. Answers are CSV, as sqlite3 writes it.
 *
 * Columns are arrays, and versions references to them (table.h): all versions that were made from
 * one another can be asked at once, and what they have in common is in memory once. */
#include "query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX  64
#define PATH_BYTES 4096

static struct version **known(struct store *store, struct text name)
{
    struct version **at = find_version(store, name);
    if (*at != NULL)
        return at;
    complain("there is no %.*s", (int)name.length, name.at);
    return NULL;
}

static bool add(struct store *store, const struct version *old, const struct text *names,
                bool front)
{
    const struct text file = names[old == NULL ? 1 : 2];
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%.*s", (int)file.length, file.at);
    return add_version(store, old, names[0], path, front);
}

static bool run_load(struct store *store, const struct text *words, size_t count)
{
    (void)count;
    return add(store, NULL, words, false);
}

static bool run_append(struct store *store, const struct text *words, size_t count)
{
    struct version **const old = known(store, words[1]);
    (void)count;
    return old != NULL && add(store, *old, words, false);
}

static bool run_prepend(struct store *store, const struct text *words, size_t count)
{
    struct version **const old = known(store, words[1]);
    (void)count;
    return old != NULL && add(store, *old, words, true);
}

static bool run_select(struct store *store, const struct text *words, size_t count)
{
    struct version **const version = known(store, words[0]);
    return version != NULL && answer(*version, words + 1, count - 1);
}

static bool run_memory(struct store *store, const struct text *words, size_t count)
{
    struct terrane_array_stats stats;
    struct terrane_pool_stats pool;
    size_t rows = 0, versions = 0;
    (void)words, (void)count;
    for (const struct version *at = store->versions; at != NULL; at = at->next) {
        rows += at->rows;
        versions++;
    }
    terrane_array_stats(store->space, &stats);
    terrane_pool_stats(store->space, &pool);
    fprintf(stderr, "%zu versions, %zu rows, %zu KiB in memory, %zu KiB were copied\n", versions,
            rows, (size_t)(pool.file_bytes >> 10), (size_t)(stats.copied_bytes >> 10));
    return true;
}

static bool run_drop(struct store *store, const struct text *words, size_t count)
{
    struct version **const version = known(store, words[0]);
    (void)count;
    if (version != NULL)
        drop_version(version);
    return version != NULL;
}

/* What the command is called, how many words follow, and what it does with them. */
static const struct command {
    const char *name;
    size_t least, most;
    bool (*run)(struct store *store, const struct text *words, size_t count);
} commands[] = {
    {"load", 2, 2, run_load},       {"append", 3, 3, run_append},
    {"prepend", 3, 3, run_prepend}, {"select", 2, WORDS_MAX, run_select},
    {"memory", 0, 0, run_memory},   {"drop", 1, 1, run_drop},
};

/* Words between blanks, or in quotes with blanks in them. */
static size_t split(const char *line, struct text *words)
{
    size_t count = 0;
    for (;; count++) {
        line += strspn(line, " \t\n");
        if (*line == '\0' || count == WORDS_MAX)
            return count;
        const bool quoted = *line == '\'';
        line += quoted;
        words[count] = (struct text){line, strcspn(line, quoted ? "'" : " \t\n")};
        line += words[count].length;
        line += quoted && *line != '\0';
    }
}

static bool run_line(struct store *store, const char *line)
{
    struct text words[WORDS_MAX];
    const size_t count = split(line, words);
    if (count == 0)
        return true;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *command = &commands[i];
        if (is_word(words[0], command->name) && count > command->least &&
            count - 1 <= command->most)
            return command->run(store, words + 1, count - 1);
    }
    return complain("no such command: %s", line);
}

static bool run_input(struct store *store)
{
    char *line = NULL;
    size_t room = 0;
    bool done = true;
    while (done && getline(&line, &room, stdin) > 0)
        done = run_line(store, line);
    free(line);
    return done;
}

int main(int count, char **lines)
{
    const struct terrane_space_options shared = {.backing = TERRANE_BACKING_MEMFD};
    struct store store = {.versions = NULL};
    bool done = fine(terrane_space_create(&shared, &store.space));
    if (done && count == 1)
        done = run_input(&store);
    for (int i = 1; i < count && done; i++)
        done = run_line(&store, lines[i]);
    while (store.versions != NULL)
        drop_version(&store.versions);
    terrane_space_destroy(store.space);
    return done && fflush(stdout) == 0 ? 0 : 1;
}
