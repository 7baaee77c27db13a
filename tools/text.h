/* Growing strings, and the few calls that give up when memory is used up.
 *
 * A command-line tool that cannot get a few bytes for itself has nothing better to do than to say
 * so and end; that keeps error paths out of all code that only builds names and lines. */
#ifndef TERRANE_TEXT_H
#define TERRANE_TEXT_H

#include <stddef.h>

/* Zero-initialised is empty. `bytes` is NULL or terminated by '\0'. The holder owns it. */
struct text {
    char *bytes;
    size_t length;
    size_t capacity;
};

__attribute__((format(printf, 2, 3))) void text_print(struct text *text, const char *format, ...);
void text_append(struct text *text, const char *bytes, size_t length);
void text_clear(struct text *text);
void text_free(struct text *text);

/* Never NULL; valid until the next change. */
const char *text_string(const struct text *text);

/* Appends the whole of a file: 0 or a negative errno. */
int text_read_file(struct text *text, const char *path);

/* Writes `length` bytes to a new or emptied file: 0 or a negative errno. */
int text_write_file(const char *path, const char *bytes, size_t length);

/* Writes all bytes to a descriptor: 0 or a negative errno. */
int text_write_all(int descriptor, const char *bytes, size_t length);

/* Allocation that ends the process with a message instead of failing. The caller frees. */
void *memory_get(size_t size);
void *memory_resize(void *block, size_t count, size_t size);
char *string_copy(const char *string);
__attribute__((format(printf, 1, 2))) char *string_print(const char *format, ...);

#endif
