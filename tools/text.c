/* Growing strings; see text.h. */
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void memory_gone(void)
{
    static const char line[] = "terrane: no memory left for the command itself\n";
    (void)!write(STDERR_FILENO, line, sizeof(line) - 1);
    _exit(EXIT_FAILURE);
}

void *memory_get(size_t size)
{
    void *block = calloc(1, size == 0 ? 1 : size);
    if (block == NULL)
        memory_gone();
    return block;
}

void *memory_resize(void *block, size_t count, size_t size)
{
    void *resized = reallocarray(block, count == 0 ? 1 : count, size);
    if (resized == NULL)
        memory_gone();
    return resized;
}

char *string_copy(const char *string)
{
    char *copy = strdup(string);
    if (copy == NULL)
        memory_gone();
    return copy;
}

char *string_print(const char *format, ...)
{
    char *string = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&string, format, args) < 0)
        memory_gone();
    va_end(args);
    return string;
}

/* Room for `more` bytes and the terminator. */
static void text_make_room(struct text *text, size_t more)
{
    if (more >= SIZE_MAX / 4 || text->length >= SIZE_MAX / 4)
        memory_gone();
    const size_t needed = text->length + more + 1;
    if (needed <= text->capacity)
        return;
    const size_t capacity = needed < 128 ? 128 : needed + needed / 2;
    text->bytes = memory_resize(text->bytes, capacity, 1);
    text->capacity = capacity;
}

void text_append(struct text *text, const char *bytes, size_t length)
{
    text_make_room(text, length);
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void text_print(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list measured;
    va_copy(measured, args);
    const int length = vsnprintf(NULL, 0, format, measured);
    va_end(measured);
    if (length > 0) {
        text_make_room(text, (size_t)length);
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, args);
        text->length += (size_t)length;
    }
    va_end(args);
}

void text_clear(struct text *text)
{
    text->length = 0;
    if (text->bytes != NULL)
        text->bytes[0] = '\0';
}

void text_free(struct text *text)
{
    free(text->bytes);
    *text = (struct text){NULL, 0, 0};
}

const char *text_string(const struct text *text)
{
    return text->bytes == NULL ? "" : text->bytes;
}

int text_read_file(struct text *text, const char *path)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    int status = 0;
    for (;;) {
        text_make_room(text, 1 << 16);
        const ssize_t count = read(descriptor, text->bytes + text->length, 1 << 16);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            status = count < 0 ? -errno : 0;
            break;
        }
        text->length += (size_t)count;
    }
    text->bytes[text->length] = '\0';
    close(descriptor);
    return status;
}

int text_write_all(int descriptor, const char *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t count = write(descriptor, bytes, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        bytes += count;
        length -= (size_t)count;
    }
    return 0;
}

int text_write_file(const char *path, const char *bytes, size_t length)
{
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor < 0)
        return -errno;
    const int status = text_write_all(descriptor, bytes, length);
    if (close(descriptor) != 0 && status == 0)
        return -errno;
    return status;
}
