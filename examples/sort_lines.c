/* Sorts the lines of standard input. An ordinary program: it knows malloc and realloc, nothing
 * else.
 *
 *   terrane run -- build/examples/sort_lines <FILE
 *
 * The text grows in one buffer by steps, the index of its lines by doubling: the two ways in which
 * programs grow what they read. The report tells how many of these resizes copied anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_BYTES ((size_t)1 << 16)

/* All of standard input, terminated. NULL: no memory. */
static char *read_all(void)
{
    char *text = NULL;
    size_t length = 0, got;
    do {
        char *grown = realloc(text, length + STEP_BYTES + 1);
        if (grown == NULL) {
            free(text);
            return NULL;
        }
        text = grown;
        got = fread(text + length, 1, STEP_BYTES, stdin);
        length += got;
    } while (got > 0);
    text[length] = '\0';
    return text;
}

/* The lines of `text`, which is cut at its newlines. NULL: no memory. */
static char **split(char *text, size_t *count)
{
    char **lines = malloc(sizeof(lines[0]));
    size_t room = 1;
    char *rest = text;
    *count = 0;
    for (char *line = strsep(&rest, "\n"); lines != NULL && rest != NULL;
         line = strsep(&rest, "\n")) {
        if (*count == room) {
            char **grown = reallocarray(lines, 2 * room, sizeof(lines[0]));
            if (grown == NULL)
                free(lines);
            lines = grown;
            room *= 2;
        }
        if (lines != NULL)
            lines[(*count)++] = line;
    }
    return lines;
}

static int by_text(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

int main(void)
{
    size_t count = 0;
    char *text = read_all();
    char **lines = text == NULL ? NULL : split(text, &count);
    if (lines != NULL)
        qsort(lines, count, sizeof(lines[0]), by_text);
    for (size_t i = 0; i < count && lines != NULL; i++)
        puts(lines[i]);
    const int failed = lines == NULL;
    free(lines);
    free(text);
    return failed;
}
