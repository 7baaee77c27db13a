/* What a plain test program needs: a condition that says where it failed, and a skip with a reason.
 *
 * A test program ends with 0 (passed), 1 (failed) or 77 (skipped). Nothing here allocates: standard
 * error has no buffer. */
#ifndef TEST_EXPECT_H
#define TEST_EXPECT_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_SKIPPED 77

/* Ends the test if `condition` does not hold. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            expect_failed(__FILE__, __LINE__, "%s", #condition);                                   \
    } while (0)

/* The same, followed by a message that shows the values. */
#define EXPECT_THAT(condition, ...)                                                                \
    do {                                                                                           \
        if (!(condition))                                                                          \
            expect_failed(__FILE__, __LINE__, #condition ": " __VA_ARGS__);                        \
    } while (0)

__attribute__((format(printf, 3, 4))) static inline _Noreturn void
expect_failed(const char *file, int line, const char *format, ...)
{
    const int error = errno;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: expected ", file, line);
    vfprintf(stderr, format, args);
    fprintf(stderr, " (errno %d)\n", error);
    va_end(args);
    _Exit(1);
}

__attribute__((format(printf, 1, 2))) static inline _Noreturn void test_skip(const char *format,
                                                                             ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _Exit(TEST_SKIPPED);
}

/* Values that the compiler must not see through: it knows what malloc does and would drop, fold or
 * warn about the very calls that a test is made of. */
static inline void *hidden(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

static inline size_t hidden_size(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

/* A decimal number from the environment. */
static inline uint64_t environment_number(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    if (text == NULL)
        return fallback;
    char *end = NULL;
    const unsigned long long value = strtoull(text, &end, 0);
    if (end == text || *end != '\0') {
        fprintf(stderr, "%s: not a number: '%s'\n", name, text);
        _Exit(1);
    }
    return value;
}

#endif
